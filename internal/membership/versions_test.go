package membership

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Nodes that speak version 1 alone are those of the release before, and after:
// what a version governs goes by the version.
var (
	before = wire.Versions{Min: 1, Max: 1}
	after  = wire.Versions{Min: 1, Max: 2}
)

// speaking restarts nodes as another release.
func speaking(v wire.Versions, nodes ...*testNode) {
	for _, n := range nodes {
		n.cfg.Versions = v
		n.restart()
	}
}

// spoken says whether all nodes know that each speaks up to that version.
func spoken(max wire.Version, nodes ...*testNode) func() bool {
	return func() bool {
		for _, n := range nodes {
			for _, m := range n.State().Members() {
				if m.Speaks != max {
					return false
				}
			}
		}
		return true
	}
}

// files returns what the node's disk holds of its identity and its cluster.
func (n *testNode) files() string {
	n.t.Helper()
	var all []string
	for _, name := range []string{"node", "cluster"} {
		f, err := n.fs.Open("/data/" + name)
		if err != nil {
			n.t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		if err != nil {
			n.t.Fatal(err)
		}
		f.Close()
		all = append(all, string(b))
	}
	return strings.Join(all, "|")
}

// ends waits until the node ends by itself, and returns why.
func (n *testNode) ends() error {
	n.t.Helper()
	select {
	case err := <-n.ended:
		n.ended <- err
	case <-time.After(time.Minute):
		n.t.Errorf("%s goes on", n.cfg.Name)
	}
	return n.stop()
}

func refused(t *testing.T, what string, err error, kind kv.Kind, texts ...string) {
	t.Helper()
	if err == nil || kv.KindOf(err) != kind {
		t.Errorf("%s: got %v, want %v", what, err, kind)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %q is not said: %v", what, text, err)
		}
	}
}

// While the ring stays as it is releases mix, forth and back. It changes when
// all have been upgraded, and then no node goes back.
func TestUpgradeAndBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := []*testNode{newNode(t, f, 1, creating), newNode(t, f, 2, seededBy(1)), newNode(t, f, 3, seededBy(1))}
		for _, n := range nodes {
			n.cfg.Versions = before
			n.run()
		}
		eventually(t, "the old nodes agree", agreed(3, nodes...))
		_, err := nodes[0].Commit(t.Context(), CommitOptions{})
		refused(t, "a commit at an old node", err, kv.KindRefused, "node n1 speaks protocol version 1", "upgrade it first")
		refused(t, "a change at an old node", nodes[0].Stage(t.Context(), Change{Action: Weight, Node: "n1", Weight: 2}), kv.KindRefused, "upgrade it first")
		refused(t, "clear at an old node", nodes[0].Clear(t.Context()), kv.KindRefused, "upgrade it first")

		for i := range nodes {
			speaking(after, nodes[i])
			eventually(t, "all have heard of the upgrade", func() bool {
				for _, n := range nodes {
					if m, _ := n.State().Member(nodes[i].ID()); m.Speaks != 2 {
						return false
					}
				}
				return true
			})
			if i < 2 {
				_, err := nodes[0].Commit(t.Context(), CommitOptions{})
				refused(t, "a commit among old nodes", err, kv.KindRefused, "speaks protocol version 1, a change of the ring takes 2: upgrade it first")
				if p := nodes[0].mustPlan(); !strings.Contains(strings.Join(p.Warnings, "\n"), "node n3 speaks protocol version 1") && !strings.Contains(strings.Join(p.Warnings, "\n"), "node n2 speaks protocol version 1") {
					t.Errorf("the plan warns of %q", p.Warnings)
				}
			}
		}
		nodes[0].stage(Change{Action: Weight, Node: "n1", Weight: 2})
		eventually(t, "the new nodes agree", agreed(3, nodes...))
		speaking(before, nodes[2])
		eventually(t, "the old node agrees as far as it can", func() bool {
			return !nodes[2].differs(nodes[0].State().hashes, numSections) && !nodes[0].differs(nodes[2].digest().hashes, nodes[2].digest().knows)
		})
		nodes[0].stage(Change{Action: Weight, Node: "n1", Weight: 3})
		time.Sleep(time.Minute)
		if orders := nodes[2].State().registers(); len(orders) > 0 || nodes[2].State().hashes == nodes[0].State().hashes {
			t.Errorf("an old node takes up %v", orders)
		}
		speaking(before, nodes...)
		eventually(t, "all are old again", spoken(1, nodes...))
		if orders := nodes[2].State().registers(); len(orders) > 0 {
			t.Errorf("an old node keeps %v", orders)
		}
		speaking(after, nodes...)
		eventually(t, "all are new again", spoken(2, nodes...))
		if v := nodes[2].Versions(); v != after {
			t.Errorf("before the change n3 speaks %v", v)
		}

		eventually(t, "the nodes see each other", sees(nodes...))
		nodes[0].commit()
		eventually(t, "the change is over", settled(2, nodes...))
		for _, n := range nodes {
			if v := n.Versions(); v.Min != 2 || n.State().Least() != 2 {
				t.Errorf("%s speaks %v after the change", n.cfg.Name, v)
			}
		}
		n3 := nodes[2]
		if err := n3.stop(); err != nil {
			t.Fatal(err)
		}
		was := n3.files()
		n3.cfg.Versions = before
		refused(t, "an old node's start", n3.open(), kv.KindWrongVersion, "it has format 2, this release reads up to 1", "start the one that wrote it")
		if n3.files() != was {
			t.Error("the start that was refused has left its mark")
		}
		n3.cfg.Versions = after
		n3.run()
		eventually(t, "n3 is back", agreed(3, nodes...))
		stopAll(t, nodes...)
	})
}

