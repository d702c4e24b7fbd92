package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/beat"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Server accepts connections and serves their requests. Safe for concurrent
// use.
type Server struct {
	cfg     Config
	hooks   Hooks
	handler wire.Handler
	log     *slog.Logger

	stats counters
	// behind is when a message of another node was last late, in nanoseconds since
	// the server was made; 0 for never.
	behind                                      atomic.Int64
	made                                        time.Time
	handshakes                                  atomic.Int64 // connections whose handshake is not done
	refused, garbage, malformed, tardy, dropped atomic.Uint64

	mu struct {
		sync.Mutex
		conns  map[*accepted]struct{}
		ending bool
	}
}

// ServerStats counts since the Server was made, unless a field says otherwise.
type ServerStats struct {
	Traffic
	// Conns and Handshakes are how many connections there are now, and how many
	// more are in their handshake.
	Conns, Handshakes int
	// QueueBytes wait now to be written, on all connections.
	QueueBytes int
	// Refused handshakes were answered with an error; Garbage are connections
	// that never spoke the protocol.
	Refused, Garbage uint64
	// Malformed connections were closed for breaking the protocol after the
	// handshake; Dropped ones because the peer did not read, or was silent.
	Malformed, Dropped uint64
	// Tardy requests were past their deadline before they could be served.
	Tardy uint64
}

// NewServer returns a Server whose requests h serves. The caller has validated
// cfg. A nil log discards.
func NewServer(cfg Config, hooks Hooks, h wire.Handler, log *slog.Logger) *Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Server{cfg: cfg, hooks: hooks, handler: h, log: log, made: time.Now()}
	s.mu.conns = make(map[*accepted]struct{})
	return s
}

// Stats returns the counters.
func (s *Server) Stats() ServerStats {
	st := ServerStats{
		Traffic: s.stats.traffic(), Handshakes: int(s.handshakes.Load()),
		Refused: s.refused.Load(), Garbage: s.garbage.Load(),
		Malformed: s.malformed.Load(), Dropped: s.dropped.Load(), Tardy: s.tardy.Load(),
	}
	for _, c := range s.snapshot() {
		st.Conns++
		st.QueueBytes += c.out.bytes()
	}
	return st
}

// End tells all that are connected that this node ends: they send nothing new,
// wait for what they asked for, and close their connections. New connections are
// refused from then on.
func (s *Server) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.ending {
		return
	}
	s.mu.ending = true
	for c := range s.mu.conns {
		c.announce()
	}
}

// Owes returns how many of those that End told are still connected.
func (s *Server) Owes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for c := range s.mu.conns {
		if c.told {
			n++
		}
	}
	return n
}

// Serve accepts connections from l until ctx ends, then closes l and all that
// it accepted, waits for its goroutines, and returns nil. What is queued then is
// lost: a node calls End and waits for Owes first. When l is closed by others it
// returns an error of KindClosed. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	log := newLimitedLog(s.log.With("listener", l.Addr().String()))
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	workers.Go(func() {
		<-ctx.Done()
		_ = l.Close()
	})
	workers.Go(func() { s.sweep(ctx) })
	var pause time.Duration
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				_ = nc.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return kv.Wrap(kv.KindClosed, "accept", err)
		case err != nil:
			// Out of descriptors or memory: others may give some back.
			log.warn("accepting a connection", "error", err)
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			sleep(ctx, pause)
		default:
			pause = 0
			s.accept(ctx, nc, log, &workers)
		}
	}
}

// accept starts a connection's goroutine, if there may be one more handshake.
func (s *Server) accept(ctx context.Context, nc net.Conn, log *limitedLog, workers *sync.WaitGroup) {
	if s.handshakes.Add(1) > int64(s.cfg.MaxHandshakes) {
		s.handshakes.Add(-1)
		s.refused.Add(1)
		_ = nc.Close()
		log.warn("closing a connection: too many handshakes at once", "peer", nc.RemoteAddr().String(), "limit", s.cfg.MaxHandshakes)
		return
	}
	workers.Go(func() {
		stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
		defer stop()
		defer nc.Close()
		c, err := s.receive(nc)
		s.handshakes.Add(-1)
		if c != nil {
			if err == nil {
				err = c.serve()
			}
			s.leave(c)
		}
		if err != nil && err != errSilent && ctx.Err() == nil {
			log.warn("closing a connection", "peer", nc.RemoteAddr().String(), "error", err)
		}
	})
}

// receive shakes hands at the accepting side. A connection that it returns was
// entered, also with an error.
func (s *Server) receive(nc net.Conn) (*accepted, error) {
	if err := nc.SetDeadline(time.Now().Add(s.cfg.HandshakeTimeout)); err != nil {
		return nil, err
	}
	hello, err := s.listen(nc)
	if err != nil {
		return nil, err
	}
	cluster, self := s.hooks.identity()
	ack := wire.HelloAck{Cluster: cluster, Identity: self}
	ack.Version, err = s.hooks.examine(hello, cluster)
	var c *accepted
	if err == nil {
		c, err = s.enter(nc, hello, ack.Version)
	}
	if err != nil {
		s.refused.Add(1)
		ack.Version, ack.Err = 0, err
	}
	_, werr := nc.Write(wire.AppendHelloAck(nil, ack))
	switch {
	case err != nil:
		return nil, kv.Wrap(kv.KindOf(err), "refuse a peer", err)
	case werr != nil:
		return c, werr
	}
	return c, nc.SetDeadline(time.Time{})
}

// listen reads the peer's Hello.
func (s *Server) listen(nc net.Conn) (wire.Hello, error) {
	body, err := readHello(nc)
	if err == errSilent {
		return wire.Hello{}, err
	}
	var hello wire.Hello
	if err == nil {
		hello, err = wire.ParseHello(body)
	}
	if err != nil {
		s.garbage.Add(1)
	}
	return hello, err
}

// enter adds a connection, unless there are too many.
func (s *Server) enter(nc net.Conn, hello wire.Hello, version wire.Version) (*accepted, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.ending {
		return nil, kv.Errorf(kv.KindRefused, "accept", "this node ends")
	}
	if len(s.mu.conns) >= s.cfg.MaxConns {
		return nil, kv.Errorf(kv.KindOverloaded, "accept", "this node serves %d connections, its limit", s.cfg.MaxConns)
	}
	c := newAccepted(s, nc, hello, version)
	s.mu.conns[c] = struct{}{}
	return c, nil
}

func (s *Server) leave(c *accepted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.conns, c)
}

func (s *Server) snapshot() []*accepted {
	s.mu.Lock()
	defer s.mu.Unlock()
	conns := make([]*accepted, 0, len(s.mu.conns))
	for c := range s.mu.conns {
		conns = append(conns, c)
	}
	return conns
}

// sweep closes connections that are half-open: silent though the dialling side
// would ping, or not taking what is written; and those of a version that members
// may not have any more.
func (s *Server) sweep(ctx context.Context) {
	every := s.cfg.DeadAfter / 8
	for sleep(ctx, beat.Pause(time.Now(), every)) {
		for _, c := range s.snapshot() {
			c.look(2 * every)
		}
	}
}

// sleep waits for d and returns true, or returns false as soon as ctx is done.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
