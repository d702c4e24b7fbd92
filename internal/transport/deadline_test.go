package transport

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

func TestMillisLeft(t *testing.T) {
	tests := []struct {
		left time.Duration
		want uint32
	}{
		{-time.Second, 1}, {0, 1}, {1, 1}, {time.Millisecond, 1}, {time.Millisecond + 1, 2},
		{time.Second, 1000}, {1 << 62, 1<<32 - 1},
	}
	for _, test := range tests {
		if got := millisLeft(test.left); got != test.want {
			t.Errorf("millisLeft(%v) = %d, want %d", test.left, got, test.want)
		}
	}
}

func TestCallsEndAtTheirDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, cfg := NewMemory(1), Default()
		s := NewServer(cfg, Hooks{Identity: identityOf(2)}, handlerFunc(func(wire.Request) {}), nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		c := dial(t, cfg, m.Host("a"), addr, 1)
		began := time.Now()
		done := make(outcomesOf, 10)
		timeouts := []time.Duration{300 * time.Millisecond, 35 * time.Millisecond, time.Second, 35 * time.Millisecond}
		for i, d := range timeouts {
			c.Call(within(wire.TypeReplicaPut, d), wire.Raw("x"), done, uint32(i))
		}
		for range timeouts {
			o := <-done
			wantError(t, "the call", o.err, kv.KindTimeout, kv.AppliedUnknown)
			if late := time.Since(began) - timeouts[o.tag]; late < 0 || late > cfg.Tick {
				t.Errorf("a call of %v ended %v after its deadline", timeouts[o.tag], late)
			}
		}
		wantError(t, "a deadline in the past", ask(c, wire.TypeReplicaPut, "", -1).err, kv.KindTimeout, kv.AppliedNo)
		var none time.Time
		c.Call(wire.Call{Type: wire.TypeReplicaPut, Deadline: none}, wire.Raw(nil), done, 0)
		wantError(t, "no deadline", (<-done).err, kv.KindTimeout, kv.AppliedNo)
	})
}

// A connection without calls looks only as often as it pings, all at one beat; a
// call that finds it so ends a ProbeInterval late at most, and one that comes
// while another is under way within a Tick.
func TestCallsOnAnIdleConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, cfg := NewMemory(1), Default()
		s := NewServer(cfg, Hooks{Identity: identityOf(2)}, handlerFunc(func(wire.Request) {}), nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		c := dial(t, cfg, m.Host("a"), addr, 1)
		if got := c.pause(); got <= cfg.ProbeInterval/2 || time.Now().Add(got).UnixNano()%int64(cfg.ProbeInterval) != 0 {
			t.Errorf("an idle connection looks again in %v", got)
		}
		time.Sleep(10*time.Second + 1)
		done := make(outcomesOf, 2)
		c.Call(within(wire.TypeReplicaPut, time.Second), wire.Raw("x"), done, 0)
		for i, limit := range []time.Duration{cfg.ProbeInterval, cfg.Tick, cfg.Tick} {
			const timeout = 10 * time.Millisecond
			began := time.Now()
			c.Call(within(wire.TypeReplicaPut, timeout), wire.Raw("x"), done, 1)
			if got := c.pause(); got != cfg.Tick {
				t.Errorf("with a call under way it looks again in %v", got)
			}
			wantError(t, "the call", (<-done).err, kv.KindTimeout, kv.AppliedUnknown)
			if late := time.Since(began) - timeout; late > limit {
				t.Errorf("call %d ended %v after its deadline, want at most %v", i, late, limit)
			}
		}
	})
}

// An answer that comes after its call has ended is dropped, whatever its size,
// and the connection goes on.
func TestLateAnswersAreCountedAndDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		h := handlerFunc(func(rq wire.Request) {
			size := 10
			if string(rq.Payload) == "large" {
				size = 3 << 20
			}
			if string(rq.Payload) != "now" {
				time.Sleep(200 * time.Millisecond)
			}
			rq.Reply.Send(wire.Raw(make([]byte, size)))
		})
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, h, nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		c := dial(t, Default(), m.Host("a"), addr, 1)
		for _, what := range []string{"small", "large"} {
			wantError(t, what, ask(c, wire.TypeReplicaRead, what, 100*time.Millisecond).err, kv.KindTimeout, kv.AppliedUnknown)
			time.Sleep(time.Second)
			if o := ask(c, wire.TypeReplicaRead, "now", time.Second); o.err != nil {
				t.Errorf("afterwards: %v", o.err)
			}
		}
		if n := c.meters.late.Load(); n != 2 {
			t.Errorf("%d late answers counted, want 2", n)
		}
		if c.parts.held != 0 {
			t.Errorf("%d bytes of a late answer are held", c.parts.held)
		}
	})
}

