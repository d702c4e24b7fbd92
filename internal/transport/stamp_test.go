package transport

import (
	"encoding/binary"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// TestExcess: what a request took beyond the quickest one, whatever the clocks and
// the distance, with stamps that repeat every 65.536 s.
func TestExcess(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		name string
		// ahead is the receiver's clock when the sender's begins; the sender's gains
		// so many ppm on it.
		ahead time.Duration
		ppm   float64
		every time.Duration
		n     int
		// took is how long request i took, which was made at a time.
		took        func(i int, at time.Duration) time.Duration
		least, most time.Duration // of the excess of each
		last        time.Duration // more or less, of the last one
	}{
		{"the first", 7 * time.Hour, 0, ms, 1, always(30 * time.Second), 0, 0, 0},
		{"near", 0, 0, 7 * ms, 100_000, always(0), 0, ms, 0},
		{"far", time.Hour, 0, 7 * ms, 100_000, always(250 * ms), 0, ms, 0},
		{"the sender's clock is ahead", -time.Hour, 0, 7 * ms, 100_000, always(250 * ms), 0, ms, 0},
		{"the distance varies", 0, 0, 7 * ms, 10_000, func(i int, _ time.Duration) time.Duration { return time.Duration(i%20) * ms }, 0, 20 * ms, 19 * ms},
		{"a fast clock for an hour", 0, 50, 100 * ms, 36_000, always(ms), 0, 5 * ms, 0},
		{"a slow clock for an hour", 0, -50, 100 * ms, 36_000, always(ms), 0, 5 * ms, 0},
		{"a slow clock, seldom asked", 0, -50, 15 * time.Second, 240, always(ms), 0, 5 * ms, 0},
		{"a queue that grows", 0, 0, ms, 2_000, func(i int, _ time.Duration) time.Duration { return time.Duration(i) * ms }, 0, 2 * time.Second, 1999 * ms},
		{"a queue across the turn", 65 * time.Second, 0, ms, 2_000, func(i int, _ time.Duration) time.Duration { return 30*ms + time.Duration(i)*ms }, 0, 2 * time.Second, 1999 * ms},
		{"the longest that can be told", 0, 0, ms, 2, func(i int, _ time.Duration) time.Duration { return time.Duration(i) * 32_767 * ms }, 0, 32_767 * ms, 32_764 * ms},
		{"a queue after an hour", 0, 0, 100 * ms, 36_002, func(i int, _ time.Duration) time.Duration { return time.Duration(i/36_000) * time.Second }, 0, time.Second, time.Second},
		{"a queue that stands counts less by and by", 0, 0, 100 * ms, 36_001, func(i int, _ time.Duration) time.Duration { return time.Duration(min(i, 1)) * time.Second }, 0, time.Second, 640 * ms},
		{"nor less than nothing", 0, 0, time.Second, 3_600, func(i int, _ time.Duration) time.Duration { return time.Duration(min(i, 1)) * 50 * ms }, 0, 50 * ms, 0},
	} {
		var q quickest
		var got time.Duration
		for i := range test.n {
			at := time.Duration(i) * test.every
			gained := time.Duration(float64(at) * test.ppm / 1e6)
			sent := wire.StampOf(at + gained)
			if test.ahead < 0 {
				sent = wire.StampOf(at + gained - test.ahead)
			}
			got = q.excess(max(test.ahead, 0)+at+test.took(i, at), sent)
			if got < test.least || got > test.most {
				t.Errorf("%s: request %d took %v too long, want %v to %v", test.name, i, got, test.least, test.most)
				break
			}
		}
		if math.Abs(float64(got-test.last)) > float64(2*ms) {
			t.Errorf("%s: the last took %v too long, want %v", test.name, got, test.last)
		}
	}
}

func always(d time.Duration) func(int, time.Duration) time.Duration {
	return func(int, time.Duration) time.Duration { return d }
}

// TestForget: after it the next one counts as the quickest, and then who is quicker.
func TestForget(t *testing.T) {
	const ms = time.Millisecond
	q := quickest{}
	for i, step := range []struct {
		forget       bool
		took, excess time.Duration
	}{
		{false, 5 * ms, 0}, {false, 805 * ms, 800 * ms}, {true, 805 * ms, 0}, {false, 815 * ms, 10 * ms},
		{false, 305 * ms, 0}, {false, 815 * ms, 510 * ms},
	} {
		if step.forget {
			q.forget()
		}
		at := time.Duration(i) * ms
		if got := q.excess(at+step.took, wire.StampOf(at)); got != step.excess {
			t.Errorf("request %d took %v too long, want %v", i, got, step.excess)
		}
	}
}

