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

// crash loses the changes that are not durable but for the first keep.
func (d *disk) crash(keep int) {
	done := d.changes - uint64(len(d.log))
	d.syncTo(done + uint64(keep))
	d.changes, d.log = done+uint64(keep), nil
	d.applied = d.synced.clone()
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
	c.applied, c.synced, c.log = d.synced.clone(), d.synced.clone(), nil
	c.changes = d.changes - uint64(len(d.log))
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
