package logstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// scratch is memory for a record.
type scratch struct{ buf []byte }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch bounds the memory of a scratch that is kept, in bytes.
const maxScratch = 1 << 20

func (s *scratch) of(n int) []byte {
	if cap(s.buf) < n {
		s.buf = make([]byte, max(n, 4096))
	}
	return s.buf[:n]
}

func (s *scratch) done() {
	if cap(s.buf) <= maxScratch {
		scratches.Put(s)
	}
}

// Get implements storage.Engine. It takes one system call, and none for what is
// not yet written or in the cache.
func (e *Engine) Get(key, dst []byte) (value []byte, found bool, err error) {
	return e.get("get", key, dst, false)
}

// Peek implements storage.Peeker. It takes as many system calls as Get.
func (e *Engine) Peek(key, dst []byte) (value []byte, found bool, err error) {
	return e.get("peek", key, dst, !e.blind.Load())
}

func (e *Engine) get(op string, key, dst []byte, now bool) (value []byte, found bool, err error) {
	_ = storage.PrefixOf(key)
	if err := e.enter(op); err != nil {
		return dst, false, err
	}
	defer e.users.Leave()
	for {
		t := e.tables.acquire()
		place, found := e.index.get(key)
		if !found {
			e.tables.release(t)
			return dst, false, nil
		}
		if v, ok := e.cache.get(key, place.seq(), place.valueLen(key), dst); ok {
			e.tables.release(t)
			return v, true, nil
		}
		s := t.segments[place.segment]
		if s == nil { // begun after t
			e.tables.release(t)
			continue
		}
		buf := scratches.Get().(*scratch)
		v, err := e.read(s, &place, key, buf, now)
		if err == nil {
			dst = append(dst, v...)
			e.cache.put(key, place.seq(), v)
		}
		buf.done()
		e.tables.release(t)
		if err != nil {
			return dst, false, readError(op, err)
		}
		return dst, true, nil
	}
}

// read returns the value of key, whose record is at place in s. It is valid
// until buf is used again. If it is to be read now, and is on the disk, the error is
// storage.ErrWaits.
func (e *Engine) read(s *segment, place *loc, key []byte, buf *scratch, now bool) ([]byte, error) {
	b := buf.of(int(place.length))
	if err := e.readBytes(s, int64(place.offset), b, now); err != nil {
		if isDamage(err) {
			err = e.met(s, key, err)
		}
		return nil, err
	}
	v, err := check(b, place, key, s.salt())
	if err != nil {
		return nil, e.met(s, key, err)
	}
	return v, nil
}

var (
	errKey   = errors.New("a record's header or key fails its checksum")
	errValue = errors.New("a value fails its checksum")
	errPlace = errors.New("another record stands in the place of one")
	errShort = errors.New("the file is cut short")
	errLost  = errors.New("records cannot be read")
)

func isDamage(err error) bool { return errors.Is(err, errShort) || errors.Is(err, errMissing) }

// check returns the value of a record, which must be that of key at place, in a
// segment with a salt.
func check(b []byte, place *loc, key []byte, salt uint32) ([]byte, error) {
	h, ok := getHeader(b)
	if !ok || h.size() != int64(len(b)) || !keyIsWhole(b, &h, salt) {
		return nil, errKey
	}
	rest := b[headerLen:]
	if h.kind != kindSet || h.seq != place.seq() || !bytes.Equal(rest[:h.keyLen], key) {
		return nil, errPlace
	}
	v := rest[h.keyLen:]
	if sum(v) != h.valueSum {
		return nil, errValue
	}
	return v, nil
}

// readBytes fills b from offset of s, wherever that is, or if now is set wherever
// else than on the disk.
func (e *Engine) readBytes(s *segment, offset int64, b []byte, now bool) error {
	end := offset + int64(len(b))
	if s.written.Load() < end && !s.sealed.Load() && e.log.read(s, offset, b) {
		return nil
	}
	if s.file == nil {
		return errMissing
	}
	if now {
		switch filled, known := disk.ReadNow(s.file, b, offset); {
		case filled:
			return nil
		case known:
			return storage.ErrWaits
		}
		e.blind.Store(true)
	}
	n, err := s.file.ReadAt(b, offset)
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return fmt.Errorf("%w: it ends before %d", errShort, end)
	}
	return err
}

// readError returns the error of a read in the contract's terms.
func readError(op string, err error) error {
	if errors.Is(err, storage.ErrWaits) {
		return err
	}
	var damage *storage.Damage
	if errors.As(err, &damage) {
		return kv.Wrap(kv.KindCorrupt, op, err)
	}
	return kv.Wrap(kv.KindStorage, op, err)
}

// Scan implements storage.Engine. It takes no lock but to begin.
func (e *Engine) Scan(p storage.Prefix, from []byte, fn func(key, value []byte) bool) error {
	if err := e.enter("scan"); err != nil {
		return err
	}
	defer e.users.Leave()
	first, end := p.Range()
	if end != nil && bytes.Compare(from, end) >= 0 {
		return nil
	}
	if bytes.Compare(from, first) <= 0 {
		from = nil
	} else {
		from = slices.Clone(rest(from))
	}
	snap, t := e.snapshot(p)
	defer e.tables.release(t)
	buf := scratches.Get().(*scratch)
	defer buf.done()
	key := append(make([]byte, 0, 64), p[:]...)
	var err error
	snap.walk(from, func(rest []byte, l *loc) bool {
		key = append(key[:storage.PrefixLen], rest...)
		var v []byte
		if v, err = e.read(t.segments[l.segment], l, key, buf, false); err != nil {
			return false
		}
		return fn(key, v)
	})
	if err != nil {
		return readError("scan", err)
	}
	return nil
}

// snapshot returns the keys of p as they are now, and a table that has all of
// their segments, to be released.
func (e *Engine) snapshot(p storage.Prefix) (tree, *table) {
	for {
		t := e.tables.acquire()
		snap := e.index.snapshot(p)
		if e.tables.now.Load() == t {
			return snap, t
		}
		e.tables.release(t)
	}
}
