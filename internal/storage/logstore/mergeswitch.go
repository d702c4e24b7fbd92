package logstore

import (
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// refer has the index refer to the next records of the output.
func (m *merging) refer(e *Engine) (n int, err error) {
	s := m.output
	if m.hint == nil {
		if err := m.openHint(e, s); err != nil {
			e.fail("read the hint of a merge", err)
			return 0, nil
		}
	}
	block, err := m.hint.block()
	if err != nil {
		e.fail("read the hint of a merge", err)
		return 0, nil
	}
	n = len(block)
	if n == 0 {
		m.closeHint()
		m.phase = syncing
		return 0, nil
	}
	segments := e.tables.now.Load().segments
	err = showHints(block, m.size, func(ent *entry) error {
		if ent.kind == kindSet {
			e.index.move(ent, s, segments)
		}
		return nil
	})
	if err != nil {
		e.fail("read the hint of a merge", err)
	}
	return n, nil
}

// move has the index refer to the copy of a record in s, unless the key was
// changed since.
func (x *index) move(ent *entry, s *segment, segments map[uint32]*segment) {
	p := storage.PrefixOf(ent.key)
	st := x.stripe(p)
	st.mu.Lock()
	defer st.mu.Unlock()
	t := st.mu.trees[p]
	if t == nil {
		return
	}
	old := t.get(rest(ent.key))
	if old == nil || old.seq() != ent.seq {
		return
	}
	was := *old
	place := newLoc(ent.seq, s.number, ent.offset, ent.size())
	t.set(rest(ent.key), place)
	s.refer(&place)
	segments[was.segment].forget(&was)
}

// remove removes the inputs. No deletion that hides something in one may be let
// go of before that is durable. The hints go last: a hint without its segment does
// no harm, since all that it has is superseded, but of a segment that was cut, only
// the hint knows where it ends.
func (m *merging) remove(e *Engine) error {
	fs := e.cfg.FS
	for _, s := range m.inputs {
		e.retire(s)
	}
	if e.health.Failed() {
		return nil
	}
	if err := disk.SyncDir(fs, e.cfg.Dir); err != nil {
		return err
	}
	for _, s := range m.inputs {
		e.removeFile(segmentPath(fs, e.cfg.Dir, s.number, hintSuffix))
	}
	e.tables.change(func(segments map[uint32]*segment) {
		for _, s := range m.inputs {
			delete(segments, s.number)
		}
	})
	m.phase = merged
	return nil
}
