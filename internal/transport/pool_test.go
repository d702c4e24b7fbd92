package transport

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// world is node 1 on host a, with a Pool, and node 2 on host b, with a Server.
type world struct {
	net    *Memory
	pool   *Pool
	server *Server
	log    lines
	stop   func() // ends the Server
	mu     sync.Mutex
	events []string // "up at 1s"
	began  time.Time
}

func newWorld(t *testing.T, h wire.Handler) *world {
	w := &world{net: NewMemory(1), began: time.Now()}
	w.server = NewServer(Default(), Hooks{Identity: identityOf(2)}, h, nil)
	_, w.stop = serve(t, w.server, w.net.Host("b"), "b:1")
	w.pool = NewPool(Default(), w.net.Host("a"), Hooks{
		Identity: identityOf(1),
		Changed: func(id kv.NodeID, up bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, fmt.Sprintf("%d %v", id, up))
		},
	}, w.log.logger())
	w.pool.SetPeers([]Peer{{ID: 2, Addr: "b:1"}})
	runPool(t, w.pool)
	synctest.Wait()
	return w
}

func (w *world) happened() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := strings.Join(w.events, ", ")
	w.events = nil
	return s
}

// waitFor sleeps until peer 2 is up, or down, and returns how long it took.
func (w *world) waitFor(t *testing.T, up bool) time.Duration {
	t.Helper()
	began := time.Now()
	for w.pool.Up(2) != up {
		if time.Since(began) > time.Minute {
			t.Fatalf("the peer does not become up=%v", up)
		}
		time.Sleep(time.Millisecond)
	}
	synctest.Wait() // the hook and the log follow
	return time.Since(began)
}

func (w *world) ask(d time.Duration) outcome { return ask(at{w.pool, 2}, wire.TypeReplicaPut, "x", d) }

func TestPoolConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo)
		if !w.pool.Up(2) || w.happened() != "2 true" {
			t.Error("the peer is not up")
		}
		if o := w.ask(time.Second); o.payload != "x" || o.err != nil {
			t.Errorf("call: %+v", o)
		}
		if st := w.pool.Stats(); st.Up != 1 || st.Down != 0 || st.Connects != 1 || st.Pending != 0 {
			t.Errorf("stats: %+v", st)
		}
		wantError(t, "a call to a stranger", ask(at{w.pool, 9}, wire.TypeGet, "", time.Second).err, kv.KindUnavailable, kv.AppliedNo)
		time.Sleep(time.Hour) // idle
		if st := w.pool.Stats(); st.Connects != 1 || st.WentDown != 0 || w.server.Stats().Dropped != 0 {
			t.Errorf("after an idle hour: %+v", st)
		}
	})
}

// A peer that stops, its connection standing, is down within DownAfter + Tick;
// its calls end at that moment; it is up again as soon as it speaks.
func TestStoppedPeerIsRoutedAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo)
		time.Sleep(10 * time.Second)
		w.net.CutBoth("a", "b") // as good as SIGSTOP, seen from here
		done := make(outcomesOf, 1)
		began := time.Now()
		w.pool.Call(2, within(wire.TypeReplicaPut, time.Minute), wire.Raw("x"), done, 0)
		wantError(t, "the pending call", (<-done).err, kv.KindUnavailable, kv.AppliedUnknown)
		limit := Default().DownAfter + 2*Default().Tick
		if d := time.Since(began); d > limit || w.pool.Up(2) {
			t.Errorf("the call ended after %v, want at most %v; up is %v", d, limit, w.pool.Up(2))
		}
		began = time.Now()
		wantError(t, "a call to a peer that is down", w.ask(time.Minute).err, kv.KindUnavailable, kv.AppliedNo)
		if d := time.Since(began); d != 0 {
			t.Errorf("it took %v", d)
		}
		time.Sleep(2500 * time.Millisecond)
		w.net.Heal("a", "b")
		if d := w.waitFor(t, true); d > 2*Default().Tick {
			t.Errorf("it is up %v after it spoke", d)
		}
		if o := w.ask(time.Second); o.err != nil {
			t.Errorf("a call afterwards: %v", o.err)
		}
		if d := w.pool.Latency(2); d > 200*time.Millisecond {
			t.Errorf("because it had stopped it seems to be %v away", d)
		}
		if got := w.happened(); got != "2 true, 2 false, 2 true" {
			t.Errorf("changes: %s", got)
		}
		if st := w.pool.Stats(); st.Connects != 1 {
			t.Errorf("the connection did not stand: %+v", st)
		}
	})
}

