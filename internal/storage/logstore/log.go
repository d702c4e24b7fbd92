package logstore

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// log is the end of the store: what was applied goes into chunks of memory in
// the order of its sequence numbers, and a job writes them. Adding takes no
// system call.
type log struct {
	segmentBytes int64
	newSegment   func(number uint32, clean uint64) *segment // no file is made yet

	mu struct {
		sync.Mutex
		seq     uint64   // the last one that was given
		segment *segment // to which is added
		number  uint32   // the last one that was given to a segment
		synced  int64    // what of segment is known to be on stable storage
		waiters []waiter
		dirty   bool // something was added since the last fsync began
		state   jobState
		timed   bool // a job will be started
		closed  bool // nothing is added any more
	}

	// chunks are what is not yet written, oldest first. The last one may grow, in
	// memory that it has.
	chunks struct {
		sync.RWMutex
		list []*chunk
		free []*chunk // for use again
	}
	pending atomic.Int64 // bytes in chunks
}

// waiter is told when all before it is on stable storage.
type waiter struct {
	w    storage.Waiter
	done chan error // in its place, with room for one
}

type jobState byte

const (
	jobNone jobState = iota
	jobQueued
	jobRuns
	// jobBlocked: the disk is full; a sample of the free space queues the job.
	jobBlocked
)

// chunk is bytes of a segment that are not yet written.
type chunk struct {
	segment *segment
	offset  int64 // of its first byte in the segment
	buf     []byte
	n       int  // used; under log.mu, as are the next two, until it is taken
	last    bool // the segment ends with it
	taken   bool // it is being written, and grows no more
	wrote   int  // the job's
}

const (
	chunkBytes = 256 << 10
	maxFree    = 16 // chunks
)

// room returns n bytes at the end of the log, and where they are. log.mu is
// held.
func (g *log) room(n int) (buf []byte, s *segment, offset int64) {
	size := g.mu.segment.size.Load()
	if size > preamble && size+int64(n)+headerLen+footerLen > g.segmentBytes {
		g.roll()
	}
	g.mark()
	buf, offset = g.add(n)
	return buf, g.mu.segment, offset
}

// add returns n bytes at the end of the present segment. log.mu is held.
func (g *log) add(n int) (buf []byte, offset int64) {
	s := g.mu.segment
	offset = s.size.Add(int64(n)) - int64(n)
	g.chunks.RLock()
	var c *chunk
	if k := len(g.chunks.list); k > 0 {
		c = g.chunks.list[k-1]
	}
	g.chunks.RUnlock()
	if c == nil || c.segment != s || c.taken || len(c.buf)-c.n < n {
		c = g.newChunk(s, offset, n)
	}
	buf = c.buf[c.n : c.n+n : c.n+n]
	c.n += n
	g.pending.Add(int64(n))
	g.mu.dirty = true
	return buf, offset
}

func (g *log) newChunk(s *segment, offset int64, n int) *chunk {
	g.chunks.Lock()
	defer g.chunks.Unlock()
	var c *chunk
	if k := len(g.chunks.free); k > 0 && n <= chunkBytes {
		c = g.chunks.free[k-1]
		g.chunks.free = g.chunks.free[:k-1]
	} else {
		c = &chunk{buf: make([]byte, max(n, chunkBytes))}
	}
	c.segment, c.offset, c.n, c.last, c.taken, c.wrote = s, offset, 0, false, false, 0
	g.chunks.list = append(g.chunks.list, c)
	return c
}

const footerLen = headerLen

// roll ends the present segment and begins the next. log.mu is held.
func (g *log) roll() {
	g.footer()
	g.mu.number++
	g.mu.segment = g.newSegment(g.mu.number, g.mu.seq)
	g.mu.synced = 0
	g.preamble()
}

// footer adds the last record of the present segment. log.mu is held.
func (g *log) footer() {
	buf, offset := g.add(footerLen)
	h := header{kind: kindFooter, seq: uint64(offset)}
	h.put(buf, nil, g.mu.segment.salt())
	g.chunks.RLock()
	g.chunks.list[len(g.chunks.list)-1].last = true
	g.chunks.RUnlock()
}

// preamble adds what the present segment begins with. log.mu is held.
func (g *log) preamble() {
	buf, _ := g.add(preamble)
	copy(buf, g.mu.segment.preamble())
}

// mark adds how far the segment is known to be on stable storage, once for each
// fsync. log.mu is held.
func (g *log) mark() {
	if g.mu.synced <= preamble {
		return
	}
	buf, _ := g.add(headerLen)
	h := header{kind: kindMark, seq: uint64(g.mu.synced)}
	h.put(buf, nil, g.mu.segment.salt())
	g.mu.synced = 0 // said
}

// read copies n bytes at offset of s to dst, if they are not yet written.
func (g *log) read(s *segment, offset int64, dst []byte) bool {
	g.chunks.RLock()
	defer g.chunks.RUnlock()
	// From the end, since the room of one reaches over the next.
	for _, c := range slices.Backward(g.chunks.list) {
		if c.segment == s && offset >= c.offset && offset+int64(len(dst)) <= c.offset+int64(len(c.buf)) {
			copy(dst, c.buf[offset-c.offset:])
			return true
		}
	}
	return false
}
