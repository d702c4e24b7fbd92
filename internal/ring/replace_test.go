package ring

import (
	"slices"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"pgregory.net/rapid"
)

// Replacements of the same weights and zones, however many, take over exactly the
// places of those that they replace; nothing else moves.
func TestReplaceMovesOnlyWhatWasTheirs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t)
		prev := c.claim(t, nil)
		replaced := map[kv.NodeID]kv.NodeID{}
		nodes := slices.Clone(c.nodes)
		for _, at := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(nodes)-1), 1, 4, rapid.ID).Draw(t, "replaced") {
			c.made++
			heir := kv.NodeID(mix(c.made))
			replaced[nodes[at].ID], nodes[at].ID = heir, heir
		}
		next, err := Replace(prev, 2, nodes, replaced)
		if err != nil {
			t.Fatal(err)
		}
		for p := range prev.params.Q {
			want := slices.Clone(prev.Owners(kv.Partition(p)))
			for i, id := range want {
				if heir, is := replaced[id]; is {
					want[i] = heir
				}
			}
			if got := next.Owners(kv.Partition(p)); !slices.Equal(got, want) {
				t.Fatalf("partition %d of %v has %v, want %v", p, prev.Owners(kv.Partition(p)), got, want)
			}
		}
		if err := next.check(); err != nil {
			t.Fatal(err)
		}
	})
}

// Together with other changes, and of other weights and zones, a replacement keeps
// the promises of Claim and takes hardly more moves than the fewest.
func TestReplaceAmongOtherChanges(t *testing.T) {
	moved, few := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t)
		prev := c.claim(t, nil)
		old := c.nodes[c.any(t)].ID
		c.nodes = slices.DeleteFunc(c.nodes, func(n Node) bool { return n.ID == old })
		c.join(t)
		heir := c.nodes[len(c.nodes)-1].ID
		if c.change(t); !slices.ContainsFunc(c.nodes, func(n Node) bool { return n.ID == heir }) {
			return
		}
		next, err := Replace(prev, 2, c.nodes, map[kv.NodeID]kv.NodeID{old: heir})
		if err != nil {
			t.Fatal(err)
		}
		if err := next.check(); err != nil {
			t.Fatal(err)
		}
		checkBalance(t, next)
		least := fewest(prev, next)
		moved, few = moved+Diff(prev, next).Moved, few+least
		if bound := 1.25*float64(least) + 8 + float64(len(c.nodes))/2; float64(Diff(prev, next).Moved) > bound {
			t.Fatalf("%d moves among %d nodes, %d suffice", Diff(prev, next).Moved, len(c.nodes), least)
		}
	})
	t.Logf("%d moves, %d suffice", moved, few)
}

func TestReplaceRefuses(t *testing.T) {
	all := equals(6)
	prev := mustClaim(t, nil, DefaultParams(), 4, all[:4])
	id := func(i int) kv.NodeID { return all[i].ID }
	for _, tt := range []struct {
		name     string
		epoch    uint64
		nodes    []Node
		replaced map[kv.NodeID]kv.NodeID
		says     string
	}{
		{"a stranger", 5, all[1:5], map[kv.NodeID]kv.NodeID{id(5): id(4)}, "is no member"},
		{"one that stays", 5, all[:5], map[kv.NodeID]kv.NodeID{id(0): id(4)}, "is replaced and stays"},
		{"by one that does not join", 5, all[1:5], map[kv.NodeID]kv.NodeID{id(0): id(5)}, "does not join"},
		{"by a member", 5, all[1:5], map[kv.NodeID]kv.NodeID{id(0): id(1)}, "is a member already"},
		{"two by one", 5, all[2:5], map[kv.NodeID]kv.NodeID{id(0): id(4), id(1): id(4)}, "is to replace two"},
		{"at an old epoch", 4, all[1:5], map[kv.NodeID]kv.NodeID{id(0): id(4)}, "epoch 4 is not after 4"},
	} {
		r, err := Replace(prev, tt.epoch, tt.nodes, tt.replaced)
		if r != nil || kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want an error of KindInvalid with %q", tt.name, err, tt.says)
		}
	}
}
