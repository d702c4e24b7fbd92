package membership

import (
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// mints takes k sequences and returns the id they are under and the last one.
func (n *testNode) mints(k int) (kv.NodeID, uint64) {
	n.t.Helper()
	var id kv.NodeID
	var seq uint64
	for range k {
		var err error
		if id, seq, err = n.Mint().Next(); err != nil {
			n.t.Fatal(err)
		}
	}
	return id, seq
}

// copyOf returns a node on a copy of n's disk, as it is now.
func copyOf(n *testNode) *testNode {
	c := &testNode{t: n.t, cfg: n.cfg, fs: n.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0}), link: &link{f: n.link.f, addr: n.link.addr}}
	return c
}

// backup restores: the node went on after the backup was taken, and died.
func TestOldBackupStops(t *testing.T) {
	for _, c := range []struct {
		name string
		// between happens between the backup and the node's end.
		between func(n *testNode)
	}{
		{"after a restart", func(n *testNode) { n.restart() }},
		{"after more sequences", func(n *testNode) {
			n.mints(3 * testBlock)
			time.Sleep(10 * time.Second)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFabric()
				nodes := []*testNode{newNode(t, f, 1, creating), newNode(t, f, 2, seededBy(1))}
				for _, n := range nodes {
					n.cfg.Block = testBlock
					n.run()
				}
				eventually(t, "the nodes agree", agreed(2, nodes...))
				victim := nodes[1]
				backup := copyOf(victim)
				c.between(victim)
				stopAll(t, victim)

				backup.run()
				err := <-backup.ended
				backup.ended <- err
				if kv.KindOf(err) != kv.KindOldCopy || !strings.Contains(err.Error(), "old copy of a data directory, use replace") {
					t.Errorf("got %v, want old copy", err)
				}
				if id, _, err := backup.Mint().Next(); kv.KindOf(err) != kv.KindOldCopy {
					t.Errorf("it mints: %v, %v", id, err)
				}
				backup.stop()
				stopAll(t, nodes[0])
			})
		})
	}
}

// The same directory, restarted as it should be, goes on under its own id.
func TestRestartIsConfirmed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 2)
		_, last := nodes[1].mints(5)
		nodes[1].restart()
		if _, _, err := nodes[1].Mint().Next(); kv.KindOf(err) != kv.KindUnavailable {
			t.Errorf("before a peer's word: got %v", err)
		}
		<-nodes[1].Mint().Ready()
		eventually(t, "a peer confirms n2", nodes[1].Mint().confirmed)
		id, first := nodes[1].mints(1)
		if id != nodes[1].ID() || first <= last {
			t.Errorf("mints %d under %v, want after %d under %v", first, id, last, nodes[1].ID())
		}
		if got := nodes[1].State().Members(); len(got[0].Aliases)+len(got[1].Aliases) != 0 {
			t.Errorf("an interim id was taken: %+v", got)
		}
		stopAll(t, nodes...)
	})
}

// Two processes on copies of one directory: at most one goes on.
func TestTwoCopiesAlive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := cluster(t, f, 3)
		twin := copyOf(nodes[2])
		twin.link.addr = peerAddr(8)
		twin.cfg.Addrs = Addresses{Peer: peerAddr(8), Gossip: gossipAddr(8)}
		twin.run()
		alive := func() int {
			n := 0
			for _, c := range []*testNode{nodes[2], twin} {
				select {
				case err := <-c.ended:
					c.ended <- err
					if kv.KindOf(err) != kv.KindOldCopy {
						t.Fatalf("got %v, want old copy", err)
					}
				default:
					n++
				}
			}
			return n
		}
		eventually(t, "one of the two has stopped", func() bool { return alive() <= 1 })
		nodes[2].stop()
		twin.stop()
		stopAll(t, nodes[:2]...)
	})
}

