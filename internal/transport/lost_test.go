package transport

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// A lost connection completes its calls at once, and tells those that the peer
// may have seen from those that never left.
func TestLostConnectionCompletesItsCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		conns := mute(t, m.Host("b"), "b:1", 2)
		c := dial(t, Default(), m.Host("a"), "b:1", 1)
		<-conns
		done := make(outcomesOf, 10)
		send := func(tag uint32, size int) {
			c.Call(within(wire.TypeReplicaPut, time.Minute), wire.Raw(make([]byte, size)), done, tag)
			synctest.Wait()
		}
		send(0, 100)   // written, and on its way
		send(1, 1<<20) // begun: the link takes a quarter
		send(2, 100)   // behind a write that does not end
		send(3, 1<<20) // the same, and large
		began := time.Now()
		m.Drop("a", "b")
		want := []kv.Applied{kv.AppliedUnknown, kv.AppliedUnknown, kv.AppliedNo, kv.AppliedNo}
		for range want {
			o := <-done
			wantError(t, fmt.Sprintf("call %d", o.tag), o.err, kv.KindUnavailable, want[o.tag])
		}
		<-c.Done()
		if d := time.Since(began); d != 0 {
			t.Errorf("the calls completed after %v", d)
		}
		wantError(t, "a later call", ask(c, wire.TypeReplicaPut, "", time.Minute).err, kv.KindUnavailable, kv.AppliedNo)
		wantError(t, "Err", c.Err(), kv.KindUnavailable, kv.AppliedNo)
	})
}

func TestCloseCompletesCallsWithKindClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		mute(t, m.Host("b"), "b:1", 2)
		c := dial(t, Default(), m.Host("a"), "b:1", 1)
		done := make(outcomesOf, 1)
		c.Call(within(wire.TypeReplicaPut, time.Minute), wire.Raw("x"), done, 0)
		synctest.Wait()
		_ = c.Close()
		wantError(t, "the call", (<-done).err, kv.KindClosed, kv.AppliedUnknown)
		wantError(t, "a later call", ask(c, wire.TypeReplicaPut, "", time.Minute).err, kv.KindClosed, kv.AppliedNo)
	})
}

// tally checks that every call ends once, and is handled only if its error does
// not say that it was not.
type tally struct {
	t       *testing.T
	ends    []atomic.Int32
	handled []atomic.Int32
	never   []atomic.Bool // the error said AppliedNo
	answers atomic.Int32
	wg      sync.WaitGroup
}

func newTally(t *testing.T, n int) *tally {
	return &tally{t: t, ends: make([]atomic.Int32, n), handled: make([]atomic.Int32, n), never: make([]atomic.Bool, n)}
}

func (y *tally) Complete(tag uint32, resp wire.Response, err error) {
	if y.ends[tag].Load() > 0 {
		y.t.Errorf("call %d: %v after its end", tag, err)
	}
	if resp.Interim {
		return
	}
	y.ends[tag].Add(1)
	if err == nil {
		y.answers.Add(1)
		if got := binary.BigEndian.Uint32(resp.Payload); got != tag {
			y.t.Errorf("call %d has the answer of %d", tag, got)
		}
	} else {
		y.never[tag].Store(kv.AppliedOf(err) == kv.AppliedNo)
	}
	y.wg.Done()
}

// Handle answers at once, later, with an interim response first, or never.
func (y *tally) Handle(rq wire.Request) {
	n := binary.BigEndian.Uint32(rq.Payload)
	y.handled[n].Add(1)
	answer := wire.Raw(append([]byte(nil), rq.Payload...))
	switch n % 5 {
	case 0, 1:
		rq.Reply.Send(answer)
	case 2:
		rq.Reply.Interim(answer[:4])
		rq.Reply.Send(answer)
	case 3:
		reply := rq.Reply
		y.wg.Go(func() {
			time.Sleep(time.Millisecond)
			reply.Send(answer)
		})
	}
}

