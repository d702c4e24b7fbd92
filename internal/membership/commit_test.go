package membership

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

func TestPlan(t *testing.T) {
	member := func(id kv.NodeID, name, zone string, s Status) Member {
		return Member{ID: id, Profile: Profile{Name: name, Zone: zone, Weight: 1}, Decision: Decision{Status: s}}
	}
	base := newState(testCluster, []Member{member(1, "n1", "a", StatusMember)}, testRing(4, 1), nil)
	if _, err := planChange(newState(0, nil, nil, nil)); kv.KindOf(err) != kv.KindRefused {
		t.Errorf("without a ring: got %v", err)
	}
	if _, err := planChange(base); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "nothing is staged") {
		t.Errorf("with nothing staged: got %v", err)
	}
	if _, err := planChange(base.withMember(member(2, "n2", "", StatusNone))); kv.KindOf(err) != kv.KindRefused {
		t.Errorf("with a node that is not staged: got %v", err)
	}
	if _, err := planChange(base.withMember(member(2, "n1", "", StatusStaged))); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), `both named "n1"`) {
		t.Errorf("with a name that two have: got %v", err)
	}
	staged := base.withMember(member(2, "n2", "b", StatusStaged))
	p, err := planChange(staged)
	if err != nil {
		t.Fatal(err)
	}
	if p.Epoch != 5 || p.Next.Epoch() != 5 || p.Moved != 8 || len(p.Nodes) != 2 || p.Nodes[1].Name != "n2" ||
		p.Nodes[1].LoadBefore != 0 || p.Nodes[1].LoadAfter != 8 || p.Nodes[1].Zone != "b" || p.Nodes[1].Status != StatusStaged {
		t.Errorf("got %+v", p)
	}
	if len(p.Warnings) != 1 || p.Warnings[0] != "2 nodes: each key has 2 replicas, not 3" {
		t.Errorf("got warnings %q", p.Warnings)
	}
	done := p.carriedOut(staged, 1)
	if m, _ := done.Member(2); m.Decision != (Decision{Status: StatusMember, Version: 1, Author: 1}) || done.Epoch() != 5 {
		t.Errorf("carried out: %+v at epoch %d", m.Decision, done.Epoch())
	}
}

func TestDescribeWarning(t *testing.T) {
	st := newState(testCluster, []Member{{ID: 1, Profile: Profile{Name: "n1"}}}, nil, nil)
	r := testRing(1, 1)
	for _, c := range []struct {
		w    ring.Warning
		want string
	}{
		{ring.Warning{Kind: ring.FewNodes}, "1 nodes: each key has 1 replicas, not 3"},
		{ring.Warning{Kind: ring.FewZones}, "fewer zones than 3: some replicas of a key share one"},
		{ring.Warning{Kind: ring.NodeCapped, Node: 1, Fair: 8, Wanted: 12.4}, "node n1 takes 8 partitions, less than the 12 of its weight"},
		{ring.Warning{Kind: ring.ZoneThin, Zone: "z", Fair: 8, Wanted: 2}, `zone "z" takes 8 partitions, more than the 2 of its weight`},
		{ring.Warning{Kind: "of a later release"}, "of a later release"},
	} {
		if got := describeWarning(st, r, c.w); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 3)
		plan, err := nodes[1].Commit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		// All have it already, without gossip.
		for _, n := range nodes {
			if n.Ring().Epoch() != 2 || n.Ring() == nil || len(n.Ring().Nodes()) != 3 || string(n.Ring().AppendTo(nil)) != string(plan.Next.AppendTo(nil)) {
				t.Errorf("%s has epoch %d", n.cfg.Name, n.Ring().Epoch())
			}
			if n.frozen.Load() != 0 {
				t.Errorf("%s is still frozen", n.cfg.Name)
			}
			for _, m := range n.Members() {
				if m.Status != StatusMember {
					t.Errorf("%s takes %s for %v", n.cfg.Name, m.Name, m.Status)
				}
			}
		}
		if _, err := nodes[0].Commit(t.Context()); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "nothing is staged") {
			t.Errorf("a second commit: got %v", err)
		}
		// It is on disk.
		nodes[2].restart()
		if got := nodes[2].Ring().Epoch(); got != 2 {
			t.Errorf("after a crash n3 has epoch %d", got)
		}
		stopAll(t, nodes...)
	})
}

func TestCommitIsRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(f *fabric, nodes []*testNode)
		mend  func(f *fabric, nodes []*testNode)
		kind  kv.Kind
		text  string
	}{
		{
			"a member holds data",
			func(_ *fabric, n []*testNode) { n[0].full.Store(true) },
			func(_ *fabric, n []*testNode) { n[0].full.Store(false) },
			kv.KindRefused, "node n1 holds data: moving data comes with a later release",
		},
		{
			"a staged node holds data",
			func(_ *fabric, n []*testNode) { n[2].full.Store(true) },
			func(_ *fabric, n []*testNode) { n[2].full.Store(false) },
			kv.KindRefused, "node n3 holds data: moving data comes with a later release",
		},
		{
			"a staged node cannot be reached",
			func(f *fabric, _ []*testNode) { f.isolate(true, host(3), append(host(1), host(2)...)) },
			func(f *fabric, _ []*testNode) { f.isolate(false, host(3), append(host(1), host(2)...)) },
			kv.KindUnavailable, "node n3 cannot be reached",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFabric()
				nodes := cluster(t, f, 3)
				c.spoil(f, nodes)
				for _, by := range nodes[:2] {
					_, err := by.Commit(t.Context())
					if kv.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) {
						t.Errorf("by %s: got %v, want %v: %s", by.cfg.Name, err, c.kind, c.text)
					}
					for _, n := range nodes {
						if n.frozen.Load() != 0 || n.Ring().Epoch() != 1 {
							t.Errorf("%s: frozen for %d, epoch %d", n.cfg.Name, n.frozen.Load(), n.Ring().Epoch())
						}
					}
				}
				c.mend(f, nodes)
				if _, err := nodes[1].Commit(t.Context()); err != nil {
					t.Errorf("mended: %v", err)
				}
				stopAll(t, nodes...)
			})
		})
	}
}

// Commits by all nodes at once, each of which would make another ring, leave
// all nodes with one ring of one epoch.
func TestCommitRace(t *testing.T) {
	wins := 0
	for delay := range 6 {
		bubble(t, func(t *testing.T) {
			f := newFabric()
			nodes := cluster(t, f, 3)
			// The nodes plan differently: each knows of a node that the others
			// do not. It can be reached, so that it takes part in every vote.
			for i, n := range nodes {
				extra := Member{ID: kv.NodeID(1000 + i), Profile: Profile{Name: "x", Weight: 1, Addrs: Addresses{Peer: peerAddr(2)}, Boot: 1}, Decision: Decision{Status: StatusStaged, Version: 1}}
				st := n.State().withMember(extra)
				n.state.Store(st)
			}
			errs := make([]error, len(nodes))
			var all sync.WaitGroup
			for i, n := range nodes {
				all.Go(func() {
					time.Sleep(time.Duration(i*delay) * latency)
					_, errs[i] = n.Commit(t.Context())
				})
			}
			all.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				}
			}
			if won > 1 {
				t.Errorf("%d commits have succeeded: %v", won, errs)
			}
			wins += won
			eventually(t, "the nodes agree", agreed(6, nodes...))
			if r := nodes[0].Ring(); r.Epoch() != uint64(1+won) {
				t.Errorf("%d commits won, the epoch is %d: %v", won, r.Epoch(), errs)
			}
			for _, n := range nodes {
				if n.frozen.Load() != 0 {
					t.Errorf("%s is still frozen", n.cfg.Name)
				}
			}
			stopAll(t, nodes...)
		})
	}
	if wins == 0 {
		t.Error("no commit ever won: there was no race")
	}
}

// A proposer that took too long does not adopt: a voter may write again.
func TestCommitTakesTooLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 2)
		nodes[1].cfg.FreezeFor = 2 * time.Second
		nodes[0].Service.cfg.FreezeFor = 2 * time.Second
		nodes[1].empty = func() { time.Sleep(1500 * time.Millisecond) }
		if _, err := nodes[0].Commit(t.Context()); kv.KindOf(err) != kv.KindTimeout {
			t.Errorf("got %v, want timeout", err)
		}
		if nodes[0].Ring().Epoch() != 1 || nodes[0].frozen.Load() != 0 || nodes[1].frozen.Load() != 0 {
			t.Error("the ring has changed, or a node is frozen")
		}
		stopAll(t, nodes...)
	})
}

