package replica

import (
	"bytes"
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// What a node knows of its partitions (SpaceMeta) it has in memory as well. So
// where a damaged file holds some of that, it is dropped and written anew: the
// engine can only rid itself of a damaged block once all that stands in it is
// dropped. A crash in between must not lose a floor or a mark. Hence the order:
//
//  1. what is to be dropped, and what is to be written after, are noted durably,
//     in a space of their own;
//  2. it is dropped;
//  3. it is written, durably;
//  4. the note is dropped.
//
// Open carries out a note that it finds, from step 2 on.

// redo is such a note.
type redo struct {
	from, to []byte // nil for the end
	batch    storage.Batch
}

// redoKey is where the note is.
func redoKey() []byte {
	prefix := storage.NewPrefix(storage.SpaceMending, 0)
	return append(prefix[:], "meta"...)
}

// rewriteMeta drops what SpaceMeta has from from up to, and without, to, and
// writes anew what of it is still true. The caller holds all stripes.
func (s *Store) rewriteMeta(from, to []byte) error {
	s.all(func(p *partition) bool {
		p.meta.Lock()
		return true
	})
	defer s.all(func(p *partition) bool {
		p.meta.Unlock()
		return true
	})
	m := redo{from: from, to: to}
	m.keep(metaKey(0, metaBegun), nil)
	s.all(func(p *partition) bool {
		if len(p.meta.written) > 0 {
			m.keep(metaKey(p.id, metaFloor), p.meta.written)
		}
		if st := p.stage.Load(); st.puts > 0 || st.gets > 0 {
			m.keep(metaKey(p.id, metaStage), st.appendTo(nil))
			p.meta.stageLost = false
		}
		// One that cannot be read costs the time to fill the copy again.
		if b, found, err := s.engine.Get(metaKey(p.id, metaFill), nil); err == nil && found {
			m.keep(metaKey(p.id, metaFill), b)
		}
		if p.damaged.Load() {
			m.keep(metaKey(p.id, metaDamaged), []byte(errDamaged(p.id).Error()))
			p.meta.marked = true
		}
		return true
	})
	var note storage.Batch
	note.Set(redoKey(), m.appendTo(nil))
	if err := s.engine.Apply(&note, nil); err != nil {
		return err
	}
	if err := s.engine.Sync(); err != nil {
		return err
	}
	return s.carryOut(&m)
}

// keep has a key written anew, if it is among those that are dropped.
func (m *redo) keep(key, value []byte) {
	if bytes.Compare(key, m.from) >= 0 && (m.to == nil || bytes.Compare(key, m.to) < 0) {
		m.batch.Set(key, value)
	}
}

// carryOut does what is noted, and drops the note.
func (s *Store) carryOut(m *redo) error {
	if err := s.engine.Drop(m.from, m.to); err != nil {
		return err
	}
	if err := s.engine.Apply(&m.batch, nil); err != nil {
		return err
	}
	if err := s.engine.Sync(); err != nil {
		return err
	}
	key := redoKey()
	return s.engine.Drop(key, append(key[:len(key):len(key)], 0))
}

// endRedo carries out the note that a crash has left, if there is one.
func (s *Store) endRedo() error {
	b, found, err := s.engine.Get(redoKey(), nil)
	if err != nil || !found {
		return err
	}
	m, err := parseRedo(b)
	if err != nil {
		return err
	}
	return s.carryOut(m)
}

// appendTo encodes a note: from, to, then keys and values, each behind its
// length.
func (m *redo) appendTo(dst []byte) []byte {
	parts := [][]byte{m.from, m.to}
	for _, op := range m.batch.Ops() {
		parts = append(parts, op.Key, op.Value)
	}
	for _, part := range parts {
		dst = binary.AppendUvarint(dst, uint64(len(part)))
		dst = append(dst, part...)
	}
	return dst
}

// parseRedo reads what appendTo wrote. The error is of KindCorrupt.
func parseRedo(b []byte) (*redo, error) {
	var parts [][]byte
	for len(b) > 0 {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, kv.Errorf(kv.KindCorrupt, "read note", "malformed behind %d parts", len(parts))
		}
		parts = append(parts, b[n:n+int(size)])
		b = b[n+int(size):]
	}
	if len(parts) < 2 || len(parts)%2 != 0 {
		return nil, kv.Errorf(kv.KindCorrupt, "read note", "%d parts", len(parts))
	}
	m := &redo{from: parts[0], to: parts[1]}
	if len(m.to) == 0 {
		m.to = nil
	}
	for i := 2; i < len(parts); i += 2 {
		if len(parts[i]) < storage.PrefixLen {
			return nil, kv.Errorf(kv.KindCorrupt, "read note", "a key of %d bytes", len(parts[i]))
		}
		m.batch.Set(parts[i], parts[i+1])
	}
	return m, nil
}
