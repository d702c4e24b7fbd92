package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// backlog is how many connections a listener holds for Accept.
const backlog = 128

// memoryAddr is a host's name, or name:port.
type memoryAddr string

func (memoryAddr) Network() string  { return "memory" }
func (a memoryAddr) String() string { return string(a) }

func (a memoryAddr) host() string {
	name, _, _ := strings.Cut(string(a), ":")
	return name
}

// memoryHost is the Network that one host sees.
type memoryHost struct {
	net  *Memory
	name string
}

// Dial implements Network. It takes the delay there and back, and as long as
// one of both ways is cut.
func (h memoryHost) Dial(ctx context.Context, addr string) (net.Conn, error) {
	m, local, remote := h.net, memoryAddr(h.name), memoryAddr(addr)
	there, back := m.link(h.name, remote.host()), m.link(remote.host(), h.name)
	if err := m.passable(ctx, there, back); err != nil {
		return nil, err
	}
	if d := there.latency() + back.latency(); d > 0 && !sleep(ctx, d) {
		return nil, ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.mu.listeners[addr]
	if l == nil {
		return nil, fmt.Errorf("dial %s: %w", addr, syscall.ECONNREFUSED)
	}
	out, in := newStream(there), newStream(back)
	near := &memoryConn{net: m, local: local, remote: remote, in: in, out: out}
	far := &memoryConn{net: m, local: remote, remote: local, in: out, out: in}
	select {
	case l.backlog <- far:
	default:
		return nil, fmt.Errorf("dial %s: the backlog is full: %w", addr, syscall.ECONNREFUSED)
	}
	m.mu.conns[near], m.mu.conns[far] = struct{}{}, struct{}{}
	return near, nil
}

// passable waits until neither link is cut.
func (m *Memory) passable(ctx context.Context, there, back *link) error {
	for {
		m.mu.Lock()
		healed := m.mu.healed
		m.mu.Unlock()
		if !there.cut.Load() && !back.cut.Load() {
			return ctx.Err()
		}
		select {
		case <-healed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Listen implements Network.
func (h memoryHost) Listen(addr string) (net.Listener, error) {
	m, at := h.net, memoryAddr(addr)
	if at.host() != h.name {
		return nil, fmt.Errorf("listen on %s: this host is %s", addr, h.name)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.listeners[addr] != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, syscall.EADDRINUSE)
	}
	l := &memoryListener{net: m, addr: at, backlog: make(chan *memoryConn, backlog), closed: make(chan struct{})}
	m.mu.listeners[addr] = l
	return l, nil
}

// memoryListener is a net.Listener of a Memory.
type memoryListener struct {
	net     *Memory
	addr    memoryAddr
	backlog chan *memoryConn
	closing sync.Once
	closed  chan struct{}
}

// Accept implements net.Listener.
func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, fmt.Errorf("accept on %s: %w", l.addr, net.ErrClosed)
	case c := <-l.backlog:
		return c, nil
	}
}

// Close implements net.Listener. Connections that were not accepted are reset.
func (l *memoryListener) Close() error {
	err := net.ErrClosed
	l.closing.Do(func() {
		err = nil
		l.net.mu.Lock()
		delete(l.net.mu.listeners, string(l.addr))
		l.net.mu.Unlock()
		close(l.closed)
		for {
			select {
			case c := <-l.backlog:
				c.reset()
				continue
			default:
			}
			return
		}
	})
	return err
}

// Addr implements net.Listener.
func (l *memoryListener) Addr() net.Addr { return l.addr }

// memoryConn is one end of a connection of a Memory.
type memoryConn struct {
	net           *Memory
	local, remote memoryAddr
	in, out       *stream
}

// Read implements net.Conn.
func (c *memoryConn) Read(p []byte) (int, error) { return c.in.read(p) }

// Write implements net.Conn.
func (c *memoryConn) Write(p []byte) (int, error) { return c.out.write(p) }

// Close implements net.Conn. What was written still arrives.
func (c *memoryConn) Close() error {
	c.in.abandon()
	c.out.finish()
	c.leave()
	return nil
}

// reset ends both directions at once.
func (c *memoryConn) reset() {
	c.in.abort(syscall.ECONNRESET)
	c.out.abort(syscall.ECONNRESET)
	c.leave()
}

func (c *memoryConn) leave() {
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	delete(c.net.mu.conns, c)
}

// LocalAddr implements net.Conn.
func (c *memoryConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *memoryConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *memoryConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *memoryConn) SetReadDeadline(t time.Time) error { return c.in.setDeadline(&c.in.mu.readBy, t) }

// SetWriteDeadline implements net.Conn.
func (c *memoryConn) SetWriteDeadline(t time.Time) error {
	return c.out.setDeadline(&c.out.mu.writeBy, t)
}