// While calls flow, their answers are the signs of life: no pings are sent.
func TestAnswersCountAsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo)
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			if o := w.ask(time.Second); o.err != nil {
				t.Fatal(o.err)
			}
		}
		if st := w.pool.Stats(); st.FramesOut != 100 {
			t.Errorf("%d frames for 100 calls", st.FramesOut)
		}
	})
}

// One direction alone is cut: requests arrive, answers do not.
func TestOneWayCutIsFound(t *testing.T) {
	for _, dir := range [][2]string{{"a", "b"}, {"b", "a"}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, echo)
			w.net.Cut(dir[0], dir[1])
			if d, limit := w.waitFor(t, false), Default().DownAfter+2*Default().Tick; d > limit {
				t.Errorf("%v: down after %v, want at most %v", dir, d, limit)
			}
		})
	}
}

// A half-open connection, whose far end is gone without a word, is closed by
// both sides within 5 s.
func TestHalfOpenConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo)
		client := dial(t, Default(), w.net.Host("c"), "b:1", 0)
		w.net.CutBoth("a", "b")
		w.net.CutBoth("c", "b")
		began, first := time.Now(), w.pool.peer(2).conn.Load()
		<-client.Done()
		<-first.Done()
		for w.server.Stats().Conns > 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("closed after %v", d)
		}
		wantError(t, "the client's connection", client.Err(), kv.KindUnavailable, kv.AppliedNo)
		if n := w.server.Stats().Dropped; n != 2 {
			t.Errorf("the server dropped %d connections, want 2", n)
		}
		w.net.Heal("a", "b")
		if d, limit := w.waitFor(t, true), Default().BackoffMax+Default().DownAfter; d > limit {
			t.Errorf("connected again after %v, want at most %v", d, limit)
		}
	})
}

// A peer that takes nothing, though it sends, is dropped by the server.
func TestStuckWriteIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := NewMemory(1), &lines{}
		h := handlerFunc(func(rq wire.Request) { rq.Reply.Send(wire.Raw(make([]byte, 1<<20))) })
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, h, log.logger())
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		nc := shakeHands(t, m.Host("x"), addr, 0)
		time.Sleep(time.Minute / 20)
		began := time.Now()
		_, _ = nc.Write(frame(wire.Header{Type: wire.TypeGet, ID: 1, Deadline: 1000}, ""))
		for s.Stats().Conns > 0 {
			time.Sleep(100 * time.Millisecond)
			_, _ = nc.Write(frame(wire.Header{Type: wire.TypePing, ID: 2}, ""))
		}
		if d := time.Since(began); d < Default().DeadAfter || d > 5*time.Second {
			t.Errorf("dropped after %v", d)
		}
		synctest.Wait()
		if got := log.all(); len(got) != 1 || !strings.Contains(got[0], "took nothing") {
			t.Errorf("log: %q", got)
		}
	})
}

// A connection on which requests come, and no answer is due yet, is not stuck.
func TestNothingToWriteIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, handlerFunc(func(wire.Request) {}), nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		nc := shakeHands(t, m.Host("x"), addr, 0)
		for id := range uint64(20) {
			_, _ = nc.Write(frame(wire.Header{Type: wire.TypeGet, ID: id, Deadline: 60000}, ""))
			time.Sleep(time.Second)
		}
		if st := s.Stats(); st.Conns != 1 {
			t.Errorf("stats: %+v", st)
		}
	})
}

