package logstore

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// walker reads the records of a file from its beginning.
type walker struct {
	file   vfs.File
	size   int64 // of what is read of it
	at     int64 // where the next record begins
	values bool  // read and check values as well
	salt   uint32

	buf   []byte
	start int64 // offset in the file of buf
}

// entry is a record that a walker or a hint shows. Its slices are valid until
// the next one.
type entry struct {
	header
	offset     int64
	key, value []byte
	damaged    bool // the value fails its checksum
}

const walkBytes = 1 << 20

// window returns n bytes at offset, or what the file has of them.
func (w *walker) window(offset int64, n int) ([]byte, error) {
	if offset < w.start || offset+int64(n) > w.start+int64(len(w.buf)) {
		if err := w.fill(offset, n); err != nil {
			return nil, err
		}
	}
	b := w.buf[min(offset-w.start, int64(len(w.buf))):]
	return b[:min(n, len(b))], nil
}

func (w *walker) fill(offset int64, n int) error {
	length := int(min(int64(max(n, walkBytes)), max(w.size-offset, 0)))
	if cap(w.buf) < length {
		w.buf = make([]byte, length)
	}
	w.buf, w.start = w.buf[:length], offset
	got, err := w.file.ReadAt(w.buf, offset)
	w.buf = w.buf[:got]
	if got == length || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

var (
	errEnd  = errors.New("the file ends")
	errTorn = errors.New("what stands there is no record")
)

// next returns the next record. At the end of the file it returns errEnd, and
// errTorn where there is none; w.at is where that is.
func (w *walker) next() (e entry, err error) {
	if w.at == w.size {
		return e, errEnd
	}
	b, err := w.window(w.at, headerLen)
	if err != nil {
		return e, err
	}
	if len(b) < headerLen {
		return e, errTorn
	}
	h, ok := getHeader(b)
	if !ok || w.at+h.size() > w.size {
		return e, errTorn
	}
	n := headerLen + int(h.keyLen)
	whole := w.values || h.kind == kindDrop
	if whole {
		n += int(h.valueLen)
	}
	if b, err = w.window(w.at, n); err != nil {
		return e, err
	}
	if len(b) < n || !keyIsWhole(b, &h, w.salt) {
		return e, errTorn
	}
	e = entry{header: h, offset: w.at, key: b[headerLen : headerLen+int(h.keyLen)]}
	if whole {
		e.value = b[headerLen+int(h.keyLen):]
		e.damaged = sum(e.value) != h.valueSum
	}
	if e.damaged && h.kind != kindSet {
		return e, errTorn
	}
	w.at += h.size()
	return e, nil
}

// resume goes on to the next record behind a place where there is none, and
// returns false when no more come.
func (w *walker) resume() (bool, error) {
	for w.at++; w.at+headerLen <= w.size; w.at++ {
		b, err := w.window(w.at, headerLen)
		if err != nil {
			return false, err
		}
		if len(b) < headerLen {
			return false, nil
		}
		h, ok := getHeader(b)
		if !ok || w.at+h.size() > w.size {
			continue
		}
		if b, err = w.window(w.at, headerLen+int(h.keyLen)); err != nil {
			return false, err
		}
		if keyIsWhole(b, &h, w.salt) {
			return true, nil
		}
	}
	return false, nil
}

// syncedBehind tells whether a record behind offset says that what stands there
// was fsynced: then it is not torn, but damaged.
// The search begins where w is. A footer proves nothing: it may have reached the
// disk before what it ends.
func (w *walker) syncedBehind(offset int64) (bool, error) {
	for {
		more, err := w.resume()
		if !more || err != nil {
			return false, err
		}
		for {
			e, err := w.next()
			if errors.Is(err, errTorn) {
				break
			}
			if errors.Is(err, errEnd) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			if e.kind == kindMark && int64(e.seq) > offset {
				return true, nil
			}
		}
	}
}

// neverBegun returns damage unless a crash can have left the segment without its
// beginning: then its first record is gone as well.
func (s *segment) neverBegun() error {
	if s.file == nil {
		return s.damage(errMissing)
	}
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() <= preamble {
		return nil
	}
	for _, salt := range []uint32{0, s.number} { // of either format
		w := &walker{file: s.file, size: info.Size(), at: preamble, salt: salt}
		_, err := w.next()
		if errors.Is(err, errTorn) {
			synced, err := w.syncedBehind(preamble)
			if err != nil {
				return err
			}
			if !synced {
				continue
			}
		} else if err != nil {
			return err
		}
		return s.damage(errPreamble)
	}
	return nil
}

// scanned is what a walk over a segment found.
type scanned struct {
	end    int64 // of its last whole batch
	footer bool
}

// scan shows fn the records of a segment that has no hint, whole batches only.
// With torn the file may end in a write that a crash cut short; otherwise that
// is damage, an error. Damage of a value is not: reads will tell.
func (s *segment) scan(torn bool, fn func(*entry) error) (found scanned, err error) {
	info, err := s.file.Stat()
	if err != nil {
		return found, err
	}
	w := &walker{file: s.file, size: info.Size(), at: preamble, values: torn, salt: s.salt()}
	found.end = preamble
	var batch []entry
	for {
		e, err := w.next()
		switch {
		case errors.Is(err, errEnd) && (torn || found.footer):
			return found, nil
		case errors.Is(err, errEnd), errors.Is(err, errTorn) && !torn:
			return found, s.damage(fmt.Errorf("at %d: %w", w.at, err))
		case errors.Is(err, errTorn) || err == nil && e.damaged:
			at, from := w.at, w.at
			if err == nil {
				at, from = e.offset, w.at-1 // its length is known
			}
			behind := walker{file: s.file, size: w.size, at: from, salt: w.salt}
			synced, serr := behind.syncedBehind(at)
			if serr != nil {
				return found, serr
			}
			if !synced {
				return found, nil
			}
			if err != nil {
				return found, s.damage(fmt.Errorf("at %d: %w", w.at, err))
			}
		case err != nil:
			return found, err
		}
		if found.footer = e.kind == kindFooter && int64(e.seq) == e.offset; found.footer {
			found.end = w.at
			w.size = w.at
			continue
		}
		if e.kind == kindMark && len(batch) == 0 {
			found.end = w.at
			continue
		}
		if batch, err = showBatch(batch, &e, fn); err != nil {
			return found, err
		}
		if len(batch) == 0 {
			found.end = w.at
		}
	}
}

// showBatch shows fn e, with what of its batch came before, once the batch is
// whole, and returns what is to wait.
func showBatch(batch []entry, e *entry, fn func(*entry) error) ([]entry, error) {
	if e.flags&flagMore != 0 {
		c := *e
		c.key, c.value = append([]byte(nil), e.key...), append([]byte(nil), e.value...)
		if e.kind == kindSet {
			c.value = nil // nobody looks at it
		}
		return append(batch, c), nil
	}
	for i := range batch {
		if err := fn(&batch[i]); err != nil {
			return nil, err
		}
	}
	return nil, fn(e)
}
