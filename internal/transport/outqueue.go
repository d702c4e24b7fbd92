package transport

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// keepBuffer is the capacity, in bytes, up to which a queue's two buffers
	// are kept whatever their use. Above it they go once no write has used a
	// quarter of one for keepTime.
	keepBuffer = 128 << 10
	keepTime   = time.Second
	// writeStep bounds the bytes of one write, so that a slow peer still shows
	// progress between two looks at it.
	writeStep = 256 << 10
)

// outQueue holds what one connection has yet to write. Any goroutine appends;
// one, in run, writes.
//
// Invariants: held = len(buf) + the unsent bytes of large; frames appended
// while taken is t are part of the (t+1)th write; once closed is set nothing
// is appended and nothing is taken.
type outQueue struct {
	limit int
	stats *counters
	// written counts finished writes, and writing is set during one: what tells
	// a write that is stuck.
	written atomic.Uint64
	writing atomic.Bool

	ready sync.Cond // there is something to take, or closed
	mu    struct {
		sync.Mutex
		buf    []byte
		frames int
		taken  uint64
		large  largeQueue
		held   int
		flying int // bytes in the hands of run
		closed *kv.Error
	}
}

// newOutQueue returns a queue for limit bytes, of which messages with open
// bytes in all may be partly sent at any time.
func newOutQueue(limit, open int, stats *counters) *outQueue {
	q := &outQueue{limit: limit, stats: stats}
	q.ready.L = &q.mu
	q.mu.large.open = open
	return q
}

// admit tells whether size more bytes of payload may be appended. The caller
// holds q.mu.
func (q *outQueue) admit(size int) error {
	if q.mu.closed != nil {
		return q.mu.closed
	}
	if waiting := q.mu.held + q.mu.flying; waiting > wire.MaxFrame && waiting+size+wire.Overhead > q.limit {
		return kv.Errorf(kv.KindOverloaded, "send", "%d bytes wait on the connection, the limit is %d", waiting, q.limit)
	}
	return nil
}

// putSmall appends one frame. The caller holds q.mu, and admit agreed.
func (q *outQueue) putSmall(h wire.Header, m wire.Appender, size int) {
	b, at := wire.BeginFrame(q.mu.buf)
	b = m.AppendTo(b)
	if len(b)-at-wire.HeaderSize != size {
		panic("transport: a message's Size differs from what AppendTo appends")
	}
	q.mu.held += size + wire.Overhead
	q.mu.buf = wire.EndFrame(b, at, h)
	q.mu.frames++
	q.ready.Signal()
}

// putLarge appends a message over wire.MaxChunk. The caller holds q.mu, and
// admit agreed.
func (q *outQueue) putLarge(l *large) {
	q.mu.held += len(l.rest)
	q.mu.large.push(l)
	q.ready.Signal()
}

// send appends a message of any size that nobody will want to find again: a
// response.
func (q *outQueue) send(h wire.Header, m wire.Appender) error {
	size := m.Size()
	var l *large
	if size > wire.MaxChunk {
		l = newLarge(h, m, size, time.Time{})
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.admit(size); err != nil {
		return err
	}
	if l != nil {
		q.putLarge(l)
	} else {
		q.putSmall(h, m, size)
	}
	return nil
}

// run writes to nc until the queue is closed or a write fails.
func (q *outQueue) run(nc net.Conn) error {
	var b []byte
	used := time.Now() // when a large buffer was last of use
	for {
		full, part, ok := q.take(b)
		if !ok {
			return nil
		}
		b = part.appendTo(full)
		if err := q.write(nc, b); err != nil {
			return err
		}
		switch {
		case cap(b) <= keepBuffer:
		case len(b) >= cap(b)/4:
			used = time.Now()
		case time.Since(used) > keepTime:
			b = nil
		}
		b = b[:0]
	}
}

// take waits for something to write. It exchanges the gathered frames for the
// empty buffer b, and adds one chunk of one large message: a small frame never
// waits for more than that of large ones.
func (q *outQueue) take(b []byte) ([]byte, chunk, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.flying = 0
	for q.mu.held == 0 && q.mu.closed == nil {
		q.ready.Wait()
		// The first frame has come; let those who are about to append do so.
		// It costs a lone caller nothing and saves a crowd most of its writes.
		q.mu.Unlock()
		runtime.Gosched()
		q.mu.Lock()
	}
	if q.mu.closed != nil {
		return nil, chunk{}, false
	}
	full, frames := q.mu.buf, q.mu.frames
	q.mu.buf, q.mu.frames = b, 0
	part, ok := q.mu.large.next()
	if ok {
		frames++
	}
	q.mu.flying = len(full) + len(part.payload)
	q.mu.held -= q.mu.flying
	q.mu.taken++
	q.stats.framesOut.Add(uint64(frames))
	return full, part, true
}

func (q *outQueue) write(nc net.Conn, b []byte) error {
	q.writing.Store(true)
	defer q.writing.Store(false)
	for len(b) > 0 {
		n, err := nc.Write(b[:min(len(b), writeStep)])
		q.written.Add(1)
		q.stats.flushes.Add(1)
		q.stats.bytesOut.Add(uint64(n))
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// close has every later send return err. It returns false when the queue was
// closed before.
func (q *outQueue) close(err *kv.Error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mu.closed != nil {
		return false
	}
	q.mu.closed = err
	q.ready.Broadcast()
	return true
}

// untouched tells, once the queue is closed, whether a call's request was never
// handed to run: it certainly did not reach the peer.
func (q *outQueue) untouched(c *call) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.large != nil {
		return !c.large.begun
	}
	return c.batch == q.mu.taken
}

// bytes returns what waits to be written.
func (q *outQueue) bytes() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.mu.held + q.mu.flying
}