// A node that is down when the ring changes, and comes back as an older release,
// knows nothing of it: it is told, and ends.
func TestOldNodeAfterTheChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 3)
		n3 := nodes[2]
		n3.kill()
		if _, err := nodes[0].Commit(t.Context(), CommitOptions{}); err != nil {
			t.Fatal(err)
		}
		n3.cfg.Versions = before
		n3.run()
		refused(t, "the old node", n3.ends(), kv.KindOldCopy, "members must speak protocol version 2", "speaks up to 1: upgrade it")

		joiner := newNode(t, nodes[0].link.f, 4, seededBy(1))
		joiner.cfg.Versions = before
		joiner.run()
		refused(t, "an old joiner", joiner.ends(), kv.KindOldCopy, "upgrade it")

		n3.cfg.Versions = after
		n3.run()
		eventually(t, "the change is over", settled(2, nodes...))
		stopAll(t, nodes...)
	})
}

// A node that hears of a version that it does not have ends.
func TestLaterVersionIsRequired(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 1)
		n := nodes[0]
		if _, _, err := n.update(t.Context(), func(st *State) (*State, error) { return st.withLeast(4), nil }); err != nil {
			t.Fatal(err)
		}
		refused(t, "a node that is too old", n.ends(), kv.KindOldCopy, "members must speak protocol version 4", "up to 3")
		if v := n.Versions(); v.Min > v.Max {
			t.Errorf("it offers %v", v)
		}
		refused(t, "its next start", n.open(), kv.KindWrongVersion, "it has format 4")
	})
}

// Versions that change nothing of the ring, nor of what is written, ask nothing of
// others: the ring changes, and a TTL is set, while one node has not got the last.
func TestVersionThatAsksNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 3)
		speaking(after, nodes[2])
		eventually(t, "it is known that n3 is older", func() bool {
			m, _ := nodes[0].State().Member(nodes[2].ID())
			return m.Speaks == 2
		})
		eventually(t, "the nodes see each other", sees(nodes...))
		nodes[0].commit()
		eventually(t, "the change is over", settled(2, nodes...))
		props := nodes[0].Props([]byte("b"))
		props.TTL = 1000
		if err := nodes[0].SetProps(t.Context(), "b", props); err != nil {
			t.Errorf("a TTL: %v", err)
		}
		for _, n := range nodes {
			if least := n.State().Least(); least != 2 {
				t.Errorf("%s: members must speak %d", n.cfg.Name, least)
			}
		}
		stopAll(t, nodes...)
	})
}

func TestCheckVersions(t *testing.T) {
	st := stageCluster()
	for _, m := range st.Members() {
		m.Speaks = 2
		st = st.withMember(m)
	}
	m, _ := st.Member(2)
	m.Speaks = 1
	st = st.withMember(m)
	name := st.nameOf(2)
	for _, test := range []struct {
		what   string
		orders []Order
		ok     bool
	}{
		{"another leaves", []Order{{Node: 1, Staged: Staged{Action: Leave}}}, false},
		{"it leaves itself", []Order{{Node: 2, Staged: Staged{Action: Leave}}}, false},
		{"it is replaced, alive", []Order{{Node: 2, Staged: Staged{Action: Replace, By: 4}}}, false},
		{"it is replaced, dead", []Order{{Node: 2, Staged: Staged{Action: Replace, By: 4, Gone: true}}}, true},
		{"it is removed", []Order{{Node: 2, Staged: Staged{Action: Remove, Gone: true}}}, true},
	} {
		next := testRing(st.Epoch()+1, 1, 3)
		if !test.ok {
			next = testRing(st.Epoch()+1, 1, 2, 3)
		}
		err := st.checkVersions(test.orders, next)
		if (err == nil) != test.ok || err != nil && !strings.Contains(err.Error(), "node "+name) {
			t.Errorf("%s: %v", test.what, err)
		}
	}
	stranger := testRing(st.Epoch()+1, 1, 3, 99)
	refused(t, "a node that nobody has heard of", st.checkVersions([]Order{{Node: 2, Staged: Staged{Action: Remove, Gone: true}}}, stranger), kv.KindRefused, "upgrade it")
}

// A bucket has no TTL as long as a node of the ring could not read that; its other
// properties can be set.
func TestTTLWaitsForAll(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNode(t, newFabric(), 1, creating)
		n.cfg.Versions = before
		n.run()
		eventually(t, "the node has its ring", agreed(1, n))
		props := n.Props([]byte("b"))
		props.TTL = 1000
		refused(t, "a TTL", n.SetProps(t.Context(), "b", props), kv.KindWrongVersion, "node n1 speaks protocol version 1")
		props.TTL = 0
		if err := n.SetProps(t.Context(), "b", props); err != nil {
			t.Errorf("properties that all can read: %v", err)
		}
		speaking(after, n)
		eventually(t, "the upgrade is known", spoken(2, n))
		props.TTL = 1000
		if err := n.SetProps(t.Context(), "b", props); err != nil {
			t.Errorf("a TTL that all can read: %v", err)
		}
		stopAll(t, n)
	})
}
