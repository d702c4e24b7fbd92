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
// The reader of the connection may have a part in that: what it answers while it
// handles a request gathers until it has no other at hand, and is then written by
// itself, by flush, which spares waking run. What the socket does not take at once
// is left to run.
//
// Invariants: held = len(buf) + the unsent bytes of large; frames appended
// while taken is t are part of the (t+1)th write; once closed is set nothing
// is appended and nothing is taken. While flushing is set, or rest is not empty,
// nothing but rest is taken.
type outQueue struct {
	limit int
	stats *counters
	// socket is what flush writes to, nil without flush. spare is flush's buffer.
	socket *direct
	spare  []byte
	// answering is the request that the reader handles, while it does.
	serving   atomic.Bool
	answering atomic.Uint64
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
		flying int // bytes in the hands of run, or of flush
		// flushing is set while flush writes; rest is what that left.
		flushing bool
		rest     []byte
		closed   *kv.Error
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
	// Under mu, so that whoever sees that the reader is at it is followed by flush.
	if !q.serving.Load() || q.answering.Load() != h.ID {
		q.ready.Signal()
	}
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
		l = newLarge(h, m, size)
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
	if !q.mu.flushing {
		q.mu.flying = 0
	}
	for q.idle() && q.mu.closed == nil {
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
	if rest := q.mu.rest; len(rest) > 0 {
		q.mu.rest, q.mu.flying = nil, len(rest)
		return rest, chunk{}, true
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

// idle tells whether there is nothing for run to take. The caller holds q.mu.
func (q *outQueue) idle() bool {
	return len(q.mu.rest) == 0 && (q.mu.held == 0 || q.mu.flushing)
}

// handles tells that the reader handles request id, until it says otherwise.
func (q *outQueue) handles(id uint64) {
	if q.socket != nil {
		q.answering.Store(id)
		q.serving.Store(true)
	}
}

// handled ends what handles began.
func (q *outQueue) handled() { q.serving.Store(false) }

// flush writes what has gathered, in the goroutine of the reader, who handles no
// request. It leaves to run what run is at, large messages, what the socket does
// not take at once, and errors.
func (q *outQueue) flush() {
	if q.socket == nil {
		return
	}
	b, ok := q.takeOwn()
	if !ok {
		return
	}
	n, _ := q.socket.Write(b) // run meets the error, of a write that is not empty
	q.stats.flushes.Add(1)
	q.stats.bytesOut.Add(uint64(n))
	q.written.Add(1)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.mu.flushing = false
	if n < len(b) {
		q.mu.rest, q.mu.flying = b[n:], len(b)-n
		q.spare = nil
	} else {
		q.mu.flying, q.spare = 0, b[:0]
		if cap(b) > keepBuffer {
			q.spare = nil
		}
	}
	if !q.idle() {
		q.ready.Signal()
	}
}

// takeOwn takes what has gathered for flush.
func (q *outQueue) takeOwn() ([]byte, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.mu.held == 0 || q.mu.closed != nil:
		return nil, false
	case q.mu.flying > 0 || q.mu.large.waits():
		q.ready.Signal()
		return nil, false
	}
	b := q.mu.buf
	q.stats.framesOut.Add(uint64(q.mu.frames))
	q.mu.buf, q.mu.frames, q.spare = q.spare[:0], 0, nil
	q.mu.held -= len(b)
	q.mu.flying, q.mu.flushing = len(b), true
	q.mu.taken++
	return b, true
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
