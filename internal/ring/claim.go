package ring

import (
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Claim returns the ring of an epoch: who owns what once nodes are the members
// (§6.2, strategy 3). prev is the ring of the epoch before, nil for a first
// one; it is not changed, and nodes may be in any order. Claim is a pure
// function: equal arguments give equal rings on every machine.
//
// What it promises:
//   - a partition's owners are distinct and span min(zones, N, nodes) zones;
//   - each node owns its fair share (see fairShares) of partitions, rounded
//     down or up;
//   - each node is first owner of its weight's share of them, rounded down or
//     up, where the owner lists allow (see tokens.level);
//   - the moves are hardly more than the fewest that such a ring needs, which
//     are at least the sum over nodes of max(0, new load - old load);
//   - with the nodes of prev, it returns the owners of prev in their order.
//
// It returns an error of KindInvalid when params or nodes are outside their
// limits, when params are not prev's, or when epoch is not after prev's.
func Claim(prev *Ring, params Params, epoch uint64, nodes []Node) (*Ring, error) {
	const op = "claim partitions"
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, byID)
	if err := checkNodes(nodes); err != nil {
		return nil, err
	}
	if err := params.Validate(); err != nil {
		return nil, err
	}
	if prev != nil && params != prev.params {
		return nil, kv.Errorf(kv.KindInvalid, op, "the parameters %+v of a cluster cannot become %+v", prev.params, params)
	}
	if prev != nil && epoch <= prev.epoch {
		return nil, kv.Errorf(kv.KindInvalid, op, "epoch %d is not after %d", epoch, prev.epoch)
	}
	d := newDraft(prev, params, epoch, nodes)
	if !d.place() {
		return nil, kv.Errorf(kv.KindInternal, op, "no chain of moves reaches the targets")
	}
	t := newTokens(d)
	t.level()
	t.spread()
	owners := make([]uint16, len(d.slots))
	for slot, v := range d.slots {
		owners[slot] = uint16(v)
	}
	r, err := newRing(params, epoch, nodes, owners)
	return r, kv.Wrap(kv.KindInternal, op, err)
}