// Without a peer a node mints under an interim id, which everybody hears of
// later, and goes on under its own once a peer has spoken.
func TestInterimID(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := cluster(t, f, 3)
		_, last := nodes[2].mints(1)
		stopAll(t, nodes[:2]...)
		nodes[2].restart()
		began := time.Now()
		<-nodes[2].Mint().Ready()
		if waited := time.Since(began); waited != nodes[2].cfg.ConfirmWait {
			t.Errorf("it waited %v", waited)
		}
		interim, _ := nodes[2].mints(1)
		if interim == nodes[2].ID() {
			t.Fatal("it minted under its own id")
		}
		if m, _ := nodes[2].State().Member(nodes[2].ID()); len(m.Aliases) != 1 || m.Aliases[0] != interim {
			t.Errorf("its entry has the aliases %v", m.Aliases)
		}
		// The alias was durable before its first use; the next start draws
		// another.
		nodes[2].restart()
		<-nodes[2].Mint().Ready()
		second, _ := nodes[2].mints(1)
		if m, _ := nodes[2].State().Member(nodes[2].ID()); len(m.Aliases) != 2 || second == interim {
			t.Errorf("the second start has the aliases %v, and mints under %v", m.Aliases, second)
		}
		for _, n := range nodes[:2] {
			n.fs = n.fs.CrashClone(vfs.CrashCloneCfg{})
			n.run()
		}
		eventually(t, "a peer confirms n3", nodes[2].Mint().confirmed)
		if id, seq := nodes[2].mints(1); id != nodes[2].ID() || seq <= last {
			t.Errorf("mints %d under %v", seq, id)
		}
		eventually(t, "the nodes agree", agreed(3, nodes...))
		if m, _ := nodes[0].State().Member(nodes[2].ID()); len(m.Aliases) != 2 {
			t.Errorf("n1 knows the aliases %v", m.Aliases)
		}
		stopAll(t, nodes...)
	})
}

func TestLoneNodeNeedsNoWord(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t, newFabric(), 1, func(c *Config) { creating(c); seededBy(1)(c) })
		n.run()
		n.restart()
		if id, _ := n.mints(1); id != n.ID() {
			t.Errorf("mints under %v", id)
		}
		stopAll(t, n)
	})
}

func TestSkewOfAService(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := []*testNode{}
		f := newFabric()
		for i := 1; i <= 4; i++ {
			change := seededBy(1)
			if i == 1 {
				change = creating
			}
			n := newNode(t, f, i, change)
			if i == 4 {
				n.ahead.Store(int64(5 * time.Second))
			}
			n.run()
			nodes = append(nodes, n)
		}
		if got := nodes[0].Skew(); got != 0 {
			t.Errorf("before any comparison: %v", got)
		}
		eventually(t, "the nodes agree", agreed(4, nodes...))
		time.Sleep(time.Minute)
		for i, n := range nodes {
			want := time.Duration(0)
			if i == 3 {
				want = 5 * time.Second
			}
			if got := n.Skew(); got != want {
				t.Errorf("n%d: got %v, want %v", i+1, got, want)
			}
		}
		stopAll(t, nodes...)
	})
}

// A clock that is set while the nodes run is noticed by the other one.
func TestClockThatIsSet(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 2)
		time.Sleep(time.Minute)
		if got := nodes[0].Skew(); got != 0 {
			t.Errorf("before: %v", got)
		}
		nodes[1].ahead.Store(int64(7 * time.Second))
		time.Sleep(2 * nodes[0].cfg.ExchangeInterval)
		if got := nodes[0].Skew(); got != -7*time.Second {
			t.Errorf("after: %v, want -7s", got)
		}
		stopAll(t, nodes...)
	})
}

// Only the word of a member that is not an old copy itself counts.
func TestAccepted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t, newFabric(), 1, creating)
		if err := n.open(); err != nil {
			t.Fatal(err)
		}
		st := n.State().
			withMember(Member{ID: 1002, Seen: Seen{Boot: 5, Nonce: 55, Limit: 50}}).
			withMember(Member{ID: 1003, Decision: Decision{Status: StatusRemoved}})
		n.state.Store(st)
		if err := n.dir.saveState(st); err != nil {
			t.Fatal(err)
		}
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		if err := n.open(); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name string
			id   wire.Identity
			want bool
		}{
			{"the node itself", n.dir.identity(), false},
			{"a stranger", wire.Identity{Node: 1009, Boot: 1}, false},
			{"a removed node", wire.Identity{Node: 1003, Boot: 1}, false},
			{"an old copy", wire.Identity{Node: 1002, Boot: 4, Nonce: 44}, false},
			{"a member", wire.Identity{Node: 1002, Boot: 6, Nonce: 66, Base: 50, Limit: 60}, true},
		} {
			n.Accepted(c.id.Node, wire.HelloAck{Version: 1, Identity: c.id})
			if n.Mint().confirmed() != c.want {
				t.Errorf("%s: confirmed %v", c.name, !c.want)
			}
		}
	})
}
