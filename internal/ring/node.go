package ring

import (
	"cmp"
	"slices"
	"unicode/utf8"

	"github.com/ringtaildb/ringtail/internal/kv"
)

const (
	// MaxWeight bounds a node's weight.
	MaxWeight = 1<<16 - 1
	// MaxZone bounds a zone's name, in bytes.
	MaxZone = 255
)

// Node is a member as the ring sees it.
type Node struct {
	// ID names the node and is never zero.
	ID kv.NodeID `json:"id"`
	// Weight is the node's capacity relative to the others', 1 to MaxWeight.
	Weight uint32 `json:"weight"`
	// Zone is what fails together: a rack, a data centre. It is UTF-8 of at
	// most MaxZone bytes; nodes without one share the zone "".
	Zone string `json:"zone"`
}

// byID orders nodes for slices.SortFunc.
func byID(a, b Node) int { return cmp.Compare(a.ID, b.ID) }

// find returns the index of id in nodes, which are sorted by id.
func find(nodes []Node, id kv.NodeID) (int, bool) {
	return slices.BinarySearchFunc(nodes, id, func(n Node, id kv.NodeID) int { return cmp.Compare(n.ID, id) })
}

// checkNodes returns an error of KindInvalid unless nodes are 1 to
// kv.MaxMembers, within the limits of Node, and strictly ascending by id.
func checkNodes(nodes []Node) error {
	const op = "check ring nodes"
	if len(nodes) < 1 || len(nodes) > kv.MaxMembers {
		return kv.Errorf(kv.KindInvalid, op, "%d nodes are not within 1 to %d", len(nodes), kv.MaxMembers)
	}
	for i, n := range nodes {
		switch {
		case n.ID == 0:
			return kv.Errorf(kv.KindInvalid, op, "a node has no id")
		case i > 0 && n.ID == nodes[i-1].ID:
			return kv.Errorf(kv.KindInvalid, op, "node %v is there twice", n.ID)
		case i > 0 && n.ID < nodes[i-1].ID:
			return kv.Errorf(kv.KindInvalid, op, "node %v is out of order", n.ID)
		case n.Weight < 1 || n.Weight > MaxWeight:
			return kv.Errorf(kv.KindInvalid, op, "weight %d of node %v is not within 1 to %d", n.Weight, n.ID, MaxWeight)
		case len(n.Zone) > MaxZone:
			return kv.Errorf(kv.KindInvalid, op, "the zone of node %v has %d bytes, the limit is %d", n.ID, len(n.Zone), MaxZone)
		case !utf8.ValidString(n.Zone):
			return kv.Errorf(kv.KindInvalid, op, "the zone of node %v is not UTF-8", n.ID)
		}
	}
	return nil
}

// zoning numbers the zones of a list of nodes.
type zoning struct {
	// names holds each zone's name, in the order of its first node.
	names []string
	// of holds the number of each node's zone.
	of []int
	// weight is the sum of the weights of each zone's nodes.
	weight []uint64
}

func newZoning(nodes []Node) zoning {
	z := zoning{of: make([]int, len(nodes))}
	number := make(map[string]int)
	for i, n := range nodes {
		at, ok := number[n.Zone]
		if !ok {
			at = len(z.names)
			number[n.Zone] = at
			z.names = append(z.names, n.Zone)
			z.weight = append(z.weight, 0)
		}
		z.of[i] = at
		z.weight[at] += uint64(n.Weight)
	}
	return z
}

// total returns the weight of all zones.
func (z zoning) total() uint64 {
	var sum uint64
	for _, w := range z.weight {
		sum += w
	}
	return sum
}
