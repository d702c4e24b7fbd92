package logstore

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// loading is an index that is being filled from segments, in any order: of a key
// the newest record wins, deletions stay in it until all are known, and drops
// are carried out in the end.
type loading struct {
	e   *Engine
	seq atomic.Uint64 // the greatest

	mu struct {
		sync.Mutex
		deletes bool
		drops   []dropped
		err     error
		next    int // of names.numbers, from their end: of what is old less has to be kept
	}
}

// dropped is a range that was dropped; a nil to is the end.
type dropped struct {
	from, to []byte
	seq      uint64
}

// load fills the index from the directory.
func (e *Engine) load() error {
	names, err := e.list()
	if err != nil {
		return err
	}
	l := &loading{e: e}
	if k := len(names.numbers); k > 0 {
		e.log.mu.number = names.numbers[k-1]
	}
	var loaders sync.WaitGroup
	for range e.cfg.Loaders {
		loaders.Go(func() { l.run(names) })
	}
	loaders.Wait()
	if l.mu.err != nil {
		return l.mu.err
	}
	l.finish()
	e.log.mu.seq = l.seq.Load()
	return e.loadSpares(names.spares)
}

// run loads segments until there are no more.
func (l *loading) run(names *names) {
	for {
		l.mu.Lock()
		i := l.mu.next
		l.mu.next++
		stop := l.mu.err != nil || i >= len(names.numbers)
		l.mu.Unlock()
		if stop {
			return
		}
		if err := l.loadSegment(names.numbers[len(names.numbers)-1-i], names); err != nil {
			l.mu.Lock()
			l.mu.err = err
			l.mu.Unlock()
			return
		}
	}
}

// openSegment returns a segment with its file and counters, and whether its
// beginning could be read. A file that is missing is no error.
func (l *loading) openSegment(number uint32, names *names) (s *segment, known bool, err error) {
	e := l.e
	s = &segment{number: number, format: version, path: segmentPath(e.cfg.FS, e.cfg.Dir, number, segmentSuffix)}
	if name := names.segments[number]; name != "" {
		s.path = e.cfg.FS.PathJoin(e.cfg.Dir, name)
		if s.file, err = e.cfg.FS.Open(s.path); err != nil {
			return nil, false, err
		}
	}
	e.tables.change(func(segments map[uint32]*segment) { segments[number] = s })
	err = s.readPreamble()
	if err != nil && kv.KindOf(err) != kv.KindCorrupt {
		return nil, false, err
	}
	return s, err == nil, nil
}

// loadSegment loads a segment: by its hint, or else by its records.
func (l *loading) loadSegment(number uint32, names *names) error {
	s, known, err := l.openSegment(number, names)
	if err != nil {
		return err
	}
	loaded, err := l.byHint(s, known)
	if loaded || err != nil {
		return err
	}
	if number == names.last {
		return l.loadTorn(s, known, names.hints[number])
	}
	if s.file == nil {
		// A hint without a segment, which says nothing.
		return s.damage(errMissing)
	}
	if !known {
		return s.damage(errPreamble)
	}
	found, err := s.scan(false, l.take(s))
	if err != nil {
		return err
	}
	return l.writeHint(s, found.end, false)
}

// byHint loads a segment by its hint, and returns false when it has none.
func (l *loading) byHint(s *segment, known bool) (bool, error) {
	e := l.e
	path := segmentPath(e.cfg.FS, e.cfg.Dir, s.number, hintSuffix)
	end, size, err := readHint(e.cfg.FS, path, s, known, l.take(s))
	if errors.Is(err, errHint) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s.size.Store(end)
	s.written.Store(end)
	s.hintBytes.Store(size)
	s.sealed.Store(true)
	if s.file == nil && s.merge {
		s.path = segmentPath(e.cfg.FS, e.cfg.Dir, s.number, mergedSuffix)
	}
	return true, nil
}

