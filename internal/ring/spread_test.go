package ring

import (
	"fmt"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// When a node is down, three things of its fall on others: its tokens on the
// second owners, its hints on stand-ins, and the refilling of its replacement
// on the co-owners. Each must fall on many, here in a ring that grew by single
// joins, which is how a spread decays.
func TestLoadOfADeadNodeSpreads(t *testing.T) {
	for _, tt := range []struct{ nodes, zones int }{{9, 1}, {30, 1}, {100, 1}, {9, 3}, {30, 3}, {99, 3}} {
		nodes := equals(tt.nodes)
		for i := range nodes {
			nodes[i].Zone = fmt.Sprint(i % tt.zones)
		}
		var r *Ring
		for n := 3; n <= tt.nodes; n++ {
			r = mustClaim(t, r, DefaultParams(), uint64(n), nodes[:n])
		}
		// Co-owners are of other zones when there are N zones.
		others := float64(tt.nodes - 1)
		if tt.zones == 3 {
			others = float64(tt.nodes * 2 / 3)
		}
		for _, n := range nodes {
			after, beside, instead := heirs(r, n.ID)
			even := float64(r.Tokens(n.ID)) / others
			checkSpread(t, tt.nodes, "tokens", after, 1.5*even+2)
			even = float64(2*r.Load(n.ID)) / others
			checkSpread(t, tt.nodes, "replicas", beside, 2*even+5)
			even = float64(r.Load(n.ID)) / float64(tt.nodes-1)
			checkSpread(t, tt.nodes, "hints", instead, 2*even+4)
		}
	}
}

// heirs counts, by node, on whom id's tokens, replicas and hints fall.
func heirs(r *Ring, id kv.NodeID) (after, beside, instead map[kv.NodeID]int) {
	after, beside, instead = map[kv.NodeID]int{}, map[kv.NodeID]int{}, map[kv.NodeID]int{}
	for _, p := range r.Partitions(id) {
		owners := r.Owners(p)
		if owners[0] == id {
			after[owners[1]]++
		}
		for _, other := range owners {
			if other != id {
				beside[other]++
			}
		}
		instead[r.PreferencePrefix(p, 4, nil)[3]]++
	}
	return after, beside, instead
}

func checkSpread(t *testing.T, nodes int, what string, count map[kv.NodeID]int, most float64) {
	t.Helper()
	for id, n := range count {
		if float64(n) > most {
			t.Errorf("among %d nodes, the %s of a dead one fall on node %v %d times, want at most %.1f", nodes, what, id, n, most)
		}
	}
}
