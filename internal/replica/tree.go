package replica

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// TreeState says whether a partition's tree can be compared with others.
type TreeState uint8

const (
	// TreeReady: the tree is the sum of the records.
	TreeReady TreeState = iota
	// TreeBuilding: it is being built, after a crash.
	TreeBuilding
	// TreeDamaged: the copy is damaged, and what cannot be read is not cut out
	// yet.
	TreeDamaged
)

// Tree returns the state and the root of p's tree, and how many writes changed
// an object of p in this process. A copy that is damaged has a ready tree once
// what cannot be read is cut out: see Damaged.
func (s *Store) Tree(p kv.Partition) (state TreeState, root, changes uint64) {
	part, err := s.part(p)
	if err != nil {
		return TreeBuilding, 0, 0
	}
	part.mu.Lock()
	defer part.mu.Unlock()
	return part.state(), part.mu.tree.Root(), part.mu.changes
}

// state returns the tree's state. p.mu is locked.
func (p *partition) state() TreeState {
	switch {
	case p.mu.built == merkle.Leaves:
		return TreeReady
	case p.damaged.Load():
		return TreeDamaged
	}
	return TreeBuilding
}

// Branches appends the hashes of the branches of p's tree to dst, merkle.Fanout
// of them.
func (s *Store) Branches(p kv.Partition, dst []uint64) []uint64 {
	part, err := s.part(p)
	if err != nil {
		return append(dst, make([]uint64, merkle.Fanout)...)
	}
	part.mu.Lock()
	defer part.mu.Unlock()
	return part.mu.tree.Branches(dst)
}

// LeavesOf appends the hashes of the leaves of one branch of p's tree to dst,
// merkle.Fanout of them.
func (s *Store) LeavesOf(p kv.Partition, branch int, dst []uint64) []uint64 {
	part, err := s.part(p)
	if err != nil {
		return append(dst, make([]uint64, merkle.Fanout)...)
	}
	part.mu.Lock()
	defer part.mu.Unlock()
	return part.mu.tree.LeavesOf(branch, dst)
}

// Usage returns the number of records of p, tombstones included, the bytes of
// their keys and values, and of how many records a floor could drop something.
// While the tree is being built they are those of the part that is.
func (s *Store) Usage(p kv.Partition) (keys, bytes, reapable uint64) {
	part, err := s.part(p)
	if err != nil {
		return 0, 0, 0
	}
	part.mu.Lock()
	defer part.mu.Unlock()
	return part.mu.sum.keys, part.mu.sum.bytes, part.mu.sum.reapable
}

// Soonest returns a moment before which nothing in p's copy expires, 0 when
// nothing does. While the tree is being built it is that of the part that is.
func (s *Store) Soonest(p kv.Partition) kv.Expiry {
	part, err := s.part(p)
	if err != nil {
		return 0
	}
	part.mu.Lock()
	defer part.mu.Unlock()
	return part.mu.sum.soonest
}

// Held returns the partitions of which the node may have a record, whether it
// owns them or not, ascending.
func (s *Store) Held() []kv.Partition {
	if err := s.loadAll(); err != nil {
		return s.everyPartition() // nobody can tell that it holds none
	}
	var held []kv.Partition
	s.all(func(p *partition) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.mu.sum.keys > 0 || p.mu.built < merkle.Leaves {
			held = append(held, p.id)
		}
		return true
	})
	return held
}

func (s *Store) everyPartition() []kv.Partition {
	parts := make([]kv.Partition, s.ring().Params().Q)
	for i := range parts {
		parts[i] = kv.Partition(i)
	}
	return parts
}