// stampedConn is a connection of version 3 of which nothing was read, whose socket
// has stood, and that began a minute ago; base is when the sender's clock began.
func stampedConn(s *Server) (c *accepted, base time.Time) {
	began := s.made.Add(-time.Minute)
	return &accepted{server: s, version: wire.VersionStamps, since: &arrival{since: time.Minute, stood: time.Second}, began: began}, began
}

// TestDeadlineFromTheStamp: a request whose caller has given up is not begun, and one
// that is begun has what is left; but only where the socket has stood, so that no
// pause of the sender's clock keeps a connection from being served.
func TestDeadlineFromTheStamp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []wire.Request
		s := NewServer(Default(), Hooks{}, handlerFunc(func(rq wire.Request) { got = append(got, rq) }), nil)
		c, base := stampedConn(s)
		c.out = newOutQueue(1<<20, 1<<20, &s.stats)
		ask := func(ago time.Duration, stood time.Duration) bool {
			got, c.since.stood, c.since.since = nil, stood, c.now()
			c.handle(wire.Header{Type: wire.TypeReplicaPut, Deadline: 500, Stamp: wire.StampOf(time.Since(base) - ago)}, nil)
			return len(got) == 1
		}
		left := func() time.Duration { return time.Until(got[0].Deadline) }
		if !ask(0, time.Second) || left() != 500*time.Millisecond {
			t.Fatalf("the first: %v", got)
		}
		if !ask(300*time.Millisecond, time.Second) || left() != 200*time.Millisecond || got[0].Waited != 300*time.Millisecond {
			t.Errorf("after 300 ms: %v", got)
		}
		if ask(500*time.Millisecond, time.Second) || s.tardy.Load() != 1 {
			t.Errorf("after its deadline it is begun: %v, %d were late", got, s.tardy.Load())
		}
		if !ask(500*time.Millisecond, standsAfter) || left() != 500*time.Millisecond {
			t.Errorf("a socket that has not stood for long: %v", got)
		}
		if ask(500*time.Millisecond, time.Second); len(got) > 0 {
			t.Errorf("afterwards it is begun: %v", got)
		}
		c.since.paused = true
		if !ask(500*time.Millisecond, time.Second) || c.since.paused {
			t.Error("after a pause of the sender it is not begun")
		}
		if !ask(500*time.Millisecond, time.Second) || left() != 500*time.Millisecond {
			t.Errorf("the next after a pause of the sender: %v", got)
		}
	})
}

// TestLateByTheStamp: what has waited with its caller is late, and tells that this
// node is behind if it comes from another node.
func TestLateByTheStamp(t *testing.T) {
	for _, typ := range []wire.Type{wire.TypePut, wire.TypeGet, wire.TypeReplicaPut, wire.TypeReplicaRead, wire.TypeHandoff} {
		synctest.Test(t, func(t *testing.T) {
			h := lateHandler{map[wire.Type]bool{}}
			s := NewServer(Default(), Hooks{}, h, nil)
			c, base := stampedConn(s)
			for _, waited := range []time.Duration{0, DefaultMaxWait, DefaultMaxWait + time.Millisecond} {
				c.since.since = c.now()
				c.handle(wire.Header{Type: typ, Deadline: 10_000, Stamp: wire.StampOf(time.Since(base) - waited)}, nil)
				begins := typ == wire.TypePut || typ == wire.TypeGet
				replica := typ == wire.TypeReplicaPut || typ == wire.TypeReplicaRead
				if late, over := h.late[typ], waited > DefaultMaxWait; late != (over && begins) || (s.behind.Load() != 0) != (over && replica) {
					t.Errorf("%v after %v: late %v, behind %v", typ, waited, late, s.behind.Load())
				}
			}
		})
	}
}

