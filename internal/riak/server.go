package riak

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

// Server is the door. It is safe for concurrent use.
type Server struct {
	cfg   Config
	parts Parts
	// slots bounds the requests that are served at once, large those whose messages
	// are large, from before these are read.
	slots, large chan struct{}

	mu struct {
		sync.Mutex
		conns map[*conn]struct{}
	}
	serving sync.WaitGroup
}

// New returns a Server over parts, which it does not close. The error is of
// KindInvalid and names the field of cfg that is out of range.
func New(cfg Config, parts Parts) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, parts: parts, slots: make(chan struct{}, cfg.MaxRequests), large: make(chan struct{}, cfg.MaxRequests)}
	s.mu.conns = map[*conn]struct{}{}
	return s, nil
}

// Serve answers what comes in at l until ctx ends, and closes l. Then it takes
// nothing new, lets the requests under way finish for up to DrainTimeout, cancels
// those that are left, and returns nil when the last connection is closed. It
// returns an error when l fails. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	err := s.accept(requests, l)
	_ = l.Close()
	s.endAll()
	drained := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(drained)
	}()
	late := time.NewTimer(s.cfg.DrainTimeout)
	defer late.Stop()
	select {
	case <-drained:
	case <-late.C:
		s.parts.Log.Warn("cancelled riak requests that did not end in time", "waited", s.cfg.DrainTimeout)
		cancel()
		s.closeAll()
		<-drained
	}
	if ctx.Err() != nil {
		return nil
	}
	return kv.Wrap(kv.KindInternal, "accept riak connections", err)
}

// Bounds of the pause after an accept that failed for want of something that may
// come back, such as file descriptors.
const (
	leastPause = 5 * time.Millisecond
	mostPause  = time.Second
)

// accept takes connections in until l is closed, and returns why it ended.
func (s *Server) accept(ctx context.Context, l net.Listener) error {
	pause := leastPause
	for {
		c, err := l.Accept()
		var ne net.Error
		switch {
		case err == nil:
			pause = leastPause
			s.admit(ctx, c)
		case errors.As(err, &ne) && !errors.Is(err, net.ErrClosed):
			s.parts.Log.Warn("took in no riak connection", "error", err, "pause", pause)
			time.Sleep(pause)
			pause = min(2*pause, mostPause)
		default:
			return err
		}
	}
}

// admit begins to serve nc. At the limit the connection that has been idle longest
// is closed for it: whoever opens connections and leaves them keeps nobody out.
func (s *Server) admit(ctx context.Context, nc net.Conn) {
	c := newConn(s, nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.conns) >= s.cfg.MaxConnections {
		old := s.idlest()
		if old == nil {
			s.serving.Go(func() { refuse(nc) })
			return
		}
		delete(s.mu.conns, old)
		_ = old.nc.Close()
	}
	s.mu.conns[c] = struct{}{}
	s.serving.Go(func() {
		c.serve(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.mu.conns, c)
	})
}

// idlest returns the connection that has been idle longest, nil where each has a
// request under way. The caller holds the lock.
func (s *Server) idlest() *conn {
	var old *conn
	var since int64
	for c := range s.mu.conns {
		if t := c.idle.Load(); t != 0 && (old == nil || t < since) {
			old, since = c, t
		}
	}
	return old
}

// refuse tells nc that there are too many connections, and closes it. Its deadline
// is for a network without buffers.
func refuse(nc net.Conn) {
	_ = nc.SetWriteDeadline(time.Now().Add(time.Millisecond))
	_, _ = nc.Write(pb.AppendError(nil, "overloaded: too many connections are open", codeNotApplied))
	_ = nc.Close()
}

// endAll has each connection end after the request under way.
func (s *Server) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.mu.conns {
		c.end()
	}
}

func (s *Server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.mu.conns {
		_ = c.nc.Close()
	}
}