// LeafKeys calls fn with each record of leaf l and its digest under joined, a
// floor that includes the copy's own, in the order of their positions. Records
// of which joined leaves nothing are left out. A record that holds another
// digest is given this one, and so is the tree: two nodes that compare under
// their joined floor have equal leaves afterwards where their records are.
//
// fn's slices are valid until it returns; it ends the listing by returning
// false. The error is the engine's, or of KindCorrupt when a record cannot be
// read or the copy is damaged and its tree not ready.
func (s *Store) LeafKeys(p kv.Partition, l merkle.Leaf, joined vclock.Floor, fn func(k kv.Key, digest uint64) bool) error {
	part, err := s.part(p)
	if err != nil {
		return err
	}
	if state, _, _ := s.Tree(p); state == TreeDamaged {
		return errDamaged(p)
	}
	refresh := joined.Includes(part.floor.Load().Floor)
	var stale []kv.Key
	err = s.scanRecords(p, l, func(r stored) bool {
		if r.leaf != l {
			return false
		}
		digest := object.Digest(r.obj, joined)
		if digest != r.digest && refresh {
			stale = append(stale, append(kv.Key(nil), r.k...))
		}
		return digest == 0 || fn(r.k, digest)
	})
	if err != nil {
		return s.found(part, err)
	}
	for _, k := range stale {
		// A full disk has nothing to do with what was listed: the digests are
		// refreshed another time.
		if err := s.refresh(part, k, joined); err != nil && kv.KindOf(err) != kv.KindDiskFull {
			return err
		}
	}
	return nil
}

// refresh has the record of k hold its digest under joined.
func (s *Store) refresh(part *partition, k kv.Key, joined vclock.Floor) error {
	return s.rewrite(part, k, func(rec record, w *work) (entry, []byte, bool) {
		digest := object.Digest(rec.obj, joined)
		if digest == rec.digest {
			return entry{}, nil, false
		}
		setDigest(w.old, digest)
		return entry{digest: digest, obj: rec.obj}, w.old, true
	})
}

// rewrite reads the record of k under its stripe and writes what fn makes of it,
// if fn tells so; a nil value deletes it. A record that is gone by now, and a
// copy that is being dropped, is left alone.
func (s *Store) rewrite(part *partition, k kv.Key, fn func(rec record, w *work) (is entry, value []byte, write bool)) error {
	w := s.work.Get().(*work)
	defer s.release(w)
	at := w.data(part, k)
	mu := s.lockOf(k)
	mu.Lock()
	defer mu.Unlock()
	rec, buf, err := s.read(w.key, w.old[:0], false)
	w.old = buf
	if err != nil {
		return s.lost(part, err)
	}
	if rec.obj.Bytes() == nil || part.shut.Load() {
		return nil
	}
	old := entry{size: uint64(len(w.key) + len(w.old)), digest: rec.digest, obj: rec.obj}
	is, value, write := fn(rec, w)
	if !write {
		return nil
	}
	return s.apply(w, at, old, is, value, nil)
}

// stored is a record as a scan meets it; its slices are valid until the next.
type stored struct {
	record
	k    kv.Key
	leaf merkle.Leaf
	size uint64
}

func (r *stored) entry() entry { return entry{size: r.size, digest: r.digest, obj: r.obj} }

// scanRecords calls fn with the records of p from leaf l on, in the order of
// their positions, until it returns false. The error is the engine's, or that of
// the first record that cannot be read.
func (s *Store) scanRecords(p kv.Partition, l merkle.Leaf, fn func(stored) bool) error {
	var bad error
	from, _ := leafRange(p, l, l+1)
	err := s.engine.Scan(storage.NewPrefix(storage.SpaceData, p), from, func(key, value []byte) bool {
		k, ok := dataKey(key)
		if !ok {
			bad = kv.Errorf(kv.KindCorrupt, "read record", "%x is no key of a record", key)
			return false
		}
		r := stored{k: k, leaf: merkle.LeafOf(merkle.Position(k)), size: uint64(len(key) + len(value))}
		r.record, bad = parseRecord(value)
		return bad == nil && fn(r)
	})
	if err != nil {
		return err
	}
	return bad
}

// leafRange returns the range of the engine keys of leaves from to to-1 of p. The
// ranges of all leaves are all of the prefix's: where one is cut out, no sliver
// is left over that is damaged still, though nothing stands in it.
func leafRange(p kv.Partition, from, to merkle.Leaf) (low, high []byte) {
	prefix := storage.NewPrefix(storage.SpaceData, p)
	start, high := prefix.Range()
	low = start
	if from > 0 {
		low = appendPosition(start, from)
	}
	if int(to) < merkle.Leaves {
		high = appendPosition(start, to)
	}
	return low, high
}

func appendPosition(prefix []byte, l merkle.Leaf) []byte {
	const shift = 32 - 10 // a leaf is the top 10 bits of a position
	return binary.BigEndian.AppendUint32(prefix[:len(prefix):len(prefix)], uint32(l)<<shift)
}
