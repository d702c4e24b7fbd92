package membership

import (
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// grown returns a cluster that has all its nodes in the ring.
func grown(t *testing.T, f *fabric, count int) []*testNode {
	t.Helper()
	nodes := cluster(t, f, count)
	if _, err := nodes[0].Commit(t.Context(), CommitOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first growth is over", settled(2, nodes...))
	return nodes
}

// settled says whether all nodes agree on a ring of that epoch, and on nothing
// being under way.
func settled(epoch uint64, nodes ...*testNode) func() bool {
	return func() bool {
		for _, n := range nodes {
			c := n.Current()
			if c.Ring.Epoch() != epoch || c.Progress != nil || n.State().Transition() != nil || n.State().hashes != nodes[0].State().hashes {
				return false
			}
		}
		return true
	}
}

func (n *testNode) stage(changes ...Change) {
	n.t.Helper()
	for _, c := range changes {
		if err := n.Stage(n.t.Context(), c); err != nil {
			n.t.Fatal(err)
		}
	}
}

func TestCommit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 3)
		began := time.Now()
		plan, err := nodes[1].Commit(t.Context(), CommitOptions{})
		if err != nil {
			t.Fatal(err)
		}
		// All know of it already, without gossip.
		for _, n := range nodes {
			if tr := n.State().Transition(); n.Ring().Epoch() == 1 && tr == nil || n.State().Latest().Epoch() != 2 {
				t.Errorf("%s has epoch %d, and %+v", n.cfg.Name, n.Ring().Epoch(), tr)
			}
		}
		eventually(t, "the change is over", settled(2, nodes...))
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		for _, n := range nodes {
			if string(n.Ring().AppendTo(nil)) != string(plan.Next.AppendTo(nil)) {
				t.Errorf("%s has another ring than was planned", n.cfg.Name)
			}
			for _, m := range n.Members() {
				if m.Status != StatusMember {
					t.Errorf("%s takes %s for %v", n.cfg.Name, m.Name, m.Status)
				}
			}
		}
		if _, err := nodes[0].Commit(t.Context(), CommitOptions{}); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "nothing is staged") {
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