// writeHint seals a segment that was loaded by its records.
func (l *loading) writeHint(s *segment, end int64, torn bool) error {
	e := l.e
	s.size.Store(end)
	s.written.Store(end)
	s.sealed.Store(true)
	path := segmentPath(e.cfg.FS, e.cfg.Dir, s.number, hintSuffix)
	size, err := writeHint(e.cfg.FS, path, s, end, func(fn func(*entry) error) error {
		_, err := s.scan(torn, fn)
		return err
	})
	if err != nil {
		return err
	}
	s.hintBytes.Store(size)
	return disk.SyncDir(e.cfg.FS, e.cfg.Dir)
}

// loadTorn loads the last segment of the log when it has no hint: a crash may have
// torn it. It is cut where it is torn, for good.
func (l *loading) loadTorn(s *segment, known, hint bool) error {
	e := l.e
	var err error
	found := scanned{end: preamble}
	if known {
		found, err = s.scan(true, l.take(s))
	} else {
		err = s.neverBegun()
	}
	if err != nil {
		return err
	}
	if found.end > preamble {
		// A process that was killed left what the disk may not have yet.
		if err := e.syncFile(s.path); err != nil {
			return err
		}
		if err := l.writeHint(s, found.end, true); err != nil {
			return err
		}
		return disk.Cut(e.cfg.FS, s.path, found.end)
	}
	if hint { // which is written behind the fsync of what it tells of
		return s.damage(errEmpty)
	}
	// Nothing of it was acknowledged.
	e.tables.change(func(segments map[uint32]*segment) { delete(segments, s.number) })
	if err := e.cfg.FS.Remove(s.path); err != nil {
		return err
	}
	return disk.SyncDir(e.cfg.FS, e.cfg.Dir)
}

func (e *Engine) syncFile(path string) error {
	f, err := e.cfg.FS.OpenReadWrite(path, "")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// take returns a func that puts records of s into the index.
func (l *loading) take(s *segment) func(*entry) error {
	return func(e *entry) error {
		s.note(&e.header)
		switch e.kind {
		case kindSet:
			l.put(e.key, newLoc(e.seq, s.number, e.offset, e.size()))
		case kindDelete:
			l.put(e.key, newLoc(e.seq, s.number, e.offset, 0))
		}
		for old := l.seq.Load(); old < e.seq && !l.seq.CompareAndSwap(old, e.seq); {
			old = l.seq.Load()
		}
		if e.kind == kindSet {
			return nil
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.mu.deletes = l.mu.deletes || e.kind == kindDelete
		if e.kind == kindDrop {
			d := dropped{from: bytes.Clone(e.key), seq: e.seq}
			if e.flags&flagOpen == 0 {
				d.to = append([]byte{}, e.value...)
			}
			l.mu.drops = append(l.mu.drops, d)
		}
		return nil
	}
}

// put has key's record at place, unless the index knows a newer one.
func (l *loading) put(key []byte, place loc) {
	st := l.e.index.stripe(storage.PrefixOf(key))
	st.mu.Lock()
	l.e.index.set(key, place, true)
	st.mu.Unlock()
}

// finish carries out the drops, forgets what was deleted, and counts what the
// index refers to.
func (l *loading) finish() {
	e := l.e
	x := e.index
	none := func(*loc) {}
	for _, d := range l.mu.drops {
		x.drop(everyStripe, d.from, d.to, func(l *loc) bool { return l.seq() < d.seq }, none)
	}
	if l.mu.deletes {
		x.drop(everyStripe, nil, nil, func(l *loc) bool { return l.length == 0 }, none)
	}
	segments := e.tables.now.Load().segments
	defer l.lookAt(segments)
	for i := range x.stripes {
		for _, t := range x.stripes[i].mu.trees {
			t.walk(nil, func(_ []byte, place *loc) bool {
				segments[place.segment].refer(place)
				return true
			})
		}
	}
}

// lookAt has those segments looked over that are missing or cut short.
func (l *loading) lookAt(segments map[uint32]*segment) {
	for _, s := range segments {
		var size int64
		if s.file != nil {
			info, err := s.file.Stat()
			if err != nil {
				continue // a read will tell
			}
			size = info.Size()
		}
		if size >= s.size.Load() {
			continue
		}
		if s.live.Load() > 0 {
			l.e.lookOver(s, nil)
		}
	}
}
