package replica

import (
	"bytes"

	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// CutGaps drops what the engine has from from up to, and without, to, wherever
// this node keeps nothing: between the partitions of which it has records, and
// the hints that it has. What a damaged file says of such keys nobody will ever
// read, but the engine would come upon it again and again. What it knows of the
// partitions is dropped as well, and written anew. No write is taken meanwhile.
func (s *Store) CutGaps(from, to []byte) error {
	if err := s.loadAll(); err != nil {
		return err
	}
	defer s.hold()()
	at := from
	if meta := endOfMeta(); bytes.Compare(from, meta) < 0 {
		end := meta
		if to != nil && bytes.Compare(to, meta) < 0 {
			end = to
		}
		if err := s.rewriteMeta(from, end); err != nil {
			return err
		}
		at = end
	}
	for _, p := range s.occupied() {
		start, end := p.Range()
		if to != nil && bytes.Compare(start, to) >= 0 {
			break
		}
		if bytes.Compare(at, start) < 0 {
			if err := s.engine.Drop(at, start); err != nil {
				return err
			}
		}
		if end == nil {
			return nil
		}
		if bytes.Compare(at, end) < 0 {
			at = end
		}
	}
	if to != nil && bytes.Compare(at, to) >= 0 {
		return nil
	}
	return s.engine.Drop(at, to)
}

// endOfMeta returns the first key behind SpaceMeta.
func endOfMeta() []byte {
	from, _ := storage.NewPrefix(storage.SpaceMeta+1, 0).Range()
	return from
}

// occupied returns, ascending, the prefixes under which this node may have
// something. The caller holds all stripes.
func (s *Store) occupied() []storage.Prefix {
	var data, hints []storage.Prefix
	s.all(func(p *partition) bool {
		p.mu.Lock()
		empty := p.mu.built == merkle.Leaves && p.mu.sum.keys == 0
		p.mu.Unlock()
		if !empty || p.damaged.Load() {
			data = append(data, storage.NewPrefix(storage.SpaceData, p.id))
		}
		if s.HoldsHints(p.id) {
			hints = append(hints, storage.NewPrefix(storage.SpaceHints, p.id))
		}
		return true
	})
	return append(data, hints...)
}
