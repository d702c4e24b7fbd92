package ring

import (
	"maps"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Replace is Claim after every node that is a key of replaced has given its places
// to the node that is its value. With such of the same weights and zones, and
// nothing else that changes, exactly the places of the replaced nodes move. One that
// is lighter, or in another zone, may have to part with some of them again: together
// with other changes that takes, rarely, half as many moves more as would do.
//
// prev is not nil; of each pair the first is a node of prev only, the second one of
// nodes only, and no node stands for two. The error is of KindInvalid.
func Replace(prev *Ring, epoch uint64, nodes []Node, replaced map[kv.NodeID]kv.NodeID) (*Ring, error) {
	const op = "replace nodes"
	heirs := make(map[kv.NodeID]Node, len(nodes))
	for _, n := range nodes {
		heirs[n.ID] = n
	}
	after := slices.Clone(prev.nodes)
	for _, old := range slices.Sorted(maps.Keys(replaced)) {
		heir, comes := heirs[replaced[old]]
		_, stays := heirs[old]
		at, was := find(prev.nodes, old)
		switch {
		case !was:
			return nil, kv.Errorf(kv.KindInvalid, op, "node %v is no member", old)
		case stays:
			return nil, kv.Errorf(kv.KindInvalid, op, "node %v is replaced and stays", old)
		case !comes:
			return nil, kv.Errorf(kv.KindInvalid, op, "node %v, for %v, does not join", replaced[old], old)
		case prev.Contains(heir.ID):
			return nil, kv.Errorf(kv.KindInvalid, op, "node %v, for %v, is a member already", heir.ID, old)
		case slices.ContainsFunc(after, func(n Node) bool { return n.ID == heir.ID }):
			return nil, kv.Errorf(kv.KindInvalid, op, "node %v is to replace two", heir.ID)
		}
		after[at] = heir
	}
	return Claim(prev.renamed(after), prev.params, epoch, nodes)
}

// renamed returns r with other nodes in the places of its own, index by index. It
// need not keep the invariant of zones: Claim does without.
func (r *Ring) renamed(nodes []Node) *Ring {
	sorted := slices.SortedFunc(slices.Values(nodes), byID)
	place := make([]uint16, len(nodes))
	for v, n := range nodes {
		at, _ := find(sorted, n.ID)
		place[v] = uint16(at)
	}
	owners := make([]uint16, len(r.owners))
	for slot, v := range r.owners {
		owners[slot] = place[v]
	}
	out := &Ring{params: r.params, epoch: r.epoch, nodes: sorted, width: r.width, owners: owners}
	out.fill()
	return out
}
