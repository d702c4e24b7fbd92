package replica

import (
	"math"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// Upkeep does one slice of what is to be done besides requests, and returns how
// many bytes it read, 0 when there is nothing to do. In this order: it builds the
// trees that a crash left behind, cutting out what cannot be read of damaged
// copies; then it reaps what the floors let it drop. A slice reads whole leaves,
// until they come to maxBytes. Partitions take turns: one that has to be built
// again and again, because the engine has not rid itself of what is damaged yet,
// keeps no other one from being cut out. One goroutine may call it at a time.
//
// After an error the slice is tried again by the next call.
func (s *Store) Upkeep(maxBytes int) (did int, err error) {
	if err := s.loadAll(); err != nil {
		return 0, err
	}
	if s.saved.Load() {
		return 0, nil
	}
	for _, job := range []func(*partition, int) (int, error){s.build, s.reap} {
		last := s.upkept
		step := func(p *partition) bool {
			did, err = job(p, maxBytes)
			s.upkept = p.id
			return did == 0 && err == nil
		}
		s.all(func(p *partition) bool { return p.id <= last || step(p) })
		if did == 0 && err == nil {
			s.all(func(p *partition) bool { return p.id <= last && step(p) })
		}
		if did > 0 || err != nil {
			return did, err
		}
	}
	return 0, nil
}

// build has the mark of a damaged copy in the engine, and rebuilds a part of the
// tree.
func (s *Store) build(part *partition, maxBytes int) (int, error) {
	if part.damaged.Load() {
		if err := s.marked(part); err != nil {
			return 0, err
		}
	}
	return s.rebuild(part, maxBytes)
}

// reap reaps a part of the copy under its floor, unless all of it was reaped
// under that floor already.
func (s *Store) reap(part *partition, maxBytes int) (int, error) {
	f := part.floor.Load()
	if !s.reaps(part, f) {
		return 0, nil
	}
	if part.reaping != f || part.reapAt == merkle.Leaves {
		part.reaping, part.reapAt = f, 0
		part.lookForSoonest()
	}
	keys, size, next, err := s.reapableFrom(part, f, merkle.Leaf(part.reapAt), maxBytes)
	if err != nil {
		return size, s.lost(part, err)
	}
	for _, k := range keys {
		if err := s.reapKey(part, k); err != nil {
			return size, err
		}
	}
	if part.reapAt = next; next == merkle.Leaves {
		part.foundSoonest()
	}
	return max(size, 1), nil
}

// lookForSoonest begins to look for the soonest expiry, from the first leaf on.
func (p *partition) lookForSoonest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.soonest, p.mu.fresh = 0, 0
}

// foundSoonest ends that: p.soonest is that of all that was there all the while.
func (p *partition) foundSoonest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.sum.soonest = p.soonest.Sooner(p.mu.fresh)
}

// reaps tells whether something of a copy may be reaped under f.
func (s *Store) reaps(part *partition, f *floor) bool {
	part.mu.Lock()
	soonest := part.mu.sum.soonest
	some := part.mu.sum.reapable > 0 || s.past(f, soonest)
	ready := part.mu.built == merkle.Leaves && some
	part.mu.Unlock()
	switch {
	case !ready || part.damaged.Load() || part.shut.Load():
		return false
	case s.omits(OmitFloor), s.omits(OmitExpiryFloor) && s.past(f, soonest):
		return true
	}
	return len(f.Floor) > 0 && (part.reaping != f || part.reapAt < merkle.Leaves)
}

// reapableFrom returns the keys of records of leaf l and the next ones that f
// lets drop something, the bytes that it read, and the leaf to go on with.
func (s *Store) reapableFrom(part *partition, f *floor, l merkle.Leaf, maxBytes int) (keys []kv.Key, size, next int, err error) {
	at := l
	next = merkle.Leaves
	err = s.scanRecords(part.id, l, func(r stored) bool {
		if r.leaf != at && size >= maxBytes {
			next = int(r.leaf)
			return false
		}
		at = r.leaf
		size += int(r.size)
		soonest := object.Soonest(r.obj)
		if !s.past(f, soonest) && !reapable(r.obj) {
			part.soonest = part.soonest.Sooner(soonest)
			return true
		}
		pruned, _, changed := object.Prune(nil, r.obj, s.reapFloor(f, r.obj))
		if changed = changed && worthwhile(r.obj, pruned); changed {
			keys = append(keys, append(kv.Key(nil), r.k...))
			soonest = object.Soonest(pruned)
		}
		part.soonest = part.soonest.Sooner(soonest)
		return true
	})
	return keys, size, next, err
}

// past tells whether e, if it is an expiry, is past by f's expiry mark.
func (s *Store) past(f *floor, e kv.Expiry) bool {
	mark := f.Expiry()
	if s.omits(OmitExpiryFloor) {
		mark = kv.Expiry(s.wall() / 1000)
	}
	return e != 0 && e <= mark
}

// reapFloor is the floor to reap o under.
func (s *Store) reapFloor(f *floor, o object.Object) vclock.Floor {
	atOnce := s.omits(OmitExpiryFloor) && s.past(f, object.Soonest(o))
	if !s.omits(OmitFloor) && !atOnce {
		return f.Floor
	}
	var all vclock.Floor
	if atOnce {
		all = vclock.AppendExpiryMark(nil, kv.Expiry(s.wall()/1000))
	}
	for i := range o.Clock().Len() {
		one := vclock.AppendFloorEntry(nil, o.Clock().At(i).Node, math.MaxUint64)
		all = vclock.AppendFloorJoin(nil, all, one)
	}
	for c := o.Siblings(); c.Next(); {
		all = vclock.AppendFloorJoin(nil, all, vclock.AppendFloorEntry(nil, c.Node, math.MaxUint64))
	}
	return all
}

// worthwhile tells whether pruned, all that a floor leaves of o, saves enough to
// be written.
func worthwhile(o, pruned object.Object) bool {
	_, entries := object.Reapable(o)
	_, entriesLeft := object.Reapable(pruned)
	return pruned.Len() < o.Len() || pruned.Bytes() == nil || entries-entriesLeft >= reapEntries
}

// reapKey drops of the record of k what the floor lets it drop by now.
func (s *Store) reapKey(part *partition, k kv.Key) error {
	reaped := uint64(0)
	err := s.rewrite(part, k, func(rec record, w *work) (entry, []byte, bool) {
		f := part.floor.Load()
		w.out = appendRecordHeader(w.out[:0], rec.own, 0)
		pruned, out, changed := object.Prune(w.out, rec.obj, s.reapFloor(f, rec.obj))
		w.out = out
		switch {
		case !changed || !worthwhile(rec.obj, pruned):
			return entry{}, nil, false
		case pruned.Bytes() == nil:
			reaped = 1
			return entry{}, nil, true
		}
		reaped = 1
		digest := object.Digest(pruned, f.Floor)
		setDigest(w.out, digest)
		return entry{digest: digest, obj: pruned}, w.out, true
	})
	if err == nil {
		s.reaped.Add(reaped)
	}
	return err
}

// Reaped counts the records that were dropped or shortened under a floor since
// the Store was opened.
func (s *Store) Reaped() uint64 { return s.reaped.Load() }
