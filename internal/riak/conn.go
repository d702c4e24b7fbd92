package riak

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

const (
	// maxMessage bounds a request, in bytes: the greatest value with all that may
	// stand beside it. What exceeds a limit of the store by little is read and
	// refused by name.
	maxMessage = kv.MaxValue + kv.MaxMeta + object.MaxContext + kv.MaxKey + 16<<10
	// readBuffer is what a connection reads at once.
	readBuffer = 4 << 10
	// firstRead is how much room a message gets before any of it has arrived.
	firstRead = 64 << 10
	// keepBuffer bounds what a connection keeps to build answers in.
	keepBuffer = 64 << 10
	// flushAt is how much of answers to requests that came together is collected.
	flushAt = 64 << 10
	// dropBytes and dropFor bound what is read and thrown away of a message that
	// is too large, so that its sender reads the answer before it is cut off.
	dropBytes = 64 << 20
	dropFor   = 2 * time.Second
)

// conn is one connection. Only its own goroutine uses it, but for what says
// otherwise.
type conn struct {
	server *Server
	nc     net.Conn
	r      *bufio.Reader
	// body is room for requests that nobody keeps a part of.
	body []byte
	// out is what is yet to be sent.
	out []byte
	// clientID is what the client calls itself.
	clientID []byte
	// idle is since when, in nanoseconds, nothing has come; 0 while a request is
	// under way. The server reads it.
	idle atomic.Int64
	// ending tells that no further request is to be served.
	ending atomic.Bool
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{server: s, nc: nc, r: bufio.NewReaderSize(nc, readBuffer)}
	c.idle.Store(time.Now().UnixNano())
	return c
}

// end has the connection end after the request under way. Others than its own
// goroutine call it.
func (c *conn) end() {
	c.ending.Store(true)
	_ = c.nc.SetReadDeadline(time.Unix(1, 0))
}

// serve answers requests until the connection ends, and closes it.
func (c *conn) serve(ctx context.Context) {
	defer c.nc.Close()
	for !c.ending.Load() {
		if c.r.Buffered() == 0 && !c.await() {
			return
		}
		code, size, err := c.head()
		if err != nil {
			c.refuse(err)
			return
		}
		if err := c.request(ctx, code, size); err != nil {
			c.refuse(err)
			return
		}
		if len(c.out) >= flushAt && c.flush() != nil {
			return
		}
	}
	_ = c.flush()
}

// await sends what is to be sent, waits for a request, and tells whether one has
// begun.
func (c *conn) await() bool {
	if c.flush() != nil {
		return false
	}
	c.idle.Store(time.Now().UnixNano())
	_, err := c.r.Peek(1)
	c.idle.Store(0)
	return err == nil
}

// head reads what precedes a message; size is that of the rest.
func (c *conn) head() (pb.Code, int, error) {
	if c.r.Buffered() < pb.HeadSize {
		c.limit()
		defer c.unlimit()
	}
	b, err := c.r.Peek(pb.HeadSize)
	if err != nil {
		return 0, 0, cutOff(err)
	}
	size, code := binary.BigEndian.Uint32(b), pb.Code(b[4])
	switch {
	case size == 0:
		return 0, 0, kv.Errorf(kv.KindInvalid, "read message", "it has no code")
	case size > maxMessage:
		return 0, 0, tooLarge{kv.Errorf(kv.KindTooLarge, "read message", "it has %d bytes, the limit is %d", size, maxMessage)}
	}
	_, _ = c.r.Discard(pb.HeadSize)
	return code, int(size) - 1, nil
}

// tooLarge is the error of a message of which the rest is still to come.
type tooLarge struct{ error }

// Unwrap returns the error itself.
func (e tooLarge) Unwrap() error { return e.error }

// request reads the rest of a request and appends its answer. The error ends the
// connection. A large message has a place of its own before it is read: those that
// send such, and do not get on with it, are in nobody's way but each other's.
func (c *conn) request(ctx context.Context, code pb.Code, size int) error {
	if size > keepBuffer {
		if !take(c.server.large) {
			return tooLarge{c.overloaded()}
		}
		defer give(c.server.large)
	}
	body, err := c.read(code, size)
	if err != nil {
		return err
	}
	if !take(c.server.slots) {
		c.out = appendError(c.out, c.overloaded())
		return nil
	}
	defer give(c.server.slots)
	from := len(c.out)
	if err := c.answer(ctx, code, body); err != nil {
		c.out = appendError(c.out[:min(from, len(c.out))], err)
	}
	return nil
}

func (c *conn) overloaded() error {
	return kv.Errorf(kv.KindOverloaded, "accept request", "%d requests are being served, the limit", c.server.cfg.MaxRequests)
}

// take takes one of the places in slots, and tells whether there was one.
func take(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func give(slots chan struct{}) { <-slots }

// read reads the rest of a message. That of a put is the store's to keep, and has
// bytes of its own.
func (c *conn) read(code pb.Code, size int) ([]byte, error) {
	if c.r.Buffered() < size {
		c.limit()
		defer c.unlimit()
	}
	b := c.body[:0]
	if code == pb.PutReq || cap(b) < min(size, firstRead) {
		b = make([]byte, 0, min(size, firstRead))
	}
	for len(b) < size {
		if len(b) == cap(b) {
			b = append(make([]byte, 0, min(2*cap(b), size)), b...)
		}
		n, err := io.ReadFull(c.r, b[len(b):min(cap(b), size)])
		b = b[:len(b)+n]
		if err != nil {
			return nil, cutOff(err)
		}
	}
	if code != pb.PutReq && cap(b) <= keepBuffer {
		c.body = b
	}
	return b, nil
}

// limit bounds the time that the rest of a message may take.
func (c *conn) limit() { c.deadline(time.Now().Add(c.server.cfg.ReadTimeout)) }

func (c *conn) unlimit() { c.deadline(time.Time{}) }

func (c *conn) deadline(t time.Time) {
	_ = c.nc.SetReadDeadline(t)
	if c.ending.Load() {
		_ = c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

// cutOff says in our words why a message did not come to its end.
func cutOff(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return kv.Errorf(kv.KindTimeout, "read message", "it came too slowly")
	}
	return kv.Errorf(kv.KindInvalid, "read message", "it was cut")
}

// flush sends what is to be sent.
func (c *conn) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(c.server.cfg.WriteTimeout))
	_, err := c.nc.Write(c.out)
	if c.out = c.out[:0]; cap(c.out) > keepBuffer {
		c.out = nil
	}
	return err
}

// refuse answers what cannot be answered any further with err. The connection's
// other half is read for a while, or a client that is still sending would be cut
// off before it reads the answer.
func (c *conn) refuse(err error) {
	c.out = appendError(c.out, err)
	if c.flush() != nil || !errors.As(err, new(tooLarge)) {
		return
	}
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		c.deadline(time.Now().Add(dropFor))
		_, _ = io.CopyN(io.Discard, c.r, dropBytes)
	}
}
