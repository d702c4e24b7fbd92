package ring

import (
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestFairShares(t *testing.T) {
	for _, tt := range []struct {
		name     string
		weights  []uint32
		zones    string // A letter for each node.
		q, width int
		want     []string
	}{
		{"one node", []uint32{5}, "a", 8, 1, []string{"8"}},
		{"all own all", []uint32{1, 2, 50}, "aaa", 8, 3, []string{"8", "8", "8"}},
		{"plain", []uint32{1, 2, 3, 2}, "aaaa", 8, 2, []string{"2", "4", "6", "4"}},
		{"a fraction", []uint32{1, 1, 1, 1}, "aaaa", 2, 3, []string{"3/2", "3/2", "3/2", "3/2"}},
		{"one node full", []uint32{9, 1, 1, 1}, "aaaa", 6, 3, []string{"6", "4", "4", "4"}},
		{"full in turn", []uint32{8, 4, 1, 1}, "aaaa", 6, 3, []string{"6", "6", "3", "3"}},
		{"as many zones as owners", []uint32{1, 1, 3, 9}, "aabc", 8, 3, []string{"4", "4", "8", "8"}},
		{"a zone full", []uint32{4, 4, 1, 1, 2}, "aabcd", 8, 3, []string{"4", "4", "4", "4", "8"}},
		{"more zones, none full", []uint32{1, 1, 2, 2}, "aabc", 6, 2, []string{"2", "2", "4", "4"}},
		{"a thin zone", []uint32{1, 5, 5}, "abb", 8, 2, []string{"8", "4", "4"}},
		{"two zones for three", []uint32{1, 1, 1, 1}, "aabb", 8, 3, []string{"6", "6", "6", "6"}},
		{"thin zone and full node", []uint32{1, 1, 9, 1, 1}, "aabbb", 8, 3, []string{"4", "4", "8", "4", "4"}},
	} {
		var nodes []Node
		for i, w := range tt.weights {
			nodes = append(nodes, Node{ID: 1, Weight: w, Zone: tt.zones[i : i+1]})
		}
		var got []string
		for _, s := range fairShares(nodes, newZoning(nodes), tt.q, tt.width) {
			got = append(got, s.rat().RatString())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// rat returns s as an exact number.
func (s share) rat() *big.Rat {
	return new(big.Rat).SetFrac(new(big.Int).SetUint64(s.num), new(big.Int).SetUint64(s.den))
}

// Fair shares add up, keep the bounds, and cannot be made fairer: where one
// node has less for its weight than another, a bound forbids to give it more
// at the other's cost.
func TestFairSharesAreFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCluster(t)
		c.nodes = c.nodes[:min(len(c.nodes), 25)]
		q, width := c.params.Q, min(c.params.N, len(c.nodes))
		zones := newZoning(c.nodes)
		shares := fairShares(c.nodes, zones, q, width)
		full := new(big.Rat).SetInt64(int64(q))
		sum := new(big.Rat)
		inZone := make([]*big.Rat, len(zones.names))
		for z := range inZone {
			inZone[z] = new(big.Rat)
		}
		perWeight := make([]*big.Rat, len(shares))
		for i, s := range shares {
			f := s.rat()
			if f.Sign() <= 0 || f.Cmp(full) > 0 {
				t.Fatalf("node %d has %v of %d partitions", i, f, q)
			}
			sum.Add(sum, f)
			inZone[zones.of[i]].Add(inZone[zones.of[i]], f)
			perWeight[i] = new(big.Rat).Quo(f, new(big.Rat).SetInt64(int64(c.nodes[i].Weight)))
		}
		if sum.Cmp(new(big.Rat).SetInt64(int64(q*width))) != 0 {
			t.Fatalf("the shares add up to %v, want %d", sum, q*width)
		}
		atMost, atLeast := len(inZone) >= width, len(inZone) <= width
		for z, f := range inZone {
			if atMost && f.Cmp(full) > 0 || atLeast && f.Cmp(full) < 0 {
				t.Fatalf("zone %d of %d has %v of %d partitions at %d owners", z, len(inZone), f, q, width)
			}
		}
		for i := range shares {
			for j := range shares {
				if perWeight[i].Cmp(perWeight[j]) >= 0 || shares[i].rat().Cmp(full) == 0 {
					continue
				}
				zi, zj := zones.of[i], zones.of[j]
				if zi == zj || !(atMost && inZone[zi].Cmp(full) == 0 || atLeast && inZone[zj].Cmp(full) == 0) {
					t.Fatalf("node %d has %v for its weight, node %d has %v, and nothing forbids to level them",
						i, perWeight[i], j, perWeight[j])
				}
			}
		}
	})
}

func TestApportion(t *testing.T) {
	halves := []share{{3, 2}, {5, 2}, {4, 2}, {1, 2}, {1, 2}}
	for _, tt := range []struct {
		name  string
		total int
		parts []share
		old   []int
		want  []int
	}{
		{"whole shares stay", 5, []share{{6, 3}, {3, 1}}, []int{9, 9}, []int{2, 3}},
		{"largest remainder first", 4, []share{{4, 3}, {5, 3}, {3, 3}}, []int{0, 0, 0}, []int{1, 2, 1}},
		{"who holds more keeps it", 4, []share{{4, 3}, {5, 3}, {3, 3}}, []int{2, 1, 0}, []int{2, 1, 1}},
		{"then the lowest index", 7, halves, []int{0, 0, 0, 0, 0}, []int{2, 3, 2, 0, 0}},
		{"across denominators", 2, []share{{3, 4}, {2, 3}, {7, 12}}, []int{0, 0, 0}, []int{1, 1, 0}},
	} {
		if diff := cmp.Diff(tt.want, apportion(tt.total, tt.parts, tt.old)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