// TestStampsOfLargeRequests: their frames have the time at which they go out, as
// their deadlines have: an upload is not late for its size.
func TestStampsOfLargeRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		m := NewMemory(1)
		conns := mute(t, m.Host("b"), "b:1", 2)
		c := dial(t, Default(), m.Host("a"), "b:1", 1)
		c.peer.Version = wire.VersionStamps
		far := <-conns
		const size = 20 * wire.MaxChunk // more than the network takes at once
		c.Call(within(wire.TypePut, time.Minute), wire.Raw(make([]byte, size)), make(outcomesOf, 1), 0)
		frames := framesOf(far)
		var first, last wire.Header
		for n := 0; n < size; {
			time.Sleep(10 * time.Millisecond)
			h, payload, err := frames.next()
			if err != nil {
				t.Fatal(err)
			}
			if h.Type != wire.TypePut {
				continue // a ping
			}
			if n == 0 {
				first = h
			}
			last, n = h, n+len(payload)
		}
		if first.Stamp != 0 || last.Stamp == 0 || last.Stamp.Since(0) > time.Since(began) || first.Deadline-last.Deadline != uint32(last.Stamp) {
			t.Errorf("the first and the last frame: %+v, %+v", first, last)
		}
	})
}

// openLoop makes calls at a rate that does not depend on what becomes of them.
type openLoop struct {
	mu sync.Mutex

	refused, failed, done int
}

// Complete implements wire.Completion.
func (l *openLoop) Complete(_ uint32, _ wire.Response, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	switch kv.KindOf(err) {
	case kv.KindOverloaded:
		l.refused++
	default:
		if err != nil {
			l.failed++
		}
	}
}

// heldBy tells, as the system does of a socket, how much there is to read.
func heldBy(s *stream) func() int {
	return func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.mu.size
	}
}

// TestQueueOfTheClient: a client that asks three times as much as a node can do has
// a queue of its own, behind sockets that hold little. By the stamps the node refuses
// what has waited there; without, it serves what is older by far.
func TestQueueOfTheClient(t *testing.T) {
	const (
		work, refusal = 100 * time.Microsecond, 5 * time.Microsecond
		lasts         = time.Second
		times         = 3
	)
	for _, speaks := range []wire.Version{2, 3} {
		synctest.Test(t, func(t *testing.T) {
			m := NewMemory(1)
			began := time.Now()
			var served, called int
			var oldest time.Duration
			h := handlerFunc(func(rq wire.Request) {
				if rq.Late {
					time.Sleep(refusal)
					rq.Reply.Fail(kv.Errorf(kv.KindOverloaded, "serve", "it waited"))
					return
				}
				if rq.Type == wire.TypePut {
					served++
					oldest = max(oldest, time.Since(began)-time.Duration(binary.BigEndian.Uint64(rq.Payload)))
				}
				time.Sleep(work)
				rq.Reply.Send(wire.Raw(nil))
			})
			s := NewServer(Default(), Hooks{Identity: identityOf(2), Versions: versions(1, speaks)}, h, nil)
			addr, _ := serve(t, s, m.Host("b"), "b:1")
			c := dial(t, Default(), m.Host("a"), addr, 0)
			synctest.Wait()
			for _, a := range s.snapshot() {
				a.since.backlog = heldBy(a.nc.(*memoryConn).in)
			}
			l := &openLoop{}
			value := wire.Raw(make([]byte, 1000))
			for end := time.Now().Add(lasts); time.Now().Before(end); time.Sleep(time.Millisecond) {
				binary.BigEndian.PutUint64(value, uint64(time.Since(began)))
				for range int(times * time.Millisecond / work) {
					c.Call(within(wire.TypePut, time.Minute), value, l, 0)
					called++
				}
			}
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if l.failed > 0 || l.done != called || l.refused+served != l.done {
				t.Errorf("version %d: of %d calls %d ended, %d were served, %d refused, %d failed", speaks, called, l.done, served, l.refused, l.failed)
			}
			if possible := int(lasts / work); served < possible*8/10 {
				t.Errorf("version %d: %d were served of %d that could have been", speaks, served, possible)
			}
			if stamped := speaks >= wire.VersionStamps; stamped != (oldest < DefaultMaxWait+50*time.Millisecond) || !stamped && oldest < time.Second {
				t.Errorf("version %d: the oldest that was served was called %v before", speaks, oldest)
			}
			t.Logf("version %d: %d served, %d refused, the oldest after %v", speaks, served, l.refused, oldest)
		})
	}
}
