package transport

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/wire"
)

func TestLatencyOfAPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo)
		w.net.Delay("a", "b", 2*time.Millisecond, 0)
		if w.pool.Latency(9) != 0 || w.pool.Tail(9) != 0 {
			t.Error("the latency of a stranger is known")
		}
		for range 200 * sampleEvery {
			if o := ask(at{w.pool, 2}, wire.TypeReplicaRead, "x", time.Second); o.err != nil {
				t.Fatal(o.err)
			}
		}
		if got := w.pool.Latency(2).Round(time.Microsecond); got != 2*time.Millisecond {
			t.Errorf("latency %v, want 2ms", got)
		}
		if got := w.pool.Tail(2); got < 2*time.Millisecond || got > 6*time.Millisecond {
			t.Errorf("tail %v, want 2ms to 6ms", got)
		}
	})
}

// TestWhatIsTimedForTheTail: reads, also those whose answer came too late for the
// one who asked; neither writes, nor hedges, which count for nothing.
func TestWhatIsTimedForTheTail(t *testing.T) {
	const slow = 40 * time.Millisecond
	for _, tc := range []struct {
		name        string
		call        wire.Call
		usual, tail bool
	}{
		{"read", wire.Call{Type: wire.TypeReplicaRead}, true, true},
		{"write", wire.Call{Type: wire.TypeReplicaPut}, true, false},
		{"hedge", wire.Call{Type: wire.TypeReplicaRead, Hedge: true}, false, false},
		{"request", wire.Call{Type: wire.TypeGet}, false, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, echo)
			w.net.Delay("b", "a", time.Millisecond, 0)
			for range 200 * sampleEvery {
				ask(at{w.pool, 2}, wire.TypeReplicaRead, "x", time.Second)
			}
			usual, tail := w.pool.Latency(2), w.pool.Tail(2)
			w.net.Delay("b", "a", slow, 0)
			for range 2 * sampleEvery { // before a ping is due
				done := make(outcomesOf, 1)
				tc.call.Deadline = time.Now().Add(time.Second)
				w.pool.Call(2, tc.call, wire.Raw("x"), done, 0)
				<-done
			}
			if rose := w.pool.Latency(2) > 5*usual; rose != tc.usual {
				t.Errorf("%s: latency %v, was %v", tc.name, w.pool.Latency(2), usual)
			}
			if rose := w.pool.Tail(2) > tail*23/20; rose != tc.tail {
				t.Errorf("%s: tail %v, was %v", tc.name, w.pool.Tail(2), tail)
			}
		})
	}
}

// TestLatencyIsKnownAtOnce: the handshake tells how far a peer is, and a ping now
// and then whether it still is there, however busy the connection is with
// requests that wait for others at the peer. Those are not timed.
func TestLatencyIsKnownAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const forwarded = 100 * time.Millisecond
		w := newWorld(t, handlerFunc(func(rq wire.Request) {
			reply := rq.Reply
			time.AfterFunc(forwarded, func() { reply.Send(wire.Raw("x")) })
		}))
		w.net.Delay("a", "c", 20*time.Millisecond, 0)
		far := NewServer(Default(), Hooks{Identity: identityOf(3)}, echo, nil)
		serve(t, far, w.net.Host("c"), "c:1")
		w.pool.SetPeers([]Peer{{2, "b:1"}, {3, "c:1"}})
		time.Sleep(100 * time.Millisecond)
		if got := w.pool.Latency(3); got != 20*time.Millisecond {
			t.Errorf("after the handshake the latency is %v, want 20ms", got)
		}
		// There is always a request under way, so that nothing is ever quiet.
		for range 100 * sampleEvery {
			for _, typ := range []wire.Type{wire.TypeGet, wire.TypePut} {
				ask(at{w.pool, 2}, typ, "x", time.Second)
			}
		}
		if got := w.pool.Latency(2); got > time.Microsecond {
			t.Errorf("after requests that were passed on the latency is %v", got)
		}
		w.net.Delay("a", "b", 20*time.Millisecond, 0)
		for range 100 * sampleEvery {
			ask(at{w.pool, 2}, wire.TypeGet, "x", time.Second)
		}
		if got := w.pool.Latency(2).Round(time.Millisecond); got != 20*time.Millisecond {
			t.Errorf("of a peer that is now 20ms away the latency is %v", got)
		}
	})
}
