package sim

import (
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// local is a node's store as its coordinator sees it. It notes which dots stand
// for which write.
type local struct {
	*replica.Store
	node *node
}

// Put implements coordinator.Local.
func (l local) Put(level kv.Level, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	o, out, dropped, err := l.Store.Put(level, p, k, w, buf, durable)
	if err == nil {
		l.node.minted(k, w, o)
	}
	return o, out, dropped, err
}

// PutHint implements coordinator.Hints.
func (l local) PutHint(level kv.Level, owner kv.NodeID, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	o, out, dropped, err := l.Store.PutHint(level, owner, p, k, w, buf, durable)
	if err == nil {
		l.node.minted(k, w, o)
	}
	return o, out, dropped, err
}

// minted notes the dot that a write was given: the one of the sequence number
// that was drawn last.
func (n *node) minted(k kv.Key, w object.Write, o object.Object) {
	for c := o.Siblings(); c.Next(); {
		if c.Node == n.id && c.Seq == n.sequence {
			n.world.minted(n, k, w, c.Sibling)
			return
		}
	}
	panic("sim: a put left no sibling")
}

// RaiseFloor implements antientropy.Floors.
func (l local) RaiseFloor(parts []kv.Partition, f vclock.Floor) error {
	l.node.world.bury(parts, f)
	err := l.Store.RaiseFloor(parts, f)
	if err == nil {
		l.node.world.reap(parts, f)
		l.node.world.count.Mark = max(l.node.world.count.Mark, f.Expiry())
		l.node.world.count.Floors++
		l.node.world.say(nil, "%v raises the floors of %v", l.node.machine, parts)
	}
	return err
}

// Usage implements antientropy.Floors. Who is asked to sweep has enough to reap;
// where sweeps are asked for the others have nothing.
func (l local) Usage(p kv.Partition) (keys, bytes, reapable uint64) {
	keys, bytes, reapable = l.Store.Usage(p)
	switch {
	case l.node.leads:
		reapable = plenty
	case l.node.world.SweepsAsked:
		reapable = 0
	}
	return keys, bytes, reapable
}

// plenty is enough to reap for a sweep.
const plenty = 1000

// askToSweep has the machine's node lead a sweep soon.
func (m *machine) askToSweep() {
	m.world.say(nil, "%v is to lead a sweep", m)
	if m.node != nil {
		m.node.leads = true
	}
}

// bury notes which lww writes had lost to a delete by the time that a first
// floor is raised above both: they are not to return. What is written later may
// be older by its time, and lives: nobody knows of the delete any more.
func (w *World) bury(parts []kv.Partition, f vclock.Floor) {
	for _, k := range w.keys {
		if !k.lww || !slices.Contains(parts, k.partition) {
			continue
		}
		for _, d := range k.writes {
			if !d.deleted || !d.under(f) || w.reaped(d) || w.gone(d) {
				continue
			}
			for _, x := range k.writes {
				x.buried = x.buried || x != d && x.under(f) && d.first().beats(x.last())
			}
		}
	}
}

// gone tells whether d is nowhere, and may be.
func (w *World) gone(d *Write) bool {
	if d.fate == acked && !d.excused() {
		return false
	}
	return !slices.ContainsFunc(w.machines, func(m *machine) bool { return m.copy(d.key).any(d, record.holds) })
}

// reap notes of which tombstones floors are above now. They may be gone for good,
// though the nodes whose floors these are lose them.
func (w *World) reap(parts []kv.Partition, f vclock.Floor) {
	for _, k := range w.keys {
		if !slices.Contains(parts, k.partition) {
			continue
		}
		for _, x := range k.writes {
			x.reaped = x.reaped || x.deleted && slices.ContainsFunc(x.dots, func(d mint) bool { return f.Covers(d.Node, d.seq) })
		}
	}
}

// under tells whether f covers all of x's dots.
func (x *Write) under(f vclock.Floor) bool {
	for _, d := range x.dots {
		if !f.Covers(d.Node, d.seq) {
			return false
		}
	}
	return len(x.dots) > 0
}

// GetDone and the methods below implement coordinator.Stats.
func (n *node) GetDone(coordinator.Ended) {}

// PutDone implements coordinator.Stats.
func (n *node) PutDone(coordinator.Ended) {}

// Forwarded implements coordinator.Stats.
func (n *node) Forwarded() {}

// ForwardDone implements coordinator.Stats.
func (n *node) ForwardDone(metrics.Op, coordinator.Ended) {}

// Sampled implements coordinator.Stats.
func (n *node) Sampled(int, int) {}

// Acknowledged implements coordinator.Stats.
func (n *node) Acknowledged(time.Duration) {}

// StaleRing implements coordinator.Stats.
func (n *node) StaleRing() {}

// StandIn implements coordinator.Stats.
func (n *node) StandIn() { n.world.count.Hints++ }

// Hedge implements coordinator.Stats.
func (n *node) Hedge(e hedge.Event) {
	if e == hedge.Sent {
		n.world.count.Hedges++
	}
}

// Repaired implements coordinator.Stats.
func (n *node) Repaired(copies int) { n.world.count.Repaired += copies }

// Truncated implements coordinator.Stats.
func (n *node) Truncated(int) {}

// scrub is where a node's scrub stands.
type scrub struct {
	p kv.Partition
	l merkle.Leaf
}

// scrubLeaves is how much one slice of scrubbing reads: a run of some seconds
// sees several rounds.
const scrubLeaves = 128

// upkeep does a slice of what a node does to its copies besides: rebuilding,
// reaping, salvaging, scrubbing.
func (n *node) upkeep() {
	if _, err := n.store.Upkeep(64 << 10); err != nil {
		return // the engine is failing; the next slice tries again
	}
	if _, err := n.store.ScrubSlice(n.scrub.p, n.scrub.l, scrubLeaves); err != nil {
		return
	}
	n.scrub.l += scrubLeaves
	if n.scrub.l >= merkle.Leaves {
		n.scrub = scrub{p: (n.scrub.p + 1) % kv.Partition(n.world.Partitions)}
	}
}
