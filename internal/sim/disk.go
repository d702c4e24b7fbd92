package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// disk is a node's data directory: what is left of it when the process ends.
// It remembers the changes that were applied and are not yet on stable storage,
// and a crash keeps some of them, the first ones, in order.
type disk struct {
	applied, synced *table
	// log holds the changes that applied has and synced has not, oldest first.
	log []change
	// changes counts all that were ever applied; synced has seen those up to
	// changes - len(log).
	changes uint64
	damage  []span
	files   files

	// full refuses writes, failReads fails reads for the time being, and
	// failSync fails the next fsync, for good.
	full, failReads, failSync bool
	// floorsFirst is Scenario.FloorsFirst.
	floorsFirst bool
	// twin is a real engine beside this model, nil for none.
	twin *twin
	// syncTime draws how long an fsync takes.
	syncTime func() time.Duration
}

// files are the small files beside the engine. Each change of them is durable
// at once: nothing is done before it is.
type files struct {
	id   kv.NodeID
	boot uint64
	// reserved is the highest sequence number that may have been used.
	reserved uint64
	// state is the cluster's, as far as the node knows, nil before it has joined;
	// vote is its part in the votes.
	state *membership.State
	vote  membership.Acceptor
	// ruined tells that the engine was set aside since the last start.
	ruined bool
}

// change is one batch, or one drop of a range.
type change struct {
	ops  []stored
	drop *keyRange
}

// stored is one step of a batch.
type stored struct {
	key    string
	value  []byte
	delete bool
}

// span is a range of keys whose stored bytes are damaged, as they stood after a
// number of changes: what was written later is sound.
type span struct {
	keyRange
	at uint64
}

// newDisk returns an empty disk. Its fsyncs take from 0.1 to 1 ms, and now and
// then a hundred times that.
func (s *Scenario) newDisk(rng *rand.Rand) *disk {
	syncTime := func() time.Duration {
		d := between(rng, 100*time.Microsecond, time.Millisecond)
		if chance(rng, s.SlowSyncs) {
			d *= 100
		}
		return d
	}
	return &disk{applied: newTable(), synced: newTable(), floorsFirst: s.FloorsFirst, syncTime: syncTime}
}

// newDisk returns an empty disk, with a twin where that is asked for.
func (w *World) newDisk(rng *rand.Rand) *disk {
	d := w.Scenario.newDisk(rng)
	if w.Engine != nil && !w.FloorsFirst {
		wrong := func(format string, args ...any) { w.violate("the engine's contract", nil, format, args...) }
		d.twin = newTwin(w.Engine, w.random("twin %d", len(w.twins)), wrong)
		w.twins = append(w.twins, d.twin)
	}
	return d
}

// watchTwin has the twin of a copied disk ended with the run.
func (w *World) watchTwin(d *disk) {
	if d.twin != nil {
		w.twins = append(w.twins, d.twin)
	}
}

func changeOf(b *storage.Batch) change {
	c := change{ops: make([]stored, 0, b.Len())}
	for _, op := range b.Ops() {
		c.ops = append(c.ops, stored{key: string(op.Key), value: append([]byte(nil), op.Value...), delete: op.Delete})
	}
	return c
}

// apply makes c visible.
func (d *disk) apply(c change) {
	d.changes++
	c.to(d.applied, d.changes)
	d.log = append(d.log, c)
	if d.twin != nil {
		d.twin.apply(c, d.changes)
	}
}

// syncTo makes the changes up to number n durable.
func (d *disk) syncTo(n uint64) {
	done := d.changes - uint64(len(d.log))
	for len(d.log) > 0 && done < n {
		done++
		d.log[0].to(d.synced, done)
		d.log = d.log[1:]
	}
}

func (c change) to(t *table, number uint64) {
	for _, op := range c.ops {
		if op.delete {
			t.remove(op.key)
		} else {
			t.set(op.key, row{op.value, number})
		}
	}
	if c.drop != nil {
		for _, k := range append([]string(nil), t.within(*c.drop)...) {
			t.remove(k)
		}
	}
}

// durable returns how many of the changes are on stable storage.
func (d *disk) durable() uint64 { return d.changes - uint64(len(d.log)) }

// crash loses the changes that are not durable but for the first keep, or those
// that the twin keeps.
func (d *disk) crash(keep int) {
	left := d.durable() + uint64(keep)
	if d.twin != nil {
		left = d.kept(d.twin.lose())
	}
	d.syncTo(left)
	d.changes, d.log = left, nil
	d.applied = d.synced.clone()
	if d.twin != nil {
		d.twin.compare(d.applied)
	}
}

// kept holds the number of changes that the twin says it has after a crash
// against what it may have.
func (d *disk) kept(n uint64) uint64 {
	if n < d.durable() || n > d.changes {
		d.twin.wrong("after a crash %d changes are left of %d, of which %d were durable", n, d.changes, d.durable())
	}
	return min(max(n, d.durable()), d.changes)
}

// aside tells whether c goes into a file of its own: then it is durable at once,
// whatever becomes of the changes before it.
func (d *disk) aside(c change) bool {
	if !d.floorsFirst || c.drop != nil || len(c.ops) == 0 {
		return false
	}
	for _, op := range c.ops {
		if storage.Space(op.key[0]) != storage.SpaceMeta {
			return false
		}
	}
	c.to(d.applied, d.changes)
	c.to(d.synced, d.changes)
	return true
}

// copied returns the directory as it is on stable storage now, as a backup
// takes it.
func (d *disk) copied() *disk {
	c := *d
	c.synced, c.log = d.synced.clone(), slices.Clone(d.log)
	left := d.durable()
	if d.twin != nil {
		c.twin = d.twin.copied()
		left = c.kept(c.twin.survey())
		c.twin.stop()
	}
	c.syncTo(left)
	c.applied, c.changes, c.log = c.synced.clone(), left, nil
	c.damage = append([]span(nil), d.damage...)
	c.full, c.failReads, c.failSync = false, false, false
	return &c
}

// spoil damages the stored bytes of a range of keys. What is not yet on stable
// storage is not stored yet.
func (d *disk) spoil(r keyRange) {
	d.damage = append(d.damage, span{r, d.changes - uint64(len(d.log))})
}

// mend forgets the damage within r, whose keys were dropped.
func (d *disk) mend(r keyRange) {
	var left []span
	for _, s := range d.damage {
		for _, part := range s.cut(r) {
			left = append(left, span{part, s.at})
		}
	}
	d.damage = left
}

// hurt tells whether there is damage within r.
func (d *disk) hurt(r keyRange) bool {
	return slices.ContainsFunc(d.damage, func(s span) bool { return s.meets(r) })
}

// damaged tells whether reading key meets damage.
func (d *disk) damaged(key string) bool { return d.spoiled(d.applied, key) }

// spoiled tells the same of t, one of d's tables.
func (d *disk) spoiled(t *table, key string) bool {
	for _, s := range d.damage {
		if r, ok := t.rows[key]; s.has(key) && (!ok || r.at <= s.at) {
			return true
		}
	}
	return false
}
