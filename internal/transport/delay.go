package transport

import (
	"io"
	"net"
	"time"
)

// delayBuffer bounds the bytes that a delayed connection holds up.
const delayBuffer = 16 << 20

// Delayed returns l with all that its connections receive held up for d: for
// experiments with a node that is slow. Nothing is lost or reordered. A connection
// takes a goroutine more, which ends with it.
func Delayed(l net.Listener, d time.Duration) net.Listener {
	if d <= 0 {
		return l
	}
	way := &link{}
	way.mu.delay = d
	return delayedListener{l, way}
}

type delayedListener struct {
	net.Listener
	way *link
}

// Accept implements net.Listener.
func (l delayedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &delayedConn{Conn: nc, in: newStream(l.way)}
	c.in.limit = delayBuffer
	go c.receive()
	return c, nil
}

// delayedConn is a connection whose reads lag.
type delayedConn struct {
	net.Conn
	in *stream
}

// receive reads ahead until the connection ends.
func (c *delayedConn) receive() {
	if _, err := io.Copy(streamWriter{c.in}, c.Conn); err != nil {
		c.in.abort(err)
		return
	}
	c.in.finish()
}

type streamWriter struct{ *stream }

// Write implements io.Writer.
func (w streamWriter) Write(p []byte) (int, error) { return w.write(p) }

// Read implements net.Conn.
func (c *delayedConn) Read(p []byte) (int, error) { return c.in.read(p) }

// Close implements net.Conn.
func (c *delayedConn) Close() error {
	c.in.abandon()
	return c.Conn.Close()
}

// SetDeadline implements net.Conn.
func (c *delayedConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (c *delayedConn) SetReadDeadline(t time.Time) error { return c.in.setDeadline(&c.in.mu.readBy, t) }
