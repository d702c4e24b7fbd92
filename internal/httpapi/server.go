package httpapi

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Server is the HTTP door. It is safe for concurrent use.
type Server struct {
	cfg     Config
	parts   Parts
	pages   map[page]methods
	slots   chan struct{}
	running *running
	peers   peers
	// origins keeps web pages from writing through a user's browser.
	origins *http.CrossOriginProtection
}

// New returns a Server over parts, which it does not close. The error is of
// KindInvalid and names the field of cfg that is out of range.
func New(cfg Config, parts Parts) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:     cfg,
		parts:   parts,
		slots:   make(chan struct{}, cfg.MaxRequests),
		running: newRunning(),
		peers:   newPeers(cfg.PeerTimeout),
		origins: http.NewCrossOriginProtection(),
	}
	s.pages = s.routes()
	return s, nil
}

// Serve answers what comes in at l until ctx ends, and closes l. Then it takes
// nothing new, lets the requests under way finish for up to DrainTimeout,
// cancels those that are left, unanswered, and returns nil when the last one is
// over. It returns an error when l fails. It is called once.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	h := s.httpServer(requests)
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(&listener{Listener: l, max: int64(s.cfg.MaxConnections)}) }()
	var failed error
	select {
	case err := <-ended:
		failed = kv.Wrap(kv.KindInternal, "accept http connections", err)
	case <-ctx.Done():
		drain, stop := context.WithTimeout(requests, s.cfg.DrainTimeout)
		defer stop()
		if err := h.Shutdown(drain); err != nil {
			s.parts.Log.Warn("cancelled http requests that did not end in time", "waited", s.cfg.DrainTimeout)
		}
		<-ended
	}
	// In this order: an answer to what is cancelled would come through or not, by luck.
	_ = h.Close()
	cancel()
	s.running.end()
	<-s.running.idle
	s.peers.client.CloseIdleConnections()
	return failed
}

// httpServer returns the server of the standard library with our bounds;
// requests is the context of all requests.
func (s *Server) httpServer(requests context.Context) *http.Server {
	return &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.running.enter() {
				defer s.running.leave()
				s.ServeHTTP(w, r)
			}
		}),
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            s.cfg.HeaderTimeout,
		WriteTimeout:                 s.cfg.WriteTimeout,
		IdleTimeout:                  s.cfg.IdleTimeout,
		MaxHeaderBytes:               s.cfg.MaxHeader,
		ErrorLog:                     slog.NewLogLogger(s.parts.Log.Handler(), slog.LevelWarn),
		BaseContext:                  func(net.Listener) context.Context { return requests },
		ConnContext:                  withConn,
		ConnState:                    watchConn(s.parts.Log),
	}
}