// A peer that dies and returns is used again within BackoffMax.
func TestPeerReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo)
		time.Sleep(time.Second)
		w.stop()
		w.net.Kill("b")
		if d := w.waitFor(t, false); d > 2*time.Millisecond {
			t.Errorf("a peer that refuses connections is down after %v", d)
		}
		time.Sleep(time.Second)
		o := w.ask(time.Second)
		wantError(t, "a call meanwhile", o.err, kv.KindUnavailable, kv.AppliedNo)
		if !strings.Contains(o.err.Error(), "connection refused") {
			t.Errorf("the call's error does not say why: %v", o.err)
		}
		time.Sleep(time.Hour)
		_, stop := serve(t, NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, nil), w.net.Host("b"), "b:1")
		if d := w.waitFor(t, true); d > Default().BackoffMax {
			t.Errorf("up %v after its return", d)
		}
		if got := len(w.log.all()); got != 3 { // up, down, up: nothing per attempt
			t.Errorf("log: %q", w.log.all())
		}

		// The pauses begin anew: a restart is hardly noticed.
		time.Sleep(time.Second)
		stop()
		w.waitFor(t, false)
		serve(t, NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, nil), w.net.Host("b"), "b:1")
		if d := w.waitFor(t, true); d > 2*Default().BackoffMin {
			t.Errorf("up %v after a restart", d)
		}
	})
}

// A lost connection that can be made again at once is no reason to be down.
func TestLostConnectionIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo)
		for range 3 {
			time.Sleep(time.Second)
			w.net.Drop("a", "b")
			synctest.Wait()
			if o := w.ask(time.Second); o.err != nil {
				t.Errorf("a call on the new connection: %v", o.err)
			}
		}
		if st := w.pool.Stats(); w.happened() != "2 true" || st.Connects != 4 {
			t.Errorf("stats: %+v", st)
		}
	})
}

// An address that takes connections and drops them is not tried without pause.
func TestFleetingConnectionsAreSpaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		conns := mute(t, m.Host("b"), "b:1", 2)
		var reader sync.WaitGroup
		ended := make(chan struct{})
		reader.Go(func() {
			for {
				select {
				case nc := <-conns:
					_ = nc.Close()
				case <-ended:
					return
				}
			}
		})
		p := NewPool(Default(), m.Host("a"), Hooks{Identity: identityOf(1)}, nil)
		p.SetPeers([]Peer{{ID: 2, Addr: "b:1"}})
		stop := runPool(t, p)
		time.Sleep(time.Minute)
		stop()
		close(ended)
		reader.Wait()
		if n := p.Stats().Connects; n < 100 || n > 400 {
			t.Errorf("%d connections in a minute, want one in 200 to 400 ms", n)
		}
	})
}

func TestPeerOfAnotherIdentityIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo)
		w.pool.SetPeers([]Peer{{ID: 3, Addr: "b:1"}})
		time.Sleep(time.Second)
		if w.pool.Up(3) || w.pool.Up(2) || w.pool.Stats().Mismatched == 0 {
			t.Errorf("stats: %+v", w.pool.Stats())
		}
		o := ask(at{w.pool, 3}, wire.TypeReplicaPut, "", time.Second)
		wantError(t, "the call", o.err, kv.KindUnavailable, kv.AppliedNo)
		if !strings.Contains(o.err.Error(), "0000000000000002 answers in place of 0000000000000003") {
			t.Errorf("the error does not name both: %v", o.err)
		}
		if got := w.happened(); got != "2 true, 2 false" {
			t.Errorf("changes: %s", got)
		}
	})
}

func TestPoolTellsOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		var attempts atomic.Int32
		admit := func(wire.Hello) error {
			if attempts.Add(1) <= 3 {
				return kv.Errorf(kv.KindOldCopy, "admit", "this is an old copy")
			}
			return nil
		}
		s := NewServer(Default(), Hooks{Identity: identityOf(2), Admit: admit}, echo, nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		refused, accepted := make(chan error, 1000), make(chan kv.NodeID, 1000)
		p := NewPool(Default(), m.Host("a"), Hooks{
			Identity: identityOf(1),
			Refused:  func(id kv.NodeID, err error) { refused <- err },
			Accepted: func(id kv.NodeID, ack wire.HelloAck) { accepted <- ack.Node },
		}, nil)
		p.SetPeers([]Peer{{ID: 2, Addr: addr}})
		runPool(t, p)
		for range 3 {
			wantError(t, "Refused", <-refused, kv.KindOldCopy, kv.AppliedNo)
			if p.Up(2) || len(accepted) != 0 {
				t.Error("a peer that refuses us is up")
			}
		}
		if id := <-accepted; id != 2 {
			t.Errorf("Accepted tells of %v", id)
		}
	})
}

func TestSetPeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo)
		other := NewServer(Default(), Hooks{Identity: identityOf(3)}, echo, nil)
		serve(t, other, w.net.Host("c"), "c:1")
		w.pool.SetPeers([]Peer{{2, "b:1"}, {3, "c:1"}})
		synctest.Wait()
		if !w.pool.Up(2) || !w.pool.Up(3) || w.server.Stats().Conns != 1 || w.pool.Stats().Connects != 2 {
			t.Errorf("after adding a peer: %+v", w.pool.Stats())
		}
		w.pool.SetPeers([]Peer{{2, "b:1"}})
		wantError(t, "a call to a peer no more", ask(at{w.pool, 3}, wire.TypeGet, "", time.Second).err, kv.KindUnavailable, kv.AppliedNo)
		synctest.Wait()
		if other.Stats().Conns != 0 || w.server.Stats().Conns != 1 {
			t.Error("the removed peer's connection stands, or the other's does not")
		}

		moved := NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, nil)
		serve(t, moved, w.net.Host("d"), "d:1")
		w.pool.SetPeers([]Peer{{2, "d:1"}})
		synctest.Wait()
		if !w.pool.Up(2) || moved.Stats().Conns != 1 || w.server.Stats().Conns != 0 {
			t.Errorf("after a move: %+v", w.pool.Stats())
		}
		if got := w.happened(); got != "2 true, 3 true, 3 false, 2 false, 2 true" {
			t.Errorf("changes: %s", got)
		}
	})
}

func TestPoolEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		mute(t, m.Host("b"), "b:1", 2)
		p := NewPool(Default(), m.Host("a"), Hooks{Identity: identityOf(1)}, nil)
		p.SetPeers([]Peer{{2, "b:1"}, {3, "nowhere:1"}})
		stop := runPool(t, p)
		synctest.Wait()
		done := make(outcomesOf, 1)
		p.Call(2, within(wire.TypeReplicaPut, time.Minute), wire.Raw("x"), done, 0)
		synctest.Wait()
		stop()
		wantError(t, "the pending call", (<-done).err, kv.KindClosed, kv.AppliedUnknown)
		wantError(t, "a later call", ask(at{p, 2}, wire.TypeGet, "", time.Second).err, kv.KindClosed, kv.AppliedNo)
	})
}

func TestCallAddr(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, handlerFunc(func(rq wire.Request) {
			rq.Reply.Interim(wire.Raw("not yet"))
			rq.Reply.Send(wire.Raw(rq.From.String()))
		}))
		got, err := w.pool.CallAddr(t.Context(), "b:1", within(wire.TypeState, time.Second), wire.Raw("x"))
		if string(got) != kv.NodeID(1).String() || err != nil {
			t.Errorf("answer %q, %v", got, err)
		}
		synctest.Wait()
		if n := w.server.Stats().Conns; n != 1 {
			t.Errorf("%d connections stand, want the Pool's", n)
		}
		_, err = w.pool.CallAddr(t.Context(), "nowhere:1", within(wire.TypeState, time.Second), wire.Raw("x"))
		wantError(t, "a wrong address", err, kv.KindUnavailable, kv.AppliedNo)
		w.net.CutBoth("a", "b")
		began := time.Now()
		_, err = w.pool.CallAddr(t.Context(), "b:1", within(wire.TypeState, time.Second), wire.Raw("x"))
		wantError(t, "a cut link", err, kv.KindUnavailable, kv.AppliedNo)
		if d := time.Since(began); d != time.Second {
			t.Errorf("it ended after %v, want 1s", d)
		}
	})
}
