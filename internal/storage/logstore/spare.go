package logstore

import (
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

const (
	spareSuffix = ".spare" // behind the number of the segment that was last in it
	// maxSpares is how many are kept: merges come in runs, of a segment or two.
	maxSpares = 2
	// pageBytes is the usual size of a page of memory, and of a block of a file.
	// Where pages are larger, some are read before they are written.
	pageBytes = 4096
)

// spares are files of segments that merges have emptied. The log is written over
// them: what is there already needs no new pages of memory and no new blocks of the
// file system, whose records an fsync would have to wait for.
//
// A spare bears the number of the last segment in it, so that numbers go on from
// there: a segment never gets a number that something in its file has.
type spares struct {
	mu struct {
		sync.Mutex
		free []spare
		// reserved is how many there will be, and bytes their size, with those whose
		// segment is still read.
		reserved int
		bytes    int64
	}
}

type spare struct {
	path string
	size int64
}

// reserve makes room for a spare, if it may be kept.
func (p *spares) reserve(size int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.reserved == maxSpares {
		return false
	}
	p.mu.reserved++
	p.mu.bytes += size
	return true
}

// add has one that has room be used.
func (p *spares) add(one spare) {
	p.mu.Lock()
	p.mu.free = append(p.mu.free, one)
	p.mu.Unlock()
}

// take returns one, which is the caller's, with its room.
func (p *spares) take() (one spare, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := len(p.mu.free) - 1
	if k < 0 {
		return spare{}, false
	}
	one, p.mu.free = p.mu.free[k], p.mu.free[:k]
	p.mu.reserved--
	p.mu.bytes -= one.size
	return one, true
}

// bytes returns how much there is.
func (p *spares) bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.bytes
}

// suits tells whether a file of a size may be kept.
func (c *Config) suits(size int64) bool {
	return size >= c.SegmentBytes/2 && size <= 2*c.SegmentBytes
}

// retire takes the file of a segment out of the log: as a spare, which may be
// written once nobody reads the segment, or for good. The caller syncs the
// directory.
func (e *Engine) retire(s *segment) {
	if s.file == nil || e.health.Failed() {
		return
	}
	info, err := s.file.Stat()
	if err != nil || s.format != version || !e.cfg.suits(info.Size()) || e.spaceIsLow() || !e.spares.reserve(info.Size()) {
		e.removeFile(s.path)
		return
	}
	s.left = spare{path: segmentPath(e.cfg.FS, e.cfg.Dir, s.number, spareSuffix), size: info.Size()}
	if err := e.cfg.FS.Rename(s.path, s.left.path); err != nil {
		e.fail(fmt.Sprintf("rename %s", e.cfg.FS.PathBase(s.path)), err)
	}
}

// closeLater has the file of a segment closed that nobody reads any more.
func (e *Engine) closeLater(s *segment) {
	e.cfg.Go(func() {
		closeNow(s.file)
		if s.left.path != "" {
			e.spares.add(s.left)
		}
	})
}

// loadSpares keeps the spares that an engine has left, as many as there may be.
func (e *Engine) loadSpares(numbers []uint32) error {
	for _, k := range numbers {
		e.log.mu.number = max(e.log.mu.number, k)
		path := segmentPath(e.cfg.FS, e.cfg.Dir, k, spareSuffix)
		info, err := e.cfg.FS.Stat(path)
		if err != nil {
			return err
		}
		if size := info.Size(); e.cfg.suits(size) && e.spares.reserve(size) {
			e.spares.add(spare{path, size})
		} else if err := e.cfg.FS.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// dropSpares removes the spares, for their space.
func (e *Engine) dropSpares() {
	for one, found := e.spares.take(); found; one, found = e.spares.take() {
		e.removeFile(one.path)
	}
}

// makeFile makes the file of a segment that is begun, of a spare if there is one.
// Nothing may be written to it before the directory is synced: until then it may
// still be the spare, whose name knows nothing of the segment's number.
func (e *Engine) makeFile(s *segment) (vfs.File, error) {
	one, found := e.spares.take()
	if !found {
		return e.cfg.FS.Create(s.path, vfs.WriteCategoryUnspecified)
	}
	if err := e.cfg.FS.Rename(one.path, s.path); err != nil {
		if e.spares.reserve(one.size) {
			e.spares.add(one)
		}
		return nil, err
	}
	file, err := e.cfg.FS.OpenReadWrite(s.path, vfs.WriteCategoryUnspecified)
	if err == nil {
		s.reused.Store(one.size)
	}
	return file, err
}

// write adds b to the file, and may change what b has behind its end. A spare is
// written by whole pages: where a part of one is changed that is not in memory the
// system has to read it.
func (s *segment) write(b []byte) (n int, err error) {
	if s.reused.Load() == 0 {
		return s.file.Write(b)
	}
	at := s.written.Load()
	pad := -(at + int64(len(b))) & (pageBytes - 1)
	n, err = s.file.WriteAt(append(b, zeros[:pad]...), at)
	return min(n, len(b)), err
}

var zeros [pageBytes]byte

// cut gives back what the file of a segment that has its last record holds behind
// that, where the file system can.
func (e *Engine) cut(s *segment) {
	if s.reused.Load() == 0 {
		return
	}
	if err := disk.Cut(e.cfg.FS, s.path, s.size.Load()); err != nil {
		e.logger.Error("cut segment", "file", s.path, "err", err)
		return
	}
	s.reused.Store(0)
}
