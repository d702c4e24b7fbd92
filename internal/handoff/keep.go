package handoff

import (
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// keep takes a hint that this node has not to send: one for itself is merged
// into its own copy. One for a node that owns the partition no more is made a
// hint for each present owner, or merged into this node's copy if it is one.
//
// All of them get it, as from a left-over copy, and not just one: the hint is one
// of the W copies that were acknowledged, and that one owner may hold another of
// them. Then a single copy would be left, and its disk would be all that stands
// between the write and its loss.
func (h *Sender) keep(d *delivery) {
	c := h.Cluster.Current()
	if c == nil {
		d.end(0, kv.Errorf(kv.KindUnavailable, "keep hint", "this node is not in a ring yet"))
		return
	}
	v := c.View(d.p)
	owners := v.Newest()
	if v.Takes(d.owner) {
		if d.owner != h.Self {
			d.end(0, kv.Errorf(kv.KindUnavailable, "keep hint", "node %v owns partition %d again", d.owner, d.p))
			return
		}
		owners = []kv.NodeID{h.Self}
	}
	k := &keeping{d: d}
	k.left.Store(int64(len(owners)))
	for _, id := range owners {
		var err error
		if id == h.Self {
			err = h.Local.Merge(d.p, d.hint.Key, d.hint.Object, nil, k)
		} else {
			err = h.Hints.ReaddressHint(id, d.p, d.hint.Key, d.hint.Object, k)
		}
		if err != nil {
			k.Durable(err)
		}
	}
}

// keeping is the storage.Waiter of each merge of a hint that this node keeps.
type keeping struct {
	d *delivery
	// left counts the merges that are not durable yet, err is the first that
	// failed.
	left atomic.Int64
	err  atomic.Pointer[error]
}

// Durable implements storage.Waiter.
func (k *keeping) Durable(err error) {
	if err != nil {
		k.err.CompareAndSwap(nil, &err)
	}
	if k.left.Add(-1) > 0 {
		return
	}
	if first := k.err.Load(); first != nil {
		k.d.end(0, *first)
		return
	}
	k.d.end(k.d.h.Boot(), nil)
}
