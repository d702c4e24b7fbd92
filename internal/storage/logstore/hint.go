package logstore

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// A hint file has what a start needs of a segment that grows no more:
//
//	8 bytes  magic
//	u32      version of the segment's format
//	u32      number of the segment
//	u64      clean of the segment
//	u64      where its last record ends
//	u32      1 for the output of a merge, else 0
//	u32      checksum of all before
//
// then blocks, the last of which is empty:
//
//	u32      length of the entries in bytes
//	u32      checksum of the length and the entries
//	entries
//
// An entry is a record without its checksums and its value, with its offset:
//
//	u64      sequence number
//	u32      offset
//	u32      length of the value
//	u16      length of the key
//	u8       kind
//	u8       flags
//	key, and of a drop the value
const (
	hintMagic     = "rtloghnt"
	hintHeader    = 40
	hintEntry     = 20
	hintBlock     = 256 << 10
	maxHintBlock  = hintBlock + hintEntry + 2*maxBound
	hintBlockHead = 8
)

// hintWriter writes the hint of a segment, block by block.
type hintWriter struct {
	fs    vfs.FS
	path  string
	file  vfs.File
	block []byte
	size  int64
}

func newHintWriter(fs vfs.FS, path string) (*hintWriter, error) {
	file, err := fs.Create(path+tempSuffix, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, err
	}
	w := &hintWriter{fs: fs, path: path, file: file, size: hintHeader}
	if _, err := file.Write(make([]byte, hintHeader)); err != nil { // room for what is known in the end
		return nil, errors.Join(err, file.Close(), fs.Remove(path+tempSuffix))
	}
	return w, nil
}

// hintHead returns what the hint of s begins with.
func hintHead(s *segment, end int64) []byte {
	b := append(make([]byte, 0, hintHeader), hintMagic...)
	b = binary.LittleEndian.AppendUint32(b, s.format)
	b = binary.LittleEndian.AppendUint32(b, s.number)
	b = binary.LittleEndian.AppendUint64(b, s.clean)
	b = binary.LittleEndian.AppendUint64(b, uint64(end))
	b = binary.LittleEndian.AppendUint32(b, s.mergedFlag())
	return binary.LittleEndian.AppendUint32(b, sum(b))
}

// add adds a record, which stands at offset.
func (w *hintWriter) add(h *header, offset int64, key, value []byte) error {
	if w.block == nil {
		w.block = make([]byte, hintBlockHead, maxHintBlock)
	}
	b := binary.LittleEndian.AppendUint64(w.block, h.seq)
	b = binary.LittleEndian.AppendUint32(b, uint32(offset))
	b = binary.LittleEndian.AppendUint32(b, h.valueLen)
	b = binary.LittleEndian.AppendUint16(b, h.keyLen)
	b = append(b, byte(h.kind), h.flags)
	b = append(b, key...)
	if h.kind == kindDrop {
		b = append(b, value...)
	}
	w.block = b
	if len(b) < hintBlock {
		return nil
	}
	return w.flush()
}

// flush writes the block, if only its head.
func (w *hintWriter) flush() error {
	if w.block == nil {
		w.block = make([]byte, hintBlockHead)
	}
	b := w.block
	binary.LittleEndian.PutUint32(b, uint32(len(b)-hintBlockHead))
	binary.LittleEndian.PutUint32(b[4:], blockSum(b))
	n, err := w.file.Write(b)
	w.size += int64(n)
	w.block = b[:hintBlockHead]
	return err
}

// blockSum returns the checksum of a block, all but the checksum itself.
func blockSum(b []byte) uint32 { return sum(b[:4]) ^ sum(b[hintBlockHead:]) }

// close makes the hint of s, whose records end at end, durable, all but its name.
func (w *hintWriter) close(s *segment, end int64) error {
	var err error
	if len(w.block) > hintBlockHead {
		err = w.flush()
	}
	if err == nil {
		err = w.flush() // the empty one
	}
	if err == nil {
		_, err = w.file.WriteAt(hintHead(s, end), 0)
	}
	if err == nil {
		err = w.file.Sync()
	}
	return errors.Join(err, w.drop())
}

// drop closes the file as it is.
func (w *hintWriter) drop() error {
	if w.file == nil {
		return nil
	}
	file := w.file
	w.file = nil
	return file.Close()
}

