package ring

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"pgregory.net/rapid"
)

// mustClaim is Claim where nothing can be wrong with the arguments.
func mustClaim(t testing.TB, prev *Ring, params Params, epoch uint64, nodes []Node) *Ring {
	t.Helper()
	r, err := Claim(prev, params, epoch, nodes)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// equals returns n nodes of one weight and zone.
func equals(n int) []Node {
	nodes := make([]Node, n)
	for i := range nodes {
		nodes[i] = Node{ID: kv.NodeID(mix(uint64(i))), Weight: 1}
	}
	return nodes
}

// checkBalance fails unless each node's load is its fair share rounded down or
// up, and its tokens are within one of its weight's share: within two where
// nodes own so little that rounding can leave no choice of first owners.
func checkBalance(t *rapid.T, r *Ring) {
	zones := newZoning(r.nodes)
	shares := fairShares(r.nodes, zones, r.params.Q, r.width)
	off := 1.0
	for _, fair := range shares {
		if fair.ratio() < 4 {
			off = 2
		}
	}
	for i, fair := range shares {
		n := r.nodes[i]
		if got := float64(r.Load(n.ID)); got < math.Floor(fair.ratio()) || got > math.Ceil(fair.ratio()) {
			t.Fatalf("node %d of %d, weight %d in %q: load %v, fair share %v", i, len(r.nodes), n.Weight, n.Zone, got, fair.ratio())
		}
		wanted := float64(r.params.Q) * float64(n.Weight) / float64(zones.total())
		if got := float64(r.Tokens(n.ID)); math.Abs(got-wanted) > off {
			t.Fatalf("node %d of %d, weight %d in %q: %v tokens, its weight's share is %v", i, len(r.nodes), n.Weight, n.Zone, got, wanted)
		}
	}
}

// Through any chain of changes owners are distinct and span the zones, loads
// and tokens follow weight, and the same nodes claim the same again.
func TestClaimKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t)
		r := c.claim(t, nil)
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			c.change(t)
			r = c.claim(t, r)
			if err := r.check(); err != nil {
				t.Fatal(err)
			}
			checkBalance(t, r)
		}
		again := c.claim(t, r)
		if !slices.Equal(again.owners, r.owners) {
			t.Fatal("the same nodes claimed other owners")
		}
	})
}

// The moves are compared with the fewest that any ring of the same nodes,
// zones and fair loads would do with. No claim may need a quarter more, but
// for a few moves; together the claims of a fixed sample may need a hundredth
// more.
func TestClaimMovesFew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, c := range drawMoves(t) {
			if bound := 1.25*float64(c.fewest) + 8 + float64(c.nodes)/4; float64(c.moved) > bound {
				t.Fatalf("%d moves among %d nodes, %d suffice", c.moved, c.nodes, c.fewest)
			}
		}
	})
	sample := rapid.Custom(drawMoves)
	moved, few := 0, 0
	for seed := range 200 {
		for _, c := range sample.Example(seed) {
			moved += c.moved
			few += c.fewest
		}
	}
	if float64(moved) > 1.01*float64(few) {
		t.Errorf("the sample took %d moves, %d suffice", moved, few)
	}
	t.Logf("the sample took %d moves, %d suffice", moved, few)
}

// moves is what one claim of nodes moved, and what it had to.
type moves struct{ nodes, moved, fewest int }

// drawMoves draws a cluster and some changes of it.
func drawMoves(t *rapid.T) []moves {
	c := drawCluster(t)
	r := c.claim(t, nil)
	var out []moves
	for range rapid.IntRange(1, 4).Draw(t, "changes") {
		prev := r
		c.change(t)
		r = c.claim(t, prev)
		out = append(out, moves{len(c.nodes), Diff(prev, r).Moved, fewest(prev, r)})
	}
	return out
}

