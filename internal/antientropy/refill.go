package antientropy

import (
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// refill fills copies again that have lost data (DESIGN section 5, rule 7). Such
// a copy counts again once it has been exchanged fully with N-W+1 other owners:
// then it has met one of the owners that acknowledged each write, whichever W
// they were, besides itself, whose word no longer counts. Copies that are
// damaged themselves are no sources.
type refill struct {
	epoch uint64
	// copies are ascending by partition.
	copies []refilling
}

// refilling is one copy's progress.
type refilling struct {
	p     kv.Partition
	since time.Time
	// damages is how often the copy was damaged when the sources were counted.
	damages uint64
	sources []kv.NodeID
}

// find returns the progress of p, nil when it is not damaged.
func (f *refill) find(p kv.Partition) *refilling {
	for i := range f.copies {
		if f.copies[i].p == p {
			return &f.copies[i]
		}
	}
	return nil
}

// update finds out which copies are damaged.
func (f *refill) update(k *Keeper, r *ring.Ring, now time.Time) {
	fresh := f.epoch == r.Epoch()
	f.epoch = r.Epoch()
	marked := k.Damage.Damaged()
	var copies []refilling
	for _, p := range marked {
		c := refilling{p: p, since: now}
		if old := f.find(p); old != nil {
			c = *old
		}
		// Damage takes away what was filled in, and other owners may have
		// acknowledged other writes.
		if d := k.Damage.Damages(p); !fresh || d != c.damages {
			c.damages, c.sources = d, nil
		}
		copies = append(copies, c)
	}
	f.copies = copies
	if k.cfg.omits(OmitDamage) {
		for _, p := range marked {
			f.end(k, p)
		}
	}
}

// wanted returns the partitions for which peer is a source that is still needed.
func (f *refill) wanted(k *Keeper, r *ring.Ring, peer kv.NodeID) []kv.Partition {
	var out []kv.Partition
	for i := range f.copies {
		if c := &f.copies[i]; r.Owns(c.p, peer) && !slices.Contains(c.sources, peer) && k.built(c.p) {
			out = append(out, c.p)
		}
	}
	return out
}

// needed returns how many other owners p is to be filled from.
func needed(r *ring.Ring, self kv.NodeID, p kv.Partition) int {
	n := r.Replicas()
	need := n - min(r.Params().W, n) + 1
	if r.Owns(p, self) {
		// With W=1 there are not as many: then all of them.
		need = min(need, n-1)
	}
	return need
}

// exchanged counts the peer of an exchange as a source.
func (f *refill) exchanged(k *Keeper, x *exchange) {
	r := k.Cluster.Ring()
	if r == nil || r.Epoch() != x.epoch || f.epoch != x.epoch {
		return
	}
	for i := range x.copies {
		pair := &x.copies[i]
		c := f.find(pair.p)
		if c == nil || !pair.complete || pair.own.damages != c.damages || slices.Contains(c.sources, x.peer) {
			continue
		}
		c.sources = append(c.sources, x.peer)
		if need := needed(r, k.Self, c.p); need > 0 && len(c.sources) >= need {
			f.end(k, c.p)
		}
	}
}

// end takes the mark of a copy away.
func (f *refill) end(k *Keeper, p kv.Partition) {
	c := f.find(p)
	if k.Damage.Repaired(p, c.damages) != nil {
		return // there is new damage, or the disk fails: the next look tells
	}
	k.repairs++
	f.copies = slices.DeleteFunc(f.copies, func(c refilling) bool { return c.p == p })
}
