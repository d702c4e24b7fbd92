package resp

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Server is the door. It is safe for concurrent use.
type Server struct {
	cfg     Config
	parts   Parts
	started time.Time
	// held counts bytes against Config.MaxHeld.
	held  atomic.Int64
	scans chan struct{}
	slots slotPages
	// ended is set when the server takes no more commands.
	ended atomic.Bool
	// accepted and commands count for INFO.
	accepted, commands atomic.Uint64

	mu struct {
		sync.Mutex
		conns map[int64]*conn
		next  int64
	}
}

// New returns a Server over parts, which it does not close. The error is of
// KindInvalid and names the field of cfg that is out of range.
func New(cfg Config, parts Parts) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, parts: parts, started: time.Now(), scans: make(chan struct{}, maxScans)}
	s.mu.conns = map[int64]*conn{}
	return s, nil
}

// Serve answers what comes in at l until ctx ends, and closes l. Then it takes
// nothing new, lets the commands under way finish for up to DrainTimeout, and
// returns nil when the last connection is closed. It returns an error when l
// fails. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var conns sync.WaitGroup
	ended := make(chan error, 1)
	go func() { ended <- s.accept(inner, l, &conns) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		_ = l.Close()
		<-ended
	}
	s.ended.Store(true)
	// Whoever reads stops reading; whoever has commands under way ends them first.
	s.each(func(c *conn) { _ = c.net.SetReadDeadline(time.Now()) })
	late := time.AfterFunc(s.cfg.DrainTimeout, func() {
		s.parts.Log.Warn("closed connections of Redis's clients whose commands did not end in time", "waited", s.cfg.DrainTimeout)
		cancel()
		s.each(func(c *conn) { _ = c.net.Close() })
	})
	defer late.Stop()
	conns.Wait()
	return err
}

// accept serves each connection in a goroutine of its own, until l is closed.
func (s *Server) accept(ctx context.Context, l net.Listener, conns *sync.WaitGroup) error {
	const shortly = 5 * time.Millisecond
	for {
		nc, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case isTemporary(err):
			// No file descriptor is free; others are closed in time.
			time.Sleep(shortly)
			continue
		case err != nil:
			return kv.Wrap(kv.KindInternal, "accept resp connections", err)
		}
		s.accepted.Add(1)
		c := s.admit(nc)
		if c == nil {
			refuse(nc)
			continue
		}
		conns.Go(func() {
			c.serve(ctx)
			s.forget(c)
		})
	}
}

func isTemporary(err error) bool {
	t, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	return ok && t.Temporary()
}

// refuse tells nc that there are too many connections, as Redis does, and closes
// it. A socket's buffer takes that without blocking.
func refuse(nc net.Conn) {
	_ = nc.SetWriteDeadline(time.Now().Add(time.Millisecond))
	_, _ = nc.Write(appendError(nil, "ERR max number of clients reached"))
	_ = nc.Close()
}

// admit returns the connection over nc, or nil if there are too many.
func (s *Server) admit(nc net.Conn) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.conns) >= s.cfg.MaxConnections || s.ended.Load() {
		return nil
	}
	s.mu.next++
	c := &conn{s: s, net: nc, id: s.mu.next, began: time.Now(), proto: resp2}
	c.parser.reset()
	s.mu.conns[c.id] = c
	return c
}

func (s *Server) forget(c *conn) {
	_ = c.net.Close()
	s.mu.Lock()
	delete(s.mu.conns, c.id)
	s.mu.Unlock()
}

// each calls fn with each connection that is open, without a lock.
func (s *Server) each(fn func(*conn)) {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.mu.conns))
	for _, c := range s.mu.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		fn(c)
	}
}

// seconds is how long the server has been there.
func (s *Server) seconds() int64 { return int64(time.Since(s.started) / time.Second) }

func (s *Server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mu.conns)
}

// hold counts n bytes against Config.MaxHeld; less than none lets go of some. It
// tells whether there was room.
func (s *Server) hold(n int64) bool {
	if s.held.Add(n) > s.cfg.MaxHeld && n > 0 {
		s.held.Add(-n)
		return false
	}
	return true
}
