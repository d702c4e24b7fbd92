package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// refusal is the body of the answer to a connection past the limit.
const refusal = `{"error":{"kind":"overloaded","message":"accept connection: too many are open","applied":"no"}}` + "\n"

// listener accepts at most max connections at once. Further ones are told so
// and closed, rather than left to wait behind idle ones.
type listener struct {
	net.Listener
	max  int64
	open atomic.Int64
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.max {
			return &conn{Conn: c, listener: l}, nil
		}
		l.open.Add(-1)
		refuse(c)
	}
}

// refuse tells c that there are too many connections and closes it. A socket's
// buffer takes the answer without blocking; the deadline is for a network that
// has none. A client that has sent its request already may see the connection
// reset instead.
func refuse(c net.Conn) {
	_ = c.SetWriteDeadline(time.Now().Add(time.Millisecond))
	_, _ = fmt.Fprintf(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		typeJSON, len(refusal), refusal)
	_ = c.Close()
}

// conn is a connection that was accepted.
type conn struct {
	net.Conn
	listener *listener
	once     sync.Once
	// begun and served count the requests whose first byte came, and those
	// that reached ServeHTTP. Only the connection's own goroutine uses them.
	begun, served int
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() { c.listener.open.Add(-1) })
	return c.Conn.Close()
}

// CloseWrite lets the server end an answer to a client that still sends, so
// that the client reads it before it learns of the close.
func (c *conn) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return nil
}

// connKey is the key of a request's conn in its context.
type connKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// watchConn logs a line for a connection that ends within a request's head:
// what came was no HTTP, or was cut, or too slow.
func watchConn(log *slog.Logger) func(net.Conn, http.ConnState) {
	return func(nc net.Conn, state http.ConnState) {
		c, ok := nc.(*conn)
		if !ok {
			return
		}
		switch state {
		case http.StateActive:
			c.begun++
		case http.StateClosed:
			if c.begun > c.served {
				log.Warn("closed a connection that sent no whole HTTP request", "remote", c.RemoteAddr().String())
			}
		}
	}
}