// writeHint writes the hint of s, whose records up to end scan shows.
func writeHint(fs vfs.FS, path string, s *segment, end int64, scan func(fn func(*entry) error) error) (size int64, err error) {
	w, err := newHintWriter(fs, path)
	if err != nil {
		return 0, err
	}
	if err := scan(func(e *entry) error { return w.add(&e.header, e.offset, e.key, e.value) }); err != nil {
		return 0, errors.Join(err, w.file.Close())
	}
	return w.finish(s, end)
}

// finish makes the hint of s durable and gives it its name, which the caller makes
// durable.
func (w *hintWriter) finish(s *segment, end int64) (size int64, err error) {
	if err := w.close(s, end); err != nil {
		return 0, err
	}
	return w.size, w.fs.Rename(w.path+tempSuffix, w.path)
}

// draft begins the hint of a segment that is begun. Without one, as on a full
// disk, the segment is read when it has its last record.
func (e *Engine) draft(s *segment) (err error) {
	s.draft, err = newHintWriter(e.cfg.FS, segmentPath(e.cfg.FS, e.cfg.Dir, s.number, hintSuffix))
	if disk.IsFull(err) {
		return nil
	}
	return err
}

// sketch adds the records of a chunk, which is written, to its segment's draft.
func (e *Engine) sketch(c *chunk) error {
	w, at := c.segment.draft, 0
	if c.offset == 0 {
		at = preamble
	}
	for w != nil && at < c.n {
		h, _ := getHeader(c.buf[at:])
		if h.kind <= kindDrop {
			key, rest := c.buf[at+headerLen:], int(h.keyLen)
			if err := w.add(&h, c.offset+int64(at), key[:rest], key[rest:rest+int(h.valueLen)]); disk.IsFull(err) {
				return e.abandon(c.segment)
			} else if err != nil {
				return err
			}
		}
		at += int(h.size())
	}
	return nil
}

// abandon removes the draft of a segment, if there is one.
func (e *Engine) abandon(s *segment) error {
	w := s.draft
	if w == nil {
		return nil
	}
	s.draft = nil
	return errors.Join(w.drop(), e.cfg.FS.Remove(w.path+tempSuffix))
}

// seal writes the hint of a segment that has its last record, so that it can be
// merged, and a start reads no more than the hint. Without a hint nothing is
// lost but time, so a full disk is no error.
func (e *Engine) seal(s *segment) {
	path := segmentPath(e.cfg.FS, e.cfg.Dir, s.number, hintSuffix)
	var size int64
	var err error
	if w := s.draft; w != nil {
		s.draft = nil
		size, err = w.finish(s, s.size.Load())
	} else {
		size, err = writeHint(e.cfg.FS, path, s, s.size.Load(), func(fn func(*entry) error) error {
			_, err := s.scan(false, fn)
			return err
		})
	}
	if err == nil {
		err = disk.SyncDir(e.cfg.FS, e.cfg.Dir)
	}
	switch {
	case err == nil:
		s.hintBytes.Store(size)
		s.sealed.Store(true)
	case kv.KindOf(err) == kv.KindCorrupt:
		s.full.Store(false) // the next start will not do without what is damaged
		e.logger.Error("stored data is damaged: no hint can be written", "file", s.path, "err", err)
	case !disk.IsFull(err):
		e.fail("write hint", err)
	}
}

// sealRest has those segments sealed for whose hints there was no space.
func (e *Engine) sealRest() {
	for _, s := range e.tables.now.Load().segments {
		if s.full.Load() && !s.sealed.Load() {
			e.finished(s)
		}
	}
}

// finished has the segment before the present one sealed.
func (e *Engine) finished(s *segment) {
	s.full.Store(true)
	e.cfg.Go(func() {
		if !e.jobs.Enter() {
			return
		}
		defer e.jobs.Leave()
		if s.sealed.Load() || s.sealing.Swap(true) {
			return
		}
		defer s.sealing.Store(false)
		if !e.health.Failed() {
			e.seal(s)
			e.mergeSoon()
		}
	})
}

var errHint = errors.New("the hint is damaged")

