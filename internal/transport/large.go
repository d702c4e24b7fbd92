package transport

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/wire"
)

// large is a message over wire.MaxChunk on its way out. Once it is in a
// largeQueue it is guarded by the outQueue's mutex.
type large struct {
	header wire.Header
	// In a request, the call's deadline, and what its frames' stamps are made of;
	// zero in a response. They do not change.
	deadline time.Time
	began    time.Time // the connection
	version  wire.Version
	size     int
	rest     []byte // what is not sent yet
	begun    bool   // a part was handed to the writer
}

func newLarge(h wire.Header, m wire.Appender, size int) *large {
	b := m.AppendTo(make([]byte, 0, size))
	if len(b) != size {
		panic("transport: a message's Size differs from what AppendTo appends")
	}
	return &large{header: h, size: size, rest: b}
}

// chunk is one frame's worth of a large message; its zero value is none.
type chunk struct {
	of      *large
	header  wire.Header
	payload []byte
}

// appendTo appends the frame to b. The deadline is taken now, because the
// message may have waited long for its turn; and so is the stamp: the receiver goes
// by the last frame, and an upload that is slow for its size, or waited for others
// of its kind, has not waited for the receiver. Its caller's patience is in the
// deadline.
func (c chunk) appendTo(b []byte) []byte {
	if len(c.payload) == 0 {
		return b
	}
	if l := c.of; !l.deadline.IsZero() {
		now := time.Now()
		c.header.Deadline = millisLeft(l.deadline.Sub(now))
		c.header.Stamp = l.version.Stamped(now.Sub(l.began))
	}
	b, at := wire.BeginFrame(b)
	b = append(b, c.payload...)
	return wire.EndFrame(b, at, c.header)
}

// largeQueue orders large messages: those that are under way take turns, chunk
// by chunk; the others wait, first come first served, until the ones under way
// leave them room in the receiver's AssemblyBytes.
type largeQueue struct {
	open    int // bound of opened, in bytes
	opened  int // sizes of those under way
	turns   []*large
	waiting []*large
}

func (q *largeQueue) push(l *large) { q.waiting = append(q.waiting, l) }

// waits tells whether there is anything to be sent.
func (q *largeQueue) waits() bool { return len(q.turns)+len(q.waiting) > 0 }

// next returns the next chunk to be sent.
func (q *largeQueue) next() (chunk, bool) {
	for len(q.waiting) > 0 && (q.opened == 0 || q.opened+q.waiting[0].size <= q.open) {
		q.opened += q.waiting[0].size
		q.turns = append(q.turns, q.waiting[0])
		q.waiting = popFront(q.waiting)
	}
	if len(q.turns) == 0 {
		return chunk{}, false
	}
	l := q.turns[0]
	q.turns = popFront(q.turns)
	c := l.cut()
	if len(l.rest) > 0 {
		q.turns = append(q.turns, l)
	} else {
		q.opened -= l.size
	}
	return c, true
}

func (l *large) cut() chunk {
	n := min(len(l.rest), wire.MaxChunk)
	c := chunk{of: l, header: l.header, payload: l.rest[:n]}
	l.begun = true
	if l.rest = l.rest[n:]; len(l.rest) > 0 {
		c.header.Flags |= wire.FlagMore
	} else {
		l.rest = nil
	}
	return c
}

// popFront removes the first element, and keeps the array for the next ones.
func popFront(s []*large) []*large {
	copy(s, s[1:])
	s[len(s)-1] = nil
	return s[:len(s)-1]
}
