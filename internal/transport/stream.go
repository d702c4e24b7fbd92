package transport

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// streamBuffer bounds the bytes under way in one direction of a Memory's
// connection; a writer waits for room, as it does for a socket's.
const streamBuffer = 256 << 10

// stream carries the bytes of one direction of a Memory's connection. A byte
// can be read once its delay has passed and its link is not cut. Readers and
// writers wait on a condition, so that a synctest bubble counts them as
// blocked.
type stream struct {
	link    *link
	limit   int // bytes under way
	changed sync.Cond
	mu      struct {
		sync.Mutex
		under    []segment // in order of sending, and of arrival
		size     int       // bytes in under
		finished bool      // the writer closed
		ended    time.Time // when the reader may learn of that
		left     bool      // the reader closed
		broken   error     // reset
		readBy   deadline
		writeBy  deadline
	}
}

// segment is what one write sent.
type segment struct {
	data []byte
	due  time.Time
}

// deadline is a time past which waiting fails, and the timer that tells.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func newStream(l *link) *stream {
	s := &stream{link: l, limit: streamBuffer}
	s.changed.L = &s.mu
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch wait, ok := s.arrived(); {
		case s.mu.left:
			return 0, net.ErrClosed
		case s.mu.broken != nil:
			return 0, s.mu.broken
		case s.mu.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case ok && len(s.mu.under) == 0:
			return 0, io.EOF
		case ok:
			return s.consume(p), nil
		case wait > 0:
			timer := time.AfterFunc(wait, s.poke)
			s.changed.Wait()
			timer.Stop()
		default:
			s.changed.Wait()
		}
	}
}

// arrived tells whether bytes, or the end, can be read now, and if not, after
// which time to look again, unless something changes; 0 means never. The
// caller holds s.mu.
func (s *stream) arrived() (time.Duration, bool) {
	due := s.mu.ended
	switch {
	case s.link.cut.Load():
		return 0, false
	case len(s.mu.under) > 0:
		due = s.mu.under[0].due
	case !s.mu.finished:
		return 0, false
	}
	wait := time.Until(due)
	return wait, wait <= 0
}

// consume moves what has arrived to p. The caller holds s.mu.
func (s *stream) consume(p []byte) int {
	n, now := 0, time.Now()
	for n < len(p) && len(s.mu.under) > 0 && !s.mu.under[0].due.After(now) {
		head := &s.mu.under[0]
		moved := copy(p[n:], head.data)
		n += moved
		if head.data = head.data[moved:]; len(head.data) == 0 {
			s.mu.under = s.mu.under[1:]
		}
	}
	s.mu.size -= n
	s.changed.Broadcast()
	return n
}

func (s *stream) write(p []byte) (int, error) {
	delay := s.link.latency()
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for {
		switch {
		case s.mu.finished:
			return n, net.ErrClosed
		case s.mu.broken != nil:
			return n, s.mu.broken
		case s.mu.left && !s.link.cut.Load():
			return n, syscall.EPIPE
		case s.mu.writeBy.passed():
			return n, os.ErrDeadlineExceeded
		case n == len(p):
			return n, nil
		case s.mu.size == s.limit:
			s.changed.Wait()
		default:
			n += s.append(p[n:], delay)
		}
	}
}

// append takes what there is room for. The caller holds s.mu.
func (s *stream) append(p []byte, delay time.Duration) int {
	n := min(len(p), s.limit-s.mu.size)
	due := s.later(delay)
	s.mu.under = append(s.mu.under, segment{data: append([]byte(nil), p[:n]...), due: due})
	s.mu.size += n
	s.changed.Broadcast()
	return n
}

// later is when what is sent now arrives: never before what was sent earlier.
func (s *stream) later(delay time.Duration) time.Time {
	due := time.Now().Add(delay)
	if n := len(s.mu.under); n > 0 && s.mu.under[n-1].due.After(due) {
		due = s.mu.under[n-1].due
	}
	return due
}

// finish ends the stream after what was written.
func (s *stream) finish() {
	delay := s.link.latency()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.mu.finished {
		s.mu.finished, s.mu.ended = true, s.later(delay)
	}
	s.changed.Broadcast()
}

// abandon ends the reader's interest.
func (s *stream) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.left = true
	s.changed.Broadcast()
}

// abort ends the stream for both sides, and what is under way is lost.
func (s *stream) abort(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.broken, s.mu.under, s.mu.size = err, nil, 0
	s.changed.Broadcast()
}

// poke has the stream's users look again.
func (s *stream) poke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}

// setDeadline sets d, one of the stream's own; the zero time is never.
func (s *stream) setDeadline(d *deadline, t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.at = t
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, s.poke)
	}
	s.changed.Broadcast()
	return nil
}