// readHint shows fn the records of s by its hint, and returns where they end. It
// returns errHint, before it has shown any, for one that is damaged, missing or of
// another segment.
func readHint(fs vfs.FS, path string, s *segment, known bool, fn func(*entry) error) (end, size int64, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return 0, 0, errHint
	}
	defer f.Close()
	r := &hintReader{file: f}
	if end, err = r.head(path, s, known); err != nil {
		return 0, 0, err
	}
	if err := r.show(end, func(*entry) error { return nil }); err != nil {
		return 0, 0, err
	}
	size, r.at = r.at, hintHeader
	return end, size, r.show(end, fn)
}

type hintReader struct {
	file vfs.File
	at   int64
	buf  []byte
}

// read returns the next n bytes.
func (r *hintReader) read(n int) ([]byte, error) {
	if cap(r.buf) < n {
		r.buf = make([]byte, max(n, maxHintBlock))
	}
	b := r.buf[:n]
	got, err := r.file.ReadAt(b, r.at)
	r.at += int64(got)
	switch {
	case got == n:
		return b, nil
	case err == nil || errors.Is(err, io.EOF):
		return nil, errHint
	}
	return nil, kv.Wrap(kv.KindStorage, "read hint", err)
}

// head checks what the file begins with. known says that the segment's own
// beginning was read.
func (r *hintReader) head(path string, s *segment, known bool) (end int64, err error) {
	b, err := r.read(hintHeader)
	if err != nil {
		return 0, err
	}
	if string(b[:8]) != hintMagic || sum(b[:hintHeader-4]) != binary.LittleEndian.Uint32(b[hintHeader-4:]) {
		return 0, errHint
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v > version {
		return 0, kv.Errorf(kv.KindWrongVersion, "open hint", "%s has format %d, this release knows %d", path, v, version)
	}
	clean := binary.LittleEndian.Uint64(b[16:])
	if binary.LittleEndian.Uint32(b[12:]) != s.number || known && clean != s.clean {
		return 0, errHint
	}
	s.clean = clean
	if !known {
		s.format = binary.LittleEndian.Uint32(b[8:])
		s.merge = binary.LittleEndian.Uint32(b[32:]) == 1
	}
	end = int64(binary.LittleEndian.Uint64(b[24:]))
	if end < preamble || end > 2*maxSegment {
		return 0, errHint
	}
	return end, nil
}

// block returns the entries of the next block.
func (r *hintReader) block() ([]byte, error) {
	b, err := r.read(hintBlockHead)
	if err != nil {
		return nil, err
	}
	head := [hintBlockHead]byte(b)
	n := binary.LittleEndian.Uint32(head[:])
	if n > maxHintBlock {
		return nil, errHint
	}
	if b, err = r.read(int(n)); err != nil {
		return nil, err
	}
	if sum(head[:4])^sum(b) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, errHint
	}
	return b, nil
}

// show shows fn the entries of the blocks from the next one on.
func (r *hintReader) show(end int64, fn func(*entry) error) error {
	for {
		block, err := r.block()
		if err != nil || len(block) == 0 {
			return err
		}
		if err := showHints(block, end, fn); err != nil {
			return err
		}
	}
}

// showHints shows fn the entries of a block.
func showHints(b []byte, end int64, fn func(*entry) error) error {
	for len(b) > 0 {
		e, left, err := cutHint(b, end)
		if err != nil {
			return err
		}
		if err := fn(&e); err != nil {
			return err
		}
		b = left
	}
	return nil
}

// cutHint takes an entry off the front of b.
func cutHint(b []byte, end int64) (e entry, left []byte, err error) {
	if len(b) < hintEntry {
		return e, nil, errHint
	}
	e.seq = binary.LittleEndian.Uint64(b)
	e.offset = int64(binary.LittleEndian.Uint32(b[8:]))
	e.valueLen = binary.LittleEndian.Uint32(b[12:])
	e.keyLen = binary.LittleEndian.Uint16(b[16:])
	e.kind, e.flags = kind(b[18]), b[19]
	b = b[hintEntry:]
	n := int(e.keyLen)
	if e.kind == kindDrop {
		n += int(e.valueLen)
	}
	if len(b) < n || e.offset < preamble || e.offset+e.size() > end ||
		e.kind < kindSet || e.kind > kindDrop || e.kind != kindDrop && n < storage.PrefixLen {
		return e, nil, errHint
	}
	e.key, e.value = b[:e.keyLen], b[e.keyLen:n]
	if e.kind == kindDrop {
		e.valueSum = sum(e.value)
	}
	return e, b[n:], nil
}