// load has several callers make all calls, now and then one over wire.MaxChunk.
func (y *tally) load(c interface {
	Call(wire.Call, wire.Appender, wire.Completion, uint32)
}, callers int, pause time.Duration) {
	var next atomic.Int32
	y.wg.Add(len(y.ends))
	for i := range callers {
		r := rand.New(rand.NewPCG(1, uint64(i)))
		y.wg.Go(func() {
			for {
				n := int(next.Add(1)) - 1
				if n >= len(y.ends) {
					return
				}
				payload := make([]byte, 4, 4+3*wire.MaxChunk)
				binary.BigEndian.PutUint32(payload, uint32(n))
				if r.IntN(20) == 0 {
					payload = payload[:4+r.IntN(3*wire.MaxChunk)]
				}
				timeout := time.Duration(1+r.IntN(30)) * time.Millisecond
				c.Call(within(wire.TypeReplicaPut, timeout), wire.Raw(payload), y, uint32(n))
				time.Sleep(time.Duration(r.Int64N(int64(pause))))
			}
		})
	}
}

func (y *tally) check() {
	for i := range y.ends {
		if n := y.ends[i].Load(); n != 1 {
			y.t.Errorf("call %d ended %d times", i, n)
		}
		handled := y.handled[i].Load()
		if handled > 1 {
			y.t.Errorf("call %d was handled %d times", i, handled)
		}
		if handled > 0 && y.never[i].Load() {
			y.t.Errorf("call %d was handled though its error says that it was not", i)
		}
	}
	if n := y.answers.Load(); n == 0 || int(n) == len(y.ends) {
		y.t.Errorf("%d of %d calls were answered: the test shows nothing", n, len(y.ends))
	}
}

// eager connects again at once, so that calls find a connection to lose.
func eager() Config {
	cfg := Default()
	cfg.BackoffMin, cfg.BackoffMax = time.Millisecond, 5*time.Millisecond
	return cfg
}

// Every call ends once, whatever happens to its connection.
func TestNoCallIsLostOrCompletedTwice(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := NewMemory(seed)
				m.Delay("a", "b", 0, 2*time.Millisecond)
				m.Delay("b", "a", 0, 2*time.Millisecond)
				y := newTally(t, 4000)
				s := NewServer(Default(), Hooks{Identity: identityOf(2)}, y, nil)
				addr, _ := serve(t, s, m.Host("b"), "b:1")
				p := NewPool(eager(), m.Host("a"), Hooks{Identity: identityOf(1)}, nil)
				p.SetPeers([]Peer{{ID: 2, Addr: addr}})
				runPool(t, p)
				time.Sleep(time.Second)

				y.load(at{p, 2}, 20, 10*time.Millisecond)
				r := rand.New(rand.NewPCG(seed, 1))
				for range 20 {
					time.Sleep(time.Duration(r.IntN(60)) * time.Millisecond)
					m.Drop("a", "b")
				}
				y.wg.Wait()
				y.check()
				if st := p.Stats(); st.Pending != 0 || st.Connects < 5 {
					t.Errorf("at the end: %+v", st)
				}
			})
		})
	}
}

// The same over real sockets, closed from both sides.
func TestNoCallIsLostOverTCP(t *testing.T) {
	y := newTally(t, 3000)
	s := NewServer(Default(), Hooks{Identity: identityOf(2)}, y, nil)
	addr, _ := serve(t, s, TCP{}, "127.0.0.1:0")
	p := NewPool(eager(), TCP{}, Hooks{Identity: identityOf(1)}, nil)
	p.SetPeers([]Peer{{ID: 2, Addr: addr}})
	runPool(t, p)
	for !p.Up(2) {
		time.Sleep(time.Millisecond)
	}
	y.load(at{p, 2}, 20, 10*time.Millisecond)
	ended := make(chan struct{})
	var killer sync.WaitGroup
	killer.Go(func() {
		r := rand.New(rand.NewPCG(1, 1))
		for {
			select {
			case <-ended:
				return
			case <-time.After(time.Duration(r.IntN(50)) * time.Millisecond):
			}
			if c := p.peer(2).conn.Load(); c != nil && r.IntN(2) == 0 {
				_ = c.nc.Close()
			}
			for _, c := range s.snapshot() {
				_ = c.nc.Close()
			}
		}
	})
	y.wg.Wait()
	close(ended)
	killer.Wait()
	y.check()
}
