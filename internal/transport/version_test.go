package transport

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

func versions(min, max wire.Version) func() wire.Versions {
	return func() wire.Versions { return wire.Versions{Min: min, Max: max} }
}

// Whatever each side speaks, levels arrive as far as both can tell them.
func TestVersionsOfOneConnection(t *testing.T) {
	within, settled := kv.LevelOf(5).At(1, 2), kv.LevelOf(5)
	tests := []struct {
		name         string
		dials, takes func() wire.Versions
		version      wire.Version
		level        kv.Level
	}{
		{"1-1", versions(1, 1), versions(1, 1), 1, settled},
		{"1-2", versions(1, 1), versions(1, 2), 1, settled},
		{"2-1", versions(1, 2), versions(1, 1), 1, settled},
		{"2-2", versions(1, 2), versions(1, 2), 2, within},
		{"2-3", versions(1, 2), versions(1, 3), 2, within},
		{"3-1", versions(1, 3), versions(1, 1), 1, settled},
		{"3-2", versions(1, 3), versions(1, 2), 2, within},
		{"3-3", versions(1, 3), versions(1, 3), 3, within},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := NewMemory(1)
				asked := make(chan kv.Level, 2)
				h := handlerFunc(func(rq wire.Request) {
					asked <- rq.Level
					rq.Reply.Send(wire.Raw(make([]byte, len(rq.Payload))))
				})
				s := NewServer(Default(), Hooks{Identity: identityOf(2), Versions: test.takes, Level: func() kv.Level { return within }}, h, nil)
				addr, _ := serve(t, s, m.Host("b"), "b:1")
				hello := helloOf(1)
				hello.Versions = test.dials()
				c, err := Dial(context.Background(), Default(), m.Host("a"), addr, hello)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if got := c.Peer().Version; got != test.version {
					t.Errorf("version %d was chosen, want %d", got, test.version)
				}
				time.Sleep(5 * time.Millisecond) // stamps are not 0 any more
				for _, size := range []int{1, 3 * wire.MaxChunk} {
					done := make(outcomesOf, 1)
					c.Call(wire.Call{Type: wire.TypeReplicaPut, Deadline: time.Now().Add(time.Second), Level: within}, wire.Raw(make([]byte, size)), done, 1)
					got := <-done
					if got.err != nil {
						t.Fatalf("the request of %d bytes: %v", size, got.err)
					}
					if got.level != test.level || len(got.payload) != size {
						t.Errorf("the answer of %d bytes has %d, level %v; want level %v", size, len(got.payload), got.level, test.level)
					}
					if got := <-asked; got != test.level {
						t.Errorf("the request of %d bytes has level %v, want %v", size, got, test.level)
					}
				}
			})
		})
	}
}

// Messages that a version lacks are not sent over its connections, and whoever
// sends them breaks the protocol.
func TestTypesThatAVersionLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		s := NewServer(Default(), Hooks{Identity: identityOf(2), Versions: versions(1, 1)}, echo, nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		c := dial(t, Default(), m.Host("a"), addr, 1)
		wantError(t, "a vote", ask(c, wire.TypeVote, "it", time.Second).err, kv.KindWrongVersion, kv.AppliedNo)
		if got := ask(c, wire.TypeState, "it", time.Second); got.err != nil {
			t.Errorf("what the version has: %v", got.err)
		}
		c.peer.Version = 2
		wantError(t, "a vote all the same", ask(c, wire.TypeVote, "it", time.Second).err, kv.KindUnavailable, kv.AppliedUnknown)
		synctest.Wait()
		if st := s.Stats(); st.Malformed != 1 || st.Conns != 0 {
			t.Errorf("stats: %+v", st)
		}
	})
}

// A stamp on a connection whose version has none breaks the protocol.
func TestStampThatAVersionLacks(t *testing.T) {
	for _, takes := range []wire.Version{2, 3} {
		synctest.Test(t, func(t *testing.T) {
			m := NewMemory(1)
			s := NewServer(Default(), Hooks{Identity: identityOf(2), Versions: versions(1, takes)}, echo, nil)
			addr, _ := serve(t, s, m.Host("b"), "b:1")
			nc := shakeHands(t, m.Host("a"), addr, 1)
			_, _ = nc.Write(frame(wire.Header{Type: wire.TypePing, ID: 1, Stamp: 1}, ""))
			synctest.Wait()
			if n := s.Stats().Malformed; (n == 1) != (takes == 2) {
				t.Errorf("version %d: %d connections break it", takes, n)
			}
		})
	}
}

// When members have to speak a later version, connections of less end at both
// sides, those of clients stand, and no new one is made.
func TestConnectionsThatAreOutgrown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := NewMemory(1), &lines{}
		var least atomic.Uint32
		least.Store(1)
		rises := func() wire.Versions { return wire.Versions{Min: wire.Version(least.Load()), Max: 2} }
		admit := func(h wire.Hello) error {
			if h.Role == wire.RoleNode && h.Max < rises().Min {
				return kv.Errorf(kv.KindOldCopy, "admit node", "upgrade it")
			}
			return nil
		}
		s := NewServer(Default(), Hooks{Identity: identityOf(2), Versions: rises, Admit: admit}, echo, log.logger())
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		old := NewServer(Default(), Hooks{Identity: identityOf(1), Versions: versions(1, 1)}, echo, nil)
		oldAddr, _ := serve(t, old, m.Host("a"), "a:1")

		told := make(chan error, 100)
		from := NewPool(Default(), m.Host("a"), Hooks{Identity: identityOf(1), Versions: versions(1, 1), Refused: func(_ kv.NodeID, err error) { told <- err }}, nil)
		from.SetPeers([]Peer{{2, addr}})
		runPool(t, from)
		to := NewPool(Default(), m.Host("b"), Hooks{Identity: identityOf(2), Versions: rises}, nil)
		to.SetPeers([]Peer{{1, oldAddr}})
		runPool(t, to)
		hello := helloOf(0)
		hello.Versions = versions(1, 1)()
		client, err := Dial(context.Background(), Default(), m.Host("c"), addr, hello)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		time.Sleep(time.Second)
		if !from.Up(2) || !to.Up(1) {
			t.Fatal("neighbours are not connected")
		}
		least.Store(2)
		time.Sleep(3 * time.Second)
		if from.Up(2) || to.Up(1) {
			t.Errorf("the connections stand: %v, %v", from.Up(2), to.Up(1))
		}
		select {
		case err := <-told:
			wantError(t, "the old node's next handshake", err, kv.KindOldCopy, kv.AppliedNo)
		default:
			t.Error("the old node is not told")
		}
		if got := ask(client, wire.TypePing, "", time.Second); got.err != nil {
			t.Errorf("a client is cut off: %v", got.err)
		}
		if !strings.Contains(strings.Join(log.all(), ""), "members of the cluster speak protocol version 2 by now") {
			t.Errorf("log: %q", log.all())
		}
	})
}