// Where neither zones nor nodes with more than a quarter of all partitions stand in the way, the moves are
// within a tenth of the bound below which no claim can go: what nodes gained.
func TestClaimMovesTheLeast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawClusterIn(t, 1)
		r := c.claim(t, nil)
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			prev := r
			c.change(t)
			r = c.claim(t, prev)
			plan := Diff(prev, r)
			free := !slices.ContainsFunc(plan.Nodes, func(n NodePlan) bool {
				return max(n.Before.Replicas, n.After.Replicas) > c.params.Q/4
			})
			if free && float64(plan.Moved) > 1.1*float64(plan.Least)+2 {
				t.Fatalf("epoch %d of %d nodes: %d moves, the bound is %d", c.epoch, len(c.nodes), plan.Moved, plan.Least)
			}
		}
	})
}

// One node more, one less: each size from 3 to 100 moves what it must, to
// within one partition.
func TestClaimAtEachSize(t *testing.T) {
	params := DefaultParams()
	for n := 3; n <= 100; n++ {
		nodes := equals(n + 1)
		r := mustClaim(t, nil, params, 1, nodes[:n])
		for name, members := range map[string][]Node{"join": nodes, "leave": nodes[1:n], "replace": nodes[1:]} {
			next := mustClaim(t, r, params, 2, members)
			if p := Diff(r, next); p.Moved > p.Least+1 {
				t.Errorf("%s at %d nodes: %d moves, the bound is %d", name, n, p.Moved, p.Least)
			}
			for _, m := range members {
				fair := 3 * 1024 / float64(max(3, len(members)))
				if got := float64(next.Load(m.ID)); math.Abs(got-min(fair, 1024)) >= 1 {
					t.Errorf("%s at %d nodes: a load of %v, want about %v", name, n, got, fair)
				}
			}
		}
	}
}

// However a cluster came to its size, each of its nodes can leave for the moves
// that its partitions take: no two nodes are neighbours everywhere.
func TestClaimPartsNeighbours(t *testing.T) {
	params := Params{N: 3, R: 2, W: 2, Q: 256}
	for seed := range 20 {
		nodes := equals(12 + seed)[seed:]
		for _, sizes := range [][]int{{5}, {1, 5}, {2, 5}, {3, 5}, {2, 4, 5}, {3, 2, 3, 5}, {2, 7}, {4, 2, 8}, {3, 10}} {
			var r *Ring
			for i, n := range sizes {
				r = mustClaim(t, r, params, uint64(i+1), nodes[:n])
			}
			n := sizes[len(sizes)-1]
			for out := range n {
				next := mustClaim(t, r, params, 10, slices.Delete(slices.Clone(nodes[:n]), out, out+1))
				if p := Diff(r, next); p.Moved*100 > p.Least*102 {
					t.Errorf("seed %d, %v nodes, then number %d leaves: %d moves, the bound is %d", seed, sizes, out, p.Moved, p.Least)
				}
			}
		}
	}
}

// A new weight moves only the difference: a node with more gains, the others give,
// but for one that rounding lets keep or take one.
func TestClaimMovesOnlyTheDifferenceOfWeights(t *testing.T) {
	params := DefaultParams()
	for n := 4; n <= 100; n += 7 {
		nodes := equals(n)
		for i := range nodes {
			nodes[i].Weight = 4
		}
		prev := mustClaim(t, nil, params, 1, nodes)
		for _, weight := range []uint32{1, 3, 5, 8} {
			nodes[0].Weight = weight
			next := mustClaim(t, prev, params, 2, nodes)
			p := Diff(prev, next)
			if p.Moved > p.Least+1 {
				t.Errorf("weight 4 to %d among %d: %d moves, the bound is %d", weight, n, p.Moved, p.Least)
			}
			for _, node := range p.Nodes {
				grows := weight > 4 == (node.ID == nodes[0].ID)
				if grows && len(node.Lost) > 1 || !grows && len(node.Gained) > 1 {
					t.Errorf("weight 4 to %d among %d: node %v gains %d and loses %d", weight, n, node.ID, len(node.Gained), len(node.Lost))
				}
			}
		}
	}
}

func TestClaimIgnoresTheOrderOfNodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t)
		prev := c.claim(t, nil)
		c.change(t)
		r := c.claim(t, prev)
		given := rapid.Permutation(c.nodes).Draw(t, "order")
		kept := slices.Clone(given)
		other, err := Claim(prev, c.params, c.epoch, given)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(r.AppendTo(nil), other.AppendTo(nil)) {
			t.Fatal("another order of nodes gave another ring")
		}
		if !slices.Equal(given, kept) {
			t.Fatal("Claim changed its argument")
		}
	})
}

// Growing from one node to five, every node owns everything until there are N
// of them; partitions gain owners and lose none.
func TestClaimWithFewNodes(t *testing.T) {
	params := Params{N: 4, R: 2, W: 2, Q: 64}
	nodes := equals(5)
	var prev *Ring
	for n := 1; n <= 4; n++ {
		r := mustClaim(t, prev, params, uint64(n), nodes[:n])
		if r.Replicas() != n {
			t.Errorf("%d nodes: %d replicas", n, r.Replicas())
		}
		for _, node := range nodes[:n] {
			if r.Load(node.ID) != 64 {
				t.Errorf("%d nodes: node %v owns %d of 64 partitions", n, node.ID, r.Load(node.ID))
			}
			if got, want := r.Tokens(node.ID), 64/n; got < want || got > want+1 {
				t.Errorf("%d nodes: node %v has %d tokens, want %d or one more", n, node.ID, got, want)
			}
		}
		if prev != nil {
			if p := Diff(prev, r); p.Moved != 64 {
				t.Errorf("%d nodes: %d moves, want 64", n, p.Moved)
			}
		}
		prev = r
	}
	r := mustClaim(t, prev, params, 5, nodes[1:4])
	if p := Diff(prev, r); p.Moved != 0 || r.Replicas() != 3 {
		t.Errorf("from 4 nodes to 3: %d moves, %d replicas, want 0 and 3", p.Moved, r.Replicas())
	}
}

// A node that joins with all of a dead one's properties takes over exactly
// what that one owned.
func TestClaimReplacesOneByOne(t *testing.T) {
	nodes := equals(20)
	prev := mustClaim(t, nil, DefaultParams(), 1, nodes[:19])
	r := mustClaim(t, prev, DefaultParams(), 2, nodes[1:])
	if !slices.Equal(prev.Partitions(nodes[0].ID), r.Partitions(nodes[19].ID)) {
		t.Error("the new node owns other partitions than the one that it replaces")
	}
}

func TestClaimRefuses(t *testing.T) {
	params, nodes := DefaultParams(), equals(4)
	prev := mustClaim(t, nil, params, 5, nodes)
	wider := params
	wider.N = 4
	for _, tt := range []struct {
		name   string
		params Params
		epoch  uint64
		nodes  []Node
		says   string
	}{
		{"no nodes", params, 6, nil, "0 nodes"},
		{"a node twice", params, 6, append(equals(4), nodes[2]), "twice"},
		{"bad parameters", Params{}, 6, nodes, "n=0"},
		{"other parameters", wider, 6, nodes, "cannot become"},
		{"the same epoch", params, 5, nodes, "epoch 5 is not after 5"},
	} {
		r, err := Claim(prev, tt.params, tt.epoch, tt.nodes)
		if r != nil || err == nil || kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want an error of KindInvalid with %q", tt.name, err, tt.says)
		}
	}
}

// The limits of everything at once: the most owners, and more nodes than
// slots.
func TestClaimAtTheLimits(t *testing.T) {
	params := Params{N: kv.MaxReplicas, R: 1, W: 1, Q: 64}
	nodes := equals(kv.MaxMembers)
	for i := range nodes {
		nodes[i].Weight = MaxWeight
	}
	r := mustClaim(t, nil, params, math.MaxUint64, nodes)
	for _, n := range nodes {
		if r.Load(n.ID) > 1 {
			t.Fatalf("node %v owns %d partitions, %d slots are for %d nodes", n.ID, r.Load(n.ID), 64*kv.MaxReplicas, len(nodes))
		}
	}
	if got := len(r.Preference(0, nil)); got != kv.MaxMembers {
		t.Errorf("the preference list has %d nodes, want %d", got, kv.MaxMembers)
	}
}
