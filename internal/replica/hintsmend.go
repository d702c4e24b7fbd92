package replica

import (
	"bytes"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// loadHints fills the table of hints from the engine, once, as soon as there is
// a ring that tells the partitions. Without one nothing asks for hints.
func (s *Store) loadHints() error {
	if s.hints.loaded.Load() {
		return nil
	}
	r := s.ring()
	if r == nil {
		return nil
	}
	defer s.hold()()
	for p := range r.Params().Q {
		if err := s.countHints(kv.Partition(p)); err != nil {
			return err
		}
	}
	s.hints.loaded.Store(true)
	return nil
}

// mendHints counts the hints in p anew, and sets aside what cannot be read of
// them.
func (s *Store) mendHints(p kv.Partition) error {
	defer s.hold()()
	return s.countHints(p)
}

// hold has every write wait until the func that it returns is called.
func (s *Store) hold() (release func()) {
	for i := range s.locks {
		s.locks[i].Lock()
	}
	return func() {
		for i := range s.locks {
			s.locks[i].Unlock()
		}
	}
}

// countHints counts the hints in p, while every write waits. A hint whose record
// is malformed it deletes, and where the engine cannot read on it drops the
// shortest range of keys after which it can. So the damaged bytes are never
// served and never met again; the file that they are in stays until the engine
// has no other use for it.
//
// A lost hint is a lost copy, as that of a lost disk: the write has others.
func (s *Store) countHints(p kv.Partition) error {
	m := mending{store: s, p: p, found: map[kv.NodeID]count{}}
	prefix := storage.NewPrefix(storage.SpaceHints, p)
	m.from, m.to = prefix.Range()
	for {
		err := s.engine.Scan(prefix, m.from, m.see)
		if err == nil {
			break
		}
		if kv.KindOf(err) != kv.KindCorrupt {
			return err
		}
		if err := m.cut(err); err != nil {
			return err
		}
	}
	if m.malformed.Len() > 0 {
		if err := s.engine.Apply(&m.malformed, nil); err != nil {
			return err
		}
	}
	if gone := s.hints.recount(p, m.found); gone > 0 && !m.told {
		m.lose("%d hints are gone: the engine has cut damage out", gone)
	}
	return nil
}

// mending is a walk over the hints in one partition.
type mending struct {
	store *Store
	p     kv.Partition
	// from is where the walk is: all keys before it were seen or dropped. The
	// hints end before to.
	from, to  []byte
	found     map[kv.NodeID]count
	malformed storage.Batch
	// told is set once something was told to be lost.
	told bool
}

// see takes one record.
func (m *mending) see(key, value []byte) bool {
	m.from = append(bytes.Clone(key), 0)
	owner, k, ok := hintKey(key)
	rec, err := parseRecord(value)
	switch {
	case !ok:
		err = errHintKey
	case err != nil && kv.KindOf(err) == kv.KindWrongVersion:
		err = nil // another release reads it
	}
	if err != nil {
		m.malformed.Delete(bytes.Clone(key))
		m.lose("record %x of %v: %w", k, owner, err)
		return true
	}
	c := m.found[owner]
	at := latest(rec.obj)
	if c.keys == 0 || at < c.oldest {
		c.oldest = at
	}
	c.keys, c.bytes = c.keys+1, c.bytes+uint64(len(key)+len(value))
	m.found[owner] = c
	return true
}

// lose tells of hints that are set aside.
func (m *mending) lose(format string, args ...any) {
	m.told = true
	m.store.hints.lost.Add(1)
	m.store.hints.damaged(m.p, kv.Errorf(kv.KindCorrupt, "set hints aside", format, args...))
}

// cut drops the keys from m.from on that cannot be read because of cause.
func (m *mending) cut(cause error) error {
	end, err := m.end()
	if err != nil {
		return err
	}
	if err := m.store.engine.Drop(m.from, end); err != nil {
		return err
	}
	m.lose("keys %x to %x: %w", m.from, end, cause)
	m.from = end
	return nil
}

// end returns the least key, as far as it matters, from which the hints can be
// read on. It looks for it in the narrowest part of the keys that begins with
// m.from and ends well, and there adds byte after byte, always the greatest from
// which the hints cannot be read on, until nothing is left that could be read
// between that and the least from which they can. What lies between two places
// that are damaged may be taken for one with them.
func (m *mending) end() ([]byte, error) {
	bad, good := bytes.Clone(m.from), m.to
	for len(bad) > storage.PrefixLen {
		ok, err := m.readable(lastBelow(bad))
		if err != nil {
			return nil, err
		}
		if ok {
			break
		}
		bad = bad[:len(bad)-1]
	}
	for len(bad) < storage.MaxKey {
		low, high := -1, 256
		if len(bad) < len(m.from) && bytes.HasPrefix(m.from, bad) {
			low = int(m.from[len(bad)])
		}
		low, high, err := m.bisect(bad, low, high)
		if err != nil {
			return nil, err
		}
		if high < 256 {
			good = append(bytes.Clone(bad), byte(high))
		}
		if low < 0 {
			return good, nil
		}
		bad = append(bad, byte(low))
		if ok, err := m.readable(lastBelow(bad)); err != nil || !ok {
			return good, err
		}
	}
	return good, nil
}

// lastBelow returns a key after all others that begin with prefix, but for some
// that nobody uses.
func lastBelow(prefix []byte) []byte {
	return append(bytes.Clone(prefix), 255, 255, 255, 255, 255, 255, 255, 255)
}

// bisect narrows low and high, bytes after prefix from which the hints cannot be
// read on and from which they can, until they are neighbours. A low of -1 is the
// prefix itself, a high of 256 what comes after it.
func (m *mending) bisect(prefix []byte, low, high int) (int, int, error) {
	for low+1 < high {
		mid := (low + high) / 2
		ok, err := m.readable(append(bytes.Clone(prefix), byte(mid)))
		if err != nil {
			return low, high, err
		}
		if ok {
			high = mid
		} else {
			low = mid
		}
	}
	return low, high, nil
}

// readable tells whether the engine can read on from key.
func (m *mending) readable(key []byte) (bool, error) {
	err := m.store.engine.Scan(storage.PrefixOf(key), key, func(_, _ []byte) bool { return false })
	if err != nil && kv.KindOf(err) == kv.KindCorrupt {
		return false, nil
	}
	return err == nil, err
}
