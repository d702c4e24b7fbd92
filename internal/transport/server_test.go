package transport

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Whoever breaks the protocol after the handshake loses the connection, with
// one line in the log; nobody else does.
func TestBreachesOfTheProtocol(t *testing.T) {
	full := string(make([]byte, wire.MaxChunk))
	spoilt := frame(wire.Header{Type: wire.TypeGet, ID: 1, Deadline: 100}, "x")
	spoilt[len(spoilt)-1]++
	tests := []struct {
		name  string
		from  kv.NodeID
		bytes []byte
	}{
		{"a wrong checksum", 1, spoilt},
		{"a length of 2 GiB", 1, []byte{0x80, 0, 0, 0}},
		{"a length of 0", 1, []byte{0, 0, 0, 0}},
		{"an unknown type", 1, frame(wire.Header{Type: wire.NumTypes, ID: 1}, "")},
		{"a response", 1, frame(wire.Header{Type: wire.TypeGet, ID: 1, Flags: wire.FlagResponse}, "")},
		{"an error", 1, frame(wire.Header{Type: wire.TypeGet, ID: 1, Flags: wire.FlagError}, "")},
		{"a continued frame that is not full", 1, frame(wire.Header{Type: wire.TypeGet, ID: 1, Flags: wire.FlagMore}, full[1:])},
		{"a client's replica put", 0, frame(wire.Header{Type: wire.TypeReplicaPut, ID: 1, Deadline: 100}, "")},
		{"a client's replica read", 0, frame(wire.Header{Type: wire.TypeReplicaRead, ID: 1, Deadline: 100}, "")},
		{"a client's state", 0, frame(wire.Header{Type: wire.TypeState, ID: 1, Deadline: 100}, "")},
		{"a client's vote", 0, frame(wire.Header{Type: wire.TypeVote, ID: 1, Deadline: 100}, "")},
		{"a client's marks", 0, frame(wire.Header{Type: wire.TypeMarks, ID: 1, Deadline: 100}, "")},
		{"a client's list of keys", 0, frame(wire.Header{Type: wire.TypeListKeys, ID: 1, Deadline: 100}, "")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, log := NewMemory(1), &lines{}
				handled := 0
				h := handlerFunc(func(rq wire.Request) {
					handled++
					echo(rq)
				})
				s := NewServer(Default(), Hooks{Identity: identityOf(2)}, h, log.logger())
				addr, _ := serve(t, s, m.Host("b"), "b:1")
				other := dial(t, Default(), m.Host("a"), addr, 3)
				nc := shakeHands(t, m.Host("x"), addr, test.from)
				if _, err := nc.Write(test.bytes); err != nil {
					t.Fatal(err)
				}
				if b, err := io.ReadAll(nc); len(b) > 0 || err != nil {
					t.Errorf("the peer read %d bytes, %v, want the end", len(b), err)
				}
				synctest.Wait()
				if handled != 0 {
					t.Error("the request was handled")
				}
				if got := log.all(); len(got) != 1 || !strings.Contains(got[0], "level=WARN") {
					t.Errorf("log: %q, want one warning", got)
				}
				if st := s.Stats(); st.Malformed != 1 || st.Conns != 1 {
					t.Errorf("stats: %+v", st)
				}
				if o := ask(other, wire.TypeReplicaPut, "x", time.Second); o.payload != "x" || o.err != nil {
					t.Errorf("another connection: %+v", o)
				}
			})
		})
	}
}

// A frame that is cut off is an ordinary end of a connection.
func TestCutFrameIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := NewMemory(1), &lines{}
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, log.logger())
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		b := frame(wire.Header{Type: wire.TypeGet, ID: 1, Deadline: 100}, "some payload")
		for n := range b {
			nc := shakeHands(t, m.Host("x"), addr, 1)
			if _, err := nc.Write(b[:n]); err != nil {
				t.Fatal(err)
			}
			_ = nc.Close()
			synctest.Wait()
		}
		if got := log.all(); len(got) != 0 || s.Stats().Conns != 0 {
			t.Errorf("log %q, stats %+v", got, s.Stats())
		}
	})
}

func TestClientsMaySendWhatTheyMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		var from []kv.NodeID
		h := handlerFunc(func(rq wire.Request) {
			from = append(from, rq.From)
			echo(rq)
		})
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, h, nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		c := dial(t, Default(), m.Host("x"), addr, 0)
		for _, ty := range []wire.Type{wire.TypeGet, wire.TypePut, wire.TypePing} {
			if o := ask(c, ty, "", time.Second); o.err != nil {
				t.Errorf("%v: %v", ty, o.err)
			}
		}
		if len(from) != 2 || from[0] != 0 || from[1] != 0 {
			t.Errorf("requests came from %v, want two from 0: pings are not the handler's", from)
		}
	})
}

