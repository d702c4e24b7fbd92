// Package ring says which nodes own a key: partitions, owners, preference
// lists, and the claim that spreads partitions over nodes (Dynamo, SOSP 2007,
// §4.2, §4.3 and §6.2, strategy 3).
//
// The circle of hashes is cut into Q equal partitions. For each of them the
// ring stores its owners, first the one that holds the partition's token, as an
// explicit list: docs/adr/0002-explicit-placement.md says why the list is not
// derived by walking over tokens. Everything here is a value or a pure
// function; a Ring is safe for concurrent use because nothing changes it.
package ring

import (
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Ring is one epoch's assignment of partitions to nodes.
//
// Invariants, which check verifies:
//   - the parameters are valid, and the nodes are valid and ascending by id;
//   - each partition has exactly min(N, nodes) owners, no node twice;
//   - the owners of each partition span min(zones, N, nodes) zones.
//
// That loads and tokens follow weight is a promise of Claim, not an invariant:
// a later release may claim in another way and must still read this ring.
type Ring struct {
	params Params
	epoch  uint64
	nodes  []Node
	// width is the number of owners of each partition.
	width int
	// owners holds, width at a time, the node indexes of each partition's
	// owners; ids holds the same as ids.
	owners []uint16
	ids    []kv.NodeID
	// loads and tokens count, by node index, the partitions that a node owns
	// and those of which it is the first owner.
	loads, tokens []int
}

// newRing takes its arguments over, and returns an error of KindInvalid when
// they break an invariant.
func newRing(params Params, epoch uint64, nodes []Node, owners []uint16) (*Ring, error) {
	r := &Ring{params: params, epoch: epoch, nodes: nodes, width: min(params.N, len(nodes)), owners: owners}
	if err := r.check(); err != nil {
		return nil, err
	}
	r.fill()
	return r, nil
}

// fill sets what follows from nodes and owners.
func (r *Ring) fill() {
	r.ids = make([]kv.NodeID, len(r.owners))
	r.loads = make([]int, len(r.nodes))
	r.tokens = make([]int, len(r.nodes))
	for slot, v := range r.owners {
		r.ids[slot] = r.nodes[v].ID
		r.loads[v]++
		if slot%r.width == 0 {
			r.tokens[v]++
		}
	}
}

// check returns an error of KindInvalid for the first invariant that does not
// hold.
func (r *Ring) check() error {
	if err := r.params.Validate(); err != nil {
		return err
	}
	if err := checkNodes(r.nodes); err != nil {
		return err
	}
	if len(r.owners) != r.params.Q*r.width {
		return kv.Errorf(kv.KindInvalid, "check ring", "%d owners, want %d of each of %d partitions", len(r.owners), r.width, r.params.Q)
	}
	zones, span := newZoning(r.nodes), r.span()
	for p := range r.params.Q {
		if err := r.checkList(kv.Partition(p), zones, span); err != nil {
			return err
		}
	}
	return nil
}

// checkList is check for the owners of p.
func (r *Ring) checkList(p kv.Partition, zones zoning, span int) error {
	const op = "check ring"
	list, covered := r.list(p), 0
	for i, v := range list {
		if int(v) >= len(r.nodes) {
			return kv.Errorf(kv.KindInvalid, op, "partition %d has owner %d of %d nodes", p, v, len(r.nodes))
		}
		if slices.Contains(list[:i], v) {
			return kv.Errorf(kv.KindInvalid, op, "partition %d has node %v twice", p, r.nodes[v].ID)
		}
		if !slices.ContainsFunc(list[:i], func(u uint16) bool { return zones.of[u] == zones.of[v] }) {
			covered++
		}
	}
	if covered < span {
		return kv.Errorf(kv.KindInvalid, op, "the owners of partition %d span %d zones, want %d", p, covered, span)
	}
	return nil
}

// Params returns what the cluster was created with.
func (r *Ring) Params() Params { return r.params }

// Epoch returns the number of the membership change that made this ring.
func (r *Ring) Epoch() uint64 { return r.epoch }

// Nodes returns the members, ascending by id: shared, read-only.
func (r *Ring) Nodes() []Node { return r.nodes }

// Replicas returns the number of owners of each partition: N, or the number
// of nodes where that is less.
func (r *Ring) Replicas() int { return r.width }

// PartitionOf returns the partition of k. The bucket does not enter the hash.
func (r *Ring) PartitionOf(k kv.Key) kv.Partition {
	return r.params.Partitioner.Partition(k.User(), r.params.Q)
}

// Owners returns the owners of p, first the holder of its token: shared,
// read-only. It panics when p is not below Q.
func (r *Ring) Owners(p kv.Partition) []kv.NodeID {
	at := int(p) * r.width
	return r.ids[at : at+r.width : at+r.width]
}

// Owns reports whether id is an owner of p. It panics when p is not below Q.
func (r *Ring) Owns(p kv.Partition, id kv.NodeID) bool { return slices.Contains(r.Owners(p), id) }

// Contains reports whether id is a member.
func (r *Ring) Contains(id kv.NodeID) bool {
	_, ok := find(r.nodes, id)
	return ok
}

// Tokens returns the number of partitions of which id is the first owner; 0
// for a stranger.
func (r *Ring) Tokens(id kv.NodeID) int { return r.count(r.tokens, id) }

// Load returns the number of partitions of which id is an owner; 0 for a
// stranger.
func (r *Ring) Load(id kv.NodeID) int { return r.count(r.loads, id) }

// Partitions returns the partitions of which id is an owner, ascending, in a
// slice of the caller's.
func (r *Ring) Partitions(id kv.NodeID) []kv.Partition {
	out := make([]kv.Partition, 0, r.Load(id))
	for slot, owner := range r.ids {
		if owner == id {
			out = append(out, kv.Partition(slot/r.width))
		}
	}
	return out
}

func (r *Ring) count(counts []int, id kv.NodeID) int {
	if i, ok := find(r.nodes, id); ok {
		return counts[i]
	}
	return 0
}

// span returns the number of zones that each owner list covers.
func (r *Ring) span() int { return min(len(newZoning(r.nodes).names), r.width) }

// list returns the node indexes of p's owners.
func (r *Ring) list(p kv.Partition) []uint16 {
	return r.owners[int(p)*r.width : (int(p)+1)*r.width]
}
