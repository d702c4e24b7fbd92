package membership

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestCreateAndJoin(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 3)
		defer stopAll(t, nodes...)
		for _, n := range nodes {
			if statusOf(n, "n1") != StatusMember || statusOf(n, "n2") != StatusStaged || statusOf(n, "n3") != StatusStaged {
				t.Errorf("%s sees %+v", n.cfg.Name, n.Members())
			}
			if r := n.Ring(); r.Epoch() != 1 || r.Params() != testParams || len(r.Nodes()) != 1 {
				t.Errorf("%s has the ring %+v", n.cfg.Name, r)
			}
			if k := n.State().Secret(); len(k) != SecretSize || string(k) != string(nodes[0].State().Secret()) {
				t.Errorf("%s has a key of %d bytes", n.cfg.Name, len(k))
			}
		}
	})
}

func TestStartModes(t *testing.T) {
	other := testParams
	other.Q = 32
	for _, c := range []struct {
		name   string
		before func(*Config)
		then   func(*Config)
		kind   kv.Kind
		text   string
	}{
		{"neither", nil, nil, kv.KindInvalid, "no cluster: give --create or --seeds"},
		{"created before, nothing given", creating, nil, kv.NumKinds, ""},
		{"created twice alike", creating, creating, kv.NumKinds, ""},
		{"created twice with other parameters", creating, func(c *Config) { c.Create = &other }, kv.KindRefused, "not n=3 r=2 w=2 q=32 md5"},
		{"created and then seeded", creating, seededBy(2), kv.NumKinds, ""},
		{"another name", creating, func(c *Config) { c.Name = "n9" }, kv.KindRefused, `belongs to node "n1", not "n9"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := newNode(t, newFabric(), 1, c.before)
			if c.before != nil {
				if err := n.open(); err != nil {
					t.Fatal(err)
				}
				if err := n.Close(); err != nil {
					t.Fatal(err)
				}
				n.cfg.Create = nil
			}
			if c.then != nil {
				c.then(&n.cfg)
			}
			n.fs = n.fs.CrashClone(vfs.CrashCloneCfg{})
			err := n.open()
			if c.kind == kv.NumKinds {
				if err != nil || n.State().Epoch() != 1 {
					t.Fatalf("got %v", err)
				}
				return
			}
			if kv.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %v: %s", err, c.kind, c.text)
			}
			if again := n.open(); kv.KindOf(again) != c.kind {
				t.Errorf("the second try: got %v; is the directory still locked?", again)
			}
		})
	}
}

func TestJoinRefusesATakenName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := cluster(t, f, 2)
		twin := newNode(t, f, 3, seededBy(1))
		twin.cfg.Name = "n2"
		twin.run()
		err := <-twin.ended
		twin.ended <- err
		want := fmt.Sprintf(`name "n2" is taken by node %v (up): use replace`, nodes[1].ID())
		if kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		twin.stop()

		// Once n2 is down the name is not free, but its bearer may be replaced.
		stopAll(t, nodes[1])
		eventually(t, "n1 knows that n2 is down", func() bool { return !nodes[0].live.of(nodes[1].ID()).Up })
		twin.run()
		eventually(t, "the twin is known", agreed(3, nodes[0], twin))
		if got := nodes[0].State().Status(twin.ID()); got != StatusStaged {
			t.Errorf("n1 takes the twin for %v", got)
		}
		if _, err := nodes[0].Plan(); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), `both named "n2"`) {
			t.Errorf("a plan with two of a name: %v", err)
		}
		stopAll(t, twin, nodes[0])
	})
}

func TestJoinWaitsForItsSeed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		joiner := newNode(t, f, 2, seededBy(1, 2))
		joiner.run()
		time.Sleep(time.Minute)
		if got := joiner.journal.matching("no cluster joined yet"); len(got) != 1 {
			t.Errorf("the log has %d lines about it, want one: %q", len(got), got)
		}
		if joiner.State().Cluster() != 0 || joiner.Ring() != nil {
			t.Error("the joiner is in a cluster of its own")
		}
		creator := newNode(t, f, 1, creating)
		creator.run()
		eventually(t, "the joiner has joined", agreed(2, creator, joiner))
		select {
		case <-joiner.Joined():
		default:
			t.Error("Joined is open")
		}
		stopAll(t, creator, joiner)
	})
}

// Two joiners that seed each other wait for somebody who knows a cluster.
func TestJoinersDoNotFoundACluster(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		a, b := newNode(t, f, 2, seededBy(3)), newNode(t, f, 3, seededBy(2))
		a.run()
		b.run()
		time.Sleep(time.Minute)
		if a.State().Cluster() != 0 || b.State().Cluster() != 0 {
			t.Error("a cluster came out of nothing")
		}
		stopAll(t, a, b)
	})
}

func TestTwoClustersStayApart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		var nodes []*testNode
		for i := 1; i <= 4; i++ {
			n := newNode(t, f, i, seededBy(1, 2, 3, 4))
			if i <= 2 {
				creating(&n.cfg)
			} else {
				// n3 and n4 know one cluster each before they hear of the other.
				n.cfg.Seeds = n.cfg.Seeds[i-3 : i-2]
			}
			n.run()
			nodes = append(nodes, n)
		}
		first, second := []*testNode{nodes[0], nodes[2]}, []*testNode{nodes[1], nodes[3]}
		eventually(t, "both clusters agree", func() bool { return agreed(2, first...)() && agreed(2, second...)() })
		for _, n := range nodes[2:] {
			seededBy(1, 2, 3, 4)(&n.cfg)
			n.restart()
		}
		time.Sleep(2 * time.Minute)
		for _, n := range nodes {
			if len(n.State().Members()) != 2 {
				t.Errorf("%s has members %+v", n.cfg.Name, n.Members())
			}
		}
		if nodes[0].State().Cluster() == nodes[1].State().Cluster() {
			t.Error("the clusters have one id")
		}
		if got := nodes[0].journal.matching("another cluster"); len(got) != 2 {
			t.Errorf("n1 has %d lines about strangers, want one for each: %q", len(got), got)
		}
		stopAll(t, nodes...)
	})
}

func TestRestartWithoutSeeds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := cluster(t, f, 3)
		ids := make(map[kv.NodeID]bool)
		for _, n := range nodes {
			ids[n.ID()] = true
		}
		stopAll(t, nodes...)
		for _, n := range nodes {
			n.cfg.Create, n.cfg.Seeds = nil, nil
			n.fs = n.fs.CrashClone(vfs.CrashCloneCfg{})
			n.run()
		}
		eventually(t, "the nodes see each other again", sees(nodes...))
		eventually(t, "the nodes agree", agreed(3, nodes...))
		for _, n := range nodes {
			if !ids[n.ID()] || n.State().Members()[0].Seen.Boot != 2 {
				t.Errorf("%s: id %v, members %+v", n.cfg.Name, n.ID(), n.State().Members())
			}
		}
		stopAll(t, nodes...)
	})
}

// A node that died and comes back at another address is found there.
func TestNodeMoves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := cluster(t, f, 3)
		nodes[2].kill()
		eventually(t, "n3 is known to be down", func() bool {
			return !nodes[0].live.of(nodes[2].ID()).Up && !nodes[1].live.of(nodes[2].ID()).Up
		})
		nodes[2].link = &link{f: f, addr: peerAddr(9)}
		nodes[2].cfg.Addrs = Addresses{Peer: peerAddr(9), Gossip: gossipAddr(9)}
		nodes[2].run()
		// That is before gossip forgets its dead, after 30 s.
		time.Sleep(10 * time.Second)
		if m, _ := nodes[0].State().Member(nodes[2].ID()); m.Addrs.Peer != peerAddr(9) || !agreed(3, nodes...)() {
			t.Errorf("n1 takes n3 to be at %v", m.Addrs)
		}
		if !sees(nodes...)() {
			t.Error("the nodes do not see each other")
		}
		stopAll(t, nodes...)
	})
}

// A change that is not sent to everybody at once comes round by gossip, long
// before nodes compare their states or gossip exchanges all it knows.
func TestGossipCarriesChanges(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := []*testNode{newNode(t, f, 1, creating), newNode(t, f, 2, seededBy(1)), newNode(t, f, 3, seededBy(1))}
		for _, n := range nodes {
			n.cfg.ExchangeInterval = time.Hour
			n.run()
		}
		eventually(t, "the nodes agree", func() bool { return agreed(3, nodes...)() && sees(nodes...)() })
		time.Sleep(time.Minute)
		for version := range uint64(20) {
			if _, _, err := nodes[0].update(t.Context(), func(st *State) (*State, error) {
				return st.withBucket("b", Bucket{Props: anyProps, Version: version}), nil
			}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(500 * time.Millisecond)
			if !agreed(3, nodes...)() {
				t.Errorf("change %d: the nodes do not agree after 0.5 s", version)
			}
		}
		stopAll(t, nodes...)
	})
}

// A ring that was cut in two for long finds itself again, and nobody was
// removed meanwhile.
func TestPartitionHeals(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := cluster(t, f, 4)
		left, right := append(host(1), host(2)...), append(host(3), host(4)...)
		f.isolate(true, left, right)
		eventually(t, "both sides see the cut", func() bool {
			return sees(nodes[:2]...)() && sees(nodes[2:]...)()
		})
		// Longer than gossip remembers its dead.
		time.Sleep(3 * time.Minute)
		ctx := context.Background()
		lww := kv.Props{Quorums: anyProps.Quorums, Merge: kv.MergeLWW}
		for i, n := range nodes {
			if err := n.SetProps(ctx, fmt.Sprintf("b%d", i), lww); err != nil {
				t.Error(err)
			}
			if len(n.State().Members()) != 4 {
				t.Errorf("%s has members %+v", n.cfg.Name, n.Members())
			}
		}
		f.isolate(false, left, right)
		eventually(t, "the nodes see each other again", sees(nodes...))
		eventually(t, "all changes are everywhere", agreed(4, nodes...))
		if got := nodes[0].State().Buckets(); len(got) != 4 {
			t.Errorf("got buckets %v", got)
		}
		stopAll(t, nodes...)
	})
}