// An answer in chunks whose call ends halfway leaves nothing behind.
func TestCallThatEndsAmidItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		conns := mute(t, m.Host("b"), "b:1", 2)
		c := dial(t, Default(), m.Host("a"), "b:1", 1)
		far := <-conns
		done := make(outcomesOf, 1)
		c.Call(within(wire.TypeReplicaRead, 100*time.Millisecond), wire.Raw("x"), done, 0)
		h, _, err := framesOf(far).next()
		if err != nil {
			t.Fatal(err)
		}
		more := wire.Header{Type: h.Type, ID: h.ID, Flags: wire.FlagResponse | wire.FlagMore}
		chunk := string(make([]byte, wire.MaxChunk))
		_, _ = far.Write(frame(more, chunk))
		synctest.Wait()
		if c.parts.held != wire.MaxChunk {
			t.Errorf("%d bytes are held before the deadline", c.parts.held)
		}
		wantError(t, "the call", (<-done).err, kv.KindTimeout, kv.AppliedUnknown)
		_, _ = far.Write(frame(more, chunk))
		synctest.Wait()
		if c.parts.held != 0 {
			t.Errorf("%d bytes are held after the deadline", c.parts.held)
		}
	})
}

// The deadline of a call passes while its Completion has an interim response:
// the error comes afterwards, not meanwhile.
func TestDeadlineDuringAnInterimResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, handlerFunc(func(rq wire.Request) {
			rq.Reply.Interim(wire.Raw("half"))
		}), nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		c := dial(t, Default(), m.Host("a"), addr, 1)
		slow := &slowTaker{ended: make(chan error, 1)}
		c.Call(within(wire.TypeReplicaPut, 100*time.Millisecond), wire.Raw("x"), slow, 0)
		wantError(t, "the call", <-slow.ended, kv.KindTimeout, kv.AppliedUnknown)
	})
}

// slowTaker takes a second over an interim response.
type slowTaker struct {
	taking bool
	ended  chan error
}

func (s *slowTaker) Complete(_ uint32, resp wire.Response, err error) {
	if resp.Interim {
		s.taking = true
		time.Sleep(time.Second)
		s.taking = false
		return
	}
	if s.taking {
		panic("the call ended while its interim response was delivered")
	}
	s.ended <- err
}

// A request that waited in the socket until its deadline is not handled: nobody
// waits for it. It waited because the handler was busy with one before.
func TestTardyRequestsAreNotHandled(t *testing.T) {
	for _, size := range []int{1, wire.MaxChunk} { // in the reader's buffer, and behind it
		synctest.Test(t, func(t *testing.T) {
			m := NewMemory(1)
			var handled []string
			h := handlerFunc(func(rq wire.Request) {
				handled = append(handled, string(rq.Payload[:1]))
				if rq.Payload[0] == 's' {
					time.Sleep(200 * time.Millisecond)
				}
				rq.Reply.Send(wire.Raw(nil))
			})
			s := NewServer(Default(), Hooks{Identity: identityOf(2)}, h, nil)
			addr, _ := serve(t, s, m.Host("b"), "b:1")
			nc := shakeHands(t, m.Host("a"), addr, 1)
			send := func(id uint64, ms uint32, payload string) {
				b := append([]byte(payload), make([]byte, size-1)...)
				if _, err := nc.Write(frame(wire.Header{Type: wire.TypeReplicaPut, ID: id, Deadline: ms}, string(b))); err != nil {
					t.Error(err)
				}
			}
			send(1, 1000, "s")
			time.Sleep(10 * time.Millisecond)
			for id := uint64(2); id < 5; id++ {
				send(id, 100, "t")
			}
			send(5, 1000, "i")
			far := framesOf(nc)
			for id := uint64(1); id <= 5; id++ {
				h, payload, err := far.next()
				if err != nil || h.ID != id {
					t.Fatalf("response %d: %+v, %v", id, h, err)
				}
				if tardy := id > 1 && id < 5; tardy != (h.Flags&wire.FlagError != 0) {
					t.Errorf("response %d: flags %#x", id, h.Flags)
				} else if tardy {
					wantError(t, "a tardy request", wire.ParseError(payload), kv.KindTimeout, kv.AppliedNo)
				}
			}
			if len(handled) != 2 || handled[1] != "i" {
				t.Errorf("handled: %q", handled)
			}
			if n := s.Stats().Tardy; n != 3 {
				t.Errorf("%d tardy requests counted, want 3", n)
			}
		})
	}
}

// A request that comes to an idle reader is as old as it is.
func TestIdleReaderDoesNotAgeRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		c := dial(t, Default(), m.Host("a"), addr, 1)
		for range 5 {
			time.Sleep(170 * time.Millisecond)
			if o := ask(c, wire.TypeReplicaPut, "x", time.Millisecond); o.err != nil {
				t.Errorf("a call of 1ms: %v", o.err)
			}
		}
	})
}