func TestStage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 2)
		ctx := context.Background()
		before := nodes[0].State()
		for _, name := range []string{"n1", "n2"} {
			if err := nodes[0].Stage(ctx, name); err != nil || nodes[0].State() != before {
				t.Errorf("%s: %v, or the state has changed", name, err)
			}
		}
		if err := nodes[0].Stage(ctx, "n9"); kv.KindOf(err) != kv.KindNotFound {
			t.Errorf("stranger: got %v, want not found", err)
		}
		id := nodes[1].ID()
		if _, _, err := nodes[0].update(ctx, func(st *State) (*State, error) { return decide(st, id, 1, StatusNone), nil }); err != nil {
			t.Fatal(err)
		}
		if err := nodes[0].Stage(ctx, "n2"); err != nil {
			t.Error(err)
		}
		if statusOf(nodes[0], "n2") != StatusStaged || statusOf(nodes[1], "n2") != StatusStaged {
			t.Errorf("n1 says %v, n2 says %v", statusOf(nodes[0], "n2"), statusOf(nodes[1], "n2"))
		}
		stopAll(t, nodes...)
	})
}

func TestSetProps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := cluster(t, f, 3)
		ctx := context.Background()
		f.isolate(true, host(3), append(host(1), host(2)...))
		lww := kv.Props{Quorums: kv.Quorums{R: 1, W: 3, DW: 0}, Merge: kv.MergeLWW}
		if err := nodes[0].SetProps(ctx, "b", lww); err != nil {
			t.Fatal(err)
		}
		if got := nodes[1].Props([]byte("b")); got != lww {
			t.Errorf("a node that can be reached has %+v when SetProps returns", got)
		}
		f.isolate(false, host(3), append(host(1), host(2)...))
		eventually(t, "the third node hears of it", func() bool { return nodes[2].Props([]byte("b")) == lww })
		nodes[1].restart()
		if got := nodes[1].Props([]byte("b")); got != lww {
			t.Errorf("after a crash: %+v", got)
		}
		for _, c := range []struct {
			name, bucket string
			props        kv.Props
			kind         kv.Kind
		}{
			{"r past N", "b", kv.Props{Quorums: kv.Quorums{R: 4, W: 1, DW: 1}}, kv.KindInvalid},
			{"w of 0", "b", kv.Props{Quorums: kv.Quorums{R: 1, W: 0, DW: 1}}, kv.KindInvalid},
			{"unknown merge", "b", kv.Props{Quorums: anyProps.Quorums, Merge: 9}, kv.KindInvalid},
			{"no name", "", anyProps, kv.KindInvalid},
			{"long name", strings.Repeat("b", kv.MaxBucket+1), anyProps, kv.KindTooLarge},
		} {
			if err := nodes[0].SetProps(ctx, c.bucket, c.props); kv.KindOf(err) != c.kind {
				t.Errorf("%s: got %v, want %v", c.name, err, c.kind)
			}
		}
		stopAll(t, nodes...)
	})
}

func TestBucketLimit(t *testing.T) {
	n := newNode(t, newFabric(), 1, creating)
	if err := n.open(); err != nil {
		t.Fatal(err)
	}
	buckets := make(map[string]Bucket)
	for i := range kv.MaxBuckets - 1 {
		buckets[string([]byte{byte('a' + i>>8), byte(i)})] = Bucket{Props: anyProps}
	}
	n.state.Store(n.State().withBuckets(buckets))
	ctx := context.Background()
	if err := n.SetProps(ctx, "last", anyProps); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if err := n.SetProps(ctx, "one more", anyProps); kv.KindOf(err) != kv.KindTooLarge {
		t.Errorf("one past the limit: got %v, want too large", err)
	}
	if err := n.SetProps(ctx, "last", kv.Props{Quorums: anyProps.Quorums, Merge: kv.MergeLWW}); err != nil {
		t.Errorf("a change at the limit: %v", err)
	}
}
