package replica

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// A tree is rebuilt leaf by leaf, a window of leaves at a time: the window's
// records are read without a lock, and each of its leaves is then closed under
// its stripe. A write to a leaf that is not closed marks it dirty and leaves the
// tree alone; a dirty leaf is read again under the stripe that closes it. So
// traffic goes on, and a closed leaf is the sum of its records.

// window is what was read of some leaves: sums[i] is of leaf from+i.
type window struct {
	from merkle.Leaf
	sums []leafSum
	size int
}

// rebuild rebuilds one window, of some maxBytes of records, and returns how many
// it read. Of a damaged copy it cuts out what cannot be read.
func (s *Store) rebuild(part *partition, maxBytes int) (int, error) {
	part.mu.Lock()
	from, turn := part.mu.built, part.mu.turn
	part.mu.dirty = [len(part.mu.dirty)]uint64{}
	part.mu.Unlock()
	if from == merkle.Leaves {
		return 0, nil
	}
	w := window{from: merkle.Leaf(from)}
	bad := w.read(s, part.id, maxBytes)
	if bad != nil && kv.KindOf(bad) != kv.KindCorrupt {
		return w.size, bad
	}
	if bad != nil && !part.damaged.Load() {
		return max(w.size, 1), s.damage(part, bad)
	}
	for i, sum := range w.sums {
		if ok, err := s.closeLeaf(part, w.from+merkle.Leaf(i), sum, turn); err != nil || !ok {
			return max(w.size, 1), err
		}
	}
	if bad != nil {
		return max(w.size, 1), s.cut(part, w.from+merkle.Leaf(len(w.sums)), turn)
	}
	return max(w.size, 1), nil
}

// read reads whole leaves from w.from on, until they come to maxBytes. After an
// error w has the leaves before the one in which it came.
func (w *window) read(s *Store, p kv.Partition, maxBytes int) error {
	w.sums = make([]leafSum, 1, merkle.Leaves-int(w.from))
	full := false
	err := s.scanRecords(p, w.from, func(r stored) bool {
		at := int(r.leaf - w.from)
		if at >= len(w.sums) && w.size >= maxBytes {
			full = true
			return false
		}
		for at >= len(w.sums) {
			w.sums = append(w.sums, leafSum{})
		}
		w.sums[at].add(r.k, r.entry())
		w.size += int(r.size)
		return true
	})
	switch {
	case err != nil:
		w.sums = w.sums[:len(w.sums)-1]
	case !full:
		w.sums = w.sums[:cap(w.sums)]
	}
	return err
}

// closeLeaf enters leaf l, the next one, into the tree: sum, unless it was
// written to since. It is not ok when the rebuilding began anew meanwhile.
func (s *Store) closeLeaf(part *partition, l merkle.Leaf, sum leafSum, turn uint64) (ok bool, err error) {
	s.locks[l].Lock()
	defer s.locks[l].Unlock()
	part.mu.Lock()
	dirty := part.mu.dirty[l/64]&(1<<(l%64)) != 0
	part.mu.Unlock()
	if dirty {
		if sum, err = s.sumOf(part.id, l); err != nil {
			return false, s.lost(part, err)
		}
	}
	return part.enter(l, sum, turn), nil
}

// enter enters leaf l, whose stripe is locked, unless the rebuilding began anew.
func (p *partition) enter(l merkle.Leaf, sum leafSum, turn uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.turn != turn {
		return false
	}
	p.mu.tree.SetLeaf(l, sum.hash)
	p.mu.sum.plus(sum)
	p.mu.built = int(l) + 1
	if p.mu.built == merkle.Leaves && p.mu.again {
		p.reset(0)
	}
	return true
}

// sumOf reads one leaf. Its stripe is locked.
func (s *Store) sumOf(p kv.Partition, l merkle.Leaf) (leafSum, error) {
	var sum leafSum
	err := s.scanRecords(p, l, func(r stored) bool {
		if r.leaf == l {
			sum.add(r.k, r.entry())
		}
		return r.leaf == l
	})
	return sum, err
}

// cut removes what stands in leaf l of a damaged copy, which cannot be read, and
// in those after it that cannot either. They stay locked while the disk is at
// it: what is put there meanwhile would go with them.
func (s *Store) cut(part *partition, l merkle.Leaf, turn uint64) error {
	if err := s.marked(part); err != nil {
		return err
	}
	end, known := l, l
	for ; int(end) < merkle.Leaves; end++ {
		s.locks[end].Lock()
		defer s.locks[end].Unlock()
		if end < known {
			continue
		}
		_, err := s.sumOf(part.id, end)
		if err == nil {
			break
		}
		if kv.KindOf(err) != kv.KindCorrupt {
			return err
		}
		known = leafBefore(part.id, err)
	}
	if end == l {
		return nil // it can be read after all, and the next window will
	}
	low, high := leafRange(part.id, l, end)
	err := s.engine.Drop(low, high)
	part.drops.Add(1)
	if err != nil {
		return err
	}
	for ; l < end; l++ {
		if !part.enter(l, leafSum{}, turn) {
			return nil
		}
	}
	return nil
}

// leafBefore returns the last leaf of p of which nothing can be read because of
// err, as far as err tells; 0 when it does not.
func leafBefore(p kv.Partition, err error) merkle.Leaf {
	var d *storage.Damage
	if !errors.As(err, &d) || d.To == nil {
		return 0
	}
	from, to := storage.NewPrefix(storage.SpaceData, p).Range()
	switch {
	case bytes.Compare(d.To, from) < 0:
		return 0
	case to != nil && bytes.Compare(d.To, to) >= 0:
		return merkle.Leaves - 1
	case len(d.To) < len(from)+4:
		return 0
	}
	return merkle.LeafOf(binary.BigEndian.Uint32(d.To[len(from):]))
}