// A flood of chunks of messages that never end costs no more memory than
// ClientAssemblyBytes, twice, and the connection.
func TestChunksNeverFinishedStayBounded(t *testing.T) {
	m := NewMemory(1)
	s := NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, nil)
	addr, _ := serve(t, s, m.Host("b"), "b:1")
	nc := shakeHands(t, m.Host("x"), addr, 0)
	chunk := string(make([]byte, wire.MaxChunk))
	before := heap()
	limit := Default().ClientAssemblyBytes
	for i := range limit / wire.MaxChunk {
		if _, err := nc.Write(frame(wire.Header{Type: wire.TypePut, ID: uint64(i), Flags: wire.FlagMore, Deadline: 1000}, chunk)); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = nc.Write(frame(wire.Header{Type: wire.TypePing, ID: 1 << 40}, ""))
	if h, _, err := framesOf(nc).next(); err != nil || h.ID != 1<<40 {
		t.Fatalf("at the limit a ping is answered with %+v, %v", h, err)
	}
	if grown := heap() - before; grown > 3*limit {
		t.Errorf("the heap grew by %d bytes, the limit is %d", grown, limit)
	}
	_, _ = nc.Write(frame(wire.Header{Type: wire.TypePut, ID: 1 << 41, Flags: wire.FlagMore, Deadline: 1000}, chunk))
	if _, err := nc.Read(make([]byte, 1)); err == nil {
		t.Error("past the limit the connection stands")
	}
}

func heap() int {
	runtime.GC()
	var st runtime.MemStats
	runtime.ReadMemStats(&st)
	return int(st.HeapAlloc)
}

// Serve ends with its context, and nothing of it stays behind: the bubble would
// not end.
func TestServeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := NewMemory(1), &lines{}
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, handlerFunc(func(wire.Request) {}), log.logger())
		addr, stop := serve(t, s, m.Host("b"), "b:1")
		c := dial(t, Default(), m.Host("a"), addr, 1)
		half, err := m.Host("x").Dial(context.Background(), addr)
		if err != nil {
			t.Fatal(err)
		}
		defer half.Close()
		done := make(outcomesOf, 1)
		c.Call(within(wire.TypeReplicaPut, time.Minute), wire.Raw("x"), done, 0)
		synctest.Wait()
		began := time.Now()
		stop()
		wantError(t, "the pending call", (<-done).err, kv.KindUnavailable, kv.AppliedUnknown)
		if d := time.Since(began); d != 0 {
			t.Errorf("Serve took %v to end", d)
		}
		if st := s.Stats(); st.Conns != 0 || st.Handshakes != 0 || len(log.all()) != 0 {
			t.Errorf("stats %+v, log %q", st, log.all())
		}
		if _, err := m.Host("a").Dial(context.Background(), addr); err == nil {
			t.Error("the listener is still open")
		}
	})
}

// brittle fails now and then, as a listener does without descriptors.
type brittle struct {
	net.Listener
	fails int
}

func (b *brittle) Accept() (net.Conn, error) {
	if b.fails > 0 {
		b.fails--
		return nil, &net.OpError{Op: "accept", Err: io.ErrNoProgress}
	}
	return b.Listener.Accept()
}

func TestServeOutlivesAcceptErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := NewMemory(1), &lines{}
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, log.logger())
		l, err := m.Host("b").Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(ctx, &brittle{Listener: l, fails: 5}) }()
		if o := ask(dial(t, Default(), m.Host("a"), "b:1", 1), wire.TypeGet, "x", time.Second); o.err != nil {
			t.Error(o.err)
		}
		if n := len(log.all()); n != 5 {
			t.Errorf("%d lines, want 5", n)
		}
		_ = l.Close()
		wantError(t, "Serve without its listener", <-ended, kv.KindClosed, kv.AppliedNo)
		cancel()
	})
}

// A handler may answer after the connection is gone.
func TestLateAnswersAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		replies := make(chan wire.Reply, 1)
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, handlerFunc(func(rq wire.Request) { replies <- rq.Reply }), nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		c := dial(t, Default(), m.Host("a"), addr, 1)
		done := make(outcomesOf, 1)
		c.Call(within(wire.TypeReplicaPut, time.Minute), wire.Raw("x"), done, 0)
		late := <-replies
		_ = c.Close()
		synctest.Wait()
		late.Send(wire.Raw(make([]byte, wire.MaxChunk+1)))
		late.Send(wire.Raw("x"))
		if n := s.Stats(); n.Conns != 0 || n.QueueBytes != 0 || n.Dropped != 0 {
			t.Errorf("stats: %+v", n)
		}
	})
}
