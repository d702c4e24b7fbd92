package transport

import (
	"bufio"
	"io"
	"net"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// readBuffer is how much a connection reads at once, in bytes; it holds a whole
// frame of any size.
const readBuffer = 64 << 10

// source reads a connection and counts what comes.
type source struct {
	nc     net.Conn
	stats  *counters
	frames uint64        // read since the last look at stats; the reader's own
	reads  atomic.Uint64 // grows with every sign of life
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if s.frames > 0 {
		s.stats.framesIn.Add(s.frames)
		s.frames = 0
	}
	n, err := s.nc.Read(p)
	if n > 0 {
		s.reads.Add(1)
		s.stats.reads.Add(1)
		s.stats.bytesIn.Add(uint64(n))
	}
	return n, err
}

// frameReader cuts what a source reads into frames. It is used by one
// goroutine.
type frameReader struct {
	src *source
	br  *bufio.Reader
	// version is the connection's.
	version wire.Version
	last    int // size of the frame that was returned last
}

// newFrameReader reads frames of a version from r, which reads src.
func newFrameReader(src *source, r io.Reader, version wire.Version) *frameReader {
	return &frameReader{src: src, br: bufio.NewReaderSize(r, readBuffer), version: version}
}

// ready tells whether next returns without waiting for the source.
func (r *frameReader) ready() bool {
	n := r.br.Buffered()
	if n < r.last+4 {
		return false
	}
	b, _ := r.br.Peek(r.last + 4) // they are there
	size, err := wire.FrameSize(b[r.last:])
	return err != nil || n >= r.last+size
}

// next returns the next frame, with the level for which its field stands. Its
// payload is valid until next is called again.
// An error is the source's, or one of KindInvalid or KindCorrupt, after which
// nothing that follows can be trusted.
func (r *frameReader) next() (wire.Header, []byte, error) {
	if r.last > 0 {
		_, _ = r.br.Discard(r.last) // cannot fail: that much was peeked
		r.last = 0
	}
	b, err := r.br.Peek(4)
	if err != nil {
		return wire.Header{}, nil, err
	}
	n, err := wire.FrameSize(b)
	if err != nil {
		return wire.Header{}, nil, err
	}
	if b, err = r.br.Peek(n); err != nil {
		return wire.Header{}, nil, err
	}
	r.last = n
	r.src.frames++
	h, payload, err := wire.ParseFrame(b)
	if h.Stamp != 0 && !r.version.Stamps() {
		return wire.Header{}, nil, kv.Errorf(kv.KindInvalid, "read frame", "protocol version %d has no stamp, this is %d", r.version, h.Stamp)
	}
	h.Level = r.version.Received(h.Level)
	return h, payload, err
}
