package antientropy

import (
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// leftovers empties copies of partitions that this node does not own: what is
// left from an earlier ring or an earlier step, or came from a node that knew an
// older one. Each owner that is to stay is given all that the copy holds, durably, and its floor; then
// the copy is dropped, if nothing was written to it since.
//
// Before that the copy refuses, durably, the gets that it once answered: also where
// the node hears of the change only when that is over. It may become an owner again,
// and a get of long ago that was answered by others as they were then is not to be
// answered by what is left.
//
// The floor goes with the data, or by itself where all data was reaped: the copy
// may be the last to know that something was deleted. Its tombstone is gone, and
// the floor alone tells a late message of the deleted value that it comes too
// late.
type leftovers struct {
	era    kv.Level
	copies []leftover
}

// leftover is one copy's progress.
type leftover struct {
	p kv.Partition
	// changes is the copy's number of changes when the owners were counted that
	// have all of it.
	changes uint64
	given   []kv.NodeID
}

func (f *leftovers) find(p kv.Partition) *leftover {
	for i := range f.copies {
		if f.copies[i].p == p {
			return &f.copies[i]
		}
	}
	return nil
}

// update finds out which copies are left over.
func (f *leftovers) update(k *Keeper, cur *ring.Current) {
	fresh := f.era == eraOf(cur)
	f.era = eraOf(cur)
	var copies []leftover
	held := k.Copies.Held()
	for i := range cur.Ring.Params().Q {
		p := kv.Partition(i)
		_, holds := slices.BinarySearch(held, p)
		if _, floor := k.Floors.Floor(p); !holds && floor == 0 || !k.leftOver(cur, p) {
			continue
		}
		_, _, changes := k.Trees.Tree(p)
		c := leftover{p: p, changes: changes}
		if old := f.find(p); old != nil && fresh && old.changes == changes {
			c = *old
		}
		copies = append(copies, c)
	}
	f.copies = copies
}

// wanted returns the partitions that peer is still to be given. A damaged copy is
// refilled first: what it has left cannot be read before.
func (f *leftovers) wanted(k *Keeper, cur *ring.Current, peer kv.NodeID) []kv.Partition {
	if len(f.copies) == 0 {
		return nil // nearly always, and it is asked at each Tick
	}
	var out []kv.Partition
	marked := k.Damage.Damaged()
	for i := range f.copies {
		if c := &f.copies[i]; cur.View(c.p).Takes(peer) && !slices.Contains(c.given, peer) && k.sound(c.p, marked) {
			out = append(out, c.p)
		}
	}
	return out
}

// exchanged counts the peer of an exchange as an owner that has all, and drops
// the copies that all owners have.
func (f *leftovers) exchanged(k *Keeper, x *exchange) {
	cur := k.Cluster.Current()
	if cur == nil || eraOf(cur) != x.era || f.era != x.era {
		return
	}
	var done []*leftover
	var to []replica.Advance
	for i := range x.copies {
		pair := &x.copies[i]
		c := f.find(pair.p)
		if c == nil || !pair.complete {
			continue
		}
		if !slices.Contains(c.given, x.peer) {
			c.given = append(c.given, x.peer)
		}
		if !c.wanting(k, cur) {
			done, to = append(done, c), append(to, replica.Advance{Partition: c.p, Gets: cur.View(c.p).Level})
		}
	}
	err := k.Stages.Advance(to)
	for _, c := range done {
		if err != nil {
			c.given = nil
			continue
		}
		// Whether there was a write since update counted the changes, DropCopy
		// finds out under the locks of the copy.
		if dropped, err := k.Copies.DropCopy(c.p, c.changes); err != nil || !dropped {
			c.given = nil
		}
	}
}

// wanting tells whether there is an owner that has not been given all. The others
// do not count: a node that is lost for good, and one that leaves itself.
func (c *leftover) wanting(k *Keeper, cur *ring.Current) bool {
	v := cur.View(c.p)
	return slices.ContainsFunc(v.Owners, func(id kv.NodeID) bool {
		lost := cur.Progress != nil && slices.Contains(cur.Progress.Lost(), id)
		return id != k.Self && !lost && v.Takes(id) && !slices.Contains(c.given, id)
	})
}
