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
// the promises of Claim. None takes twice the fewest moves, but for a few: the most
// that was seen in 200,000 is 1.62 times, and one in 4,000 takes a quarter more.
// Together those of a fixed sample may need a fiftieth more.
func TestReplaceAmongOtherChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawReplacement(t)
		if bound := 2*float64(c.fewest) + 8 + float64(c.nodes)/2; float64(c.moved) > bound {
			t.Fatalf("%d moves among %d nodes, %d suffice", c.moved, c.nodes, c.fewest)
		}
	})
	sample := rapid.Custom(drawReplacement)
	moved, few := 0, 0
	for seed := range 200 {
		c := sample.Example(seed)
		moved += c.moved
		few += c.fewest
	}
	if float64(moved) > 1.02*float64(few) {
		t.Errorf("the sample took %d moves, %d suffice", moved, few)
	}
	t.Logf("the sample took %d moves, %d suffice", moved, few)
}

// drawReplacement draws a cluster, a replacement and another change.
func drawReplacement(t *rapid.T) moves {
	c := drawCluster(t)
	prev := c.claim(t, nil)
	old := c.nodes[c.any(t)].ID
	c.nodes = slices.DeleteFunc(c.nodes, func(n Node) bool { return n.ID == old })
	c.join(t)
	heir := c.nodes[len(c.nodes)-1].ID
	replaced := map[kv.NodeID]kv.NodeID{old: heir}
	if c.change(t); !slices.ContainsFunc(c.nodes, func(n Node) bool { return n.ID == heir }) {
		replaced = nil // it has left again
	}
	next, err := Replace(prev, 2, c.nodes, replaced)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.check(); err != nil {
		t.Fatal(err)
	}
	checkBalance(t, next)
	return moves{len(c.nodes), Diff(prev, next).Moved, fewest(prev, next)}
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
