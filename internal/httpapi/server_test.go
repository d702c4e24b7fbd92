package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// pipes is a listener whose connections are pipes within the process.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial() (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// lockedBuffer is a log that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// served is a door that Serve runs over pipes, in a bubble of virtual time.
type served struct {
	*door
	pipes *pipes
	log   *lockedBuffer
	// stop ends Serve's context; ended gets what it returned.
	stop  context.CancelFunc
	ended chan error
}

// bubble runs test with a served door, in virtual time, and ends it.
func bubble(t *testing.T, cfg Config, test func(t *testing.T, s *served)) {
	synctest.Test(t, func(t *testing.T) {
		log := &lockedBuffer{}
		d := newServer(t, cfg, log)
		s := &served{door: d, pipes: newPipes(), log: log, ended: make(chan error, 1)}
		d.url = "http://pipe"
		d.client.Transport = &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return s.pipes.dial() },
		}
		var ctx context.Context
		ctx, s.stop = context.WithCancel(t.Context())
		go func() { s.ended <- d.server.Serve(ctx, s.pipes) }()
		test(t, s)
		d.client.CloseIdleConnections()
		s.stop()
		if err := <-s.ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// dial opens a connection and sends text.
func (s *served) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	c, err := s.pipes.dial()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// rest reads all that comes until the connection ends.
func rest(c net.Conn) string {
	b, _ := io.ReadAll(c)
	_ = c.Close()
	return string(b)
}

func TestServe(t *testing.T) {
	bubble(t, Default(), func(t *testing.T, s *served) {
		s.want(s.do("PUT", pathA, "hello"), 204)
		if got := s.want(s.do("GET", pathA, ""), 200); string(got.body) != "hello" {
			t.Errorf("got %q", got.body)
		}
	})
}

// hold makes the next store call wait until release is called or its context
// ends; held tells that it waits.
func (s *served) hold() (held chan struct{}, release func()) {
	held, free := make(chan struct{}), make(chan struct{})
	s.hook = func(ctx context.Context) {
		close(held)
		select {
		case <-free:
		case <-ctx.Done():
		}
	}
	return held, func() { close(free) }
}

func TestServeLetsRequestsFinish(t *testing.T) {
	bubble(t, Default(), func(t *testing.T, s *served) {
		held, release := s.hold()
		got := make(chan reply, 1)
		go func() { got <- s.do("PUT", pathA, "v") }()
		<-held
		s.stop()
		synctest.Wait()
		if _, err := s.pipes.dial(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a draining server accepts: %v", err)
		}
		select {
		case err := <-s.ended:
			t.Fatalf("Serve returned before its request: %v", err)
		default:
		}
		release()
		if r := <-got; r.status != 204 {
			t.Errorf("the request under way got %d", r.status)
		}
	})
}

func TestServeCancelsWhatDoesNotFinish(t *testing.T) {
	cfg := Default()
	bubble(t, cfg, func(t *testing.T, s *served) {
		held, _ := s.hold()
		got := make(chan error, 1)
		go func() {
			resp, err := s.client.Post(s.url+pathA, "text/plain", strings.NewReader("v"))
			if err == nil {
				_ = resp.Body.Close()
			}
			got <- err
		}()
		<-held
		begun := time.Now()
		s.stop()
		err := <-s.ended
		s.ended <- err
		if waited := time.Since(begun); waited != cfg.DrainTimeout {
			t.Errorf("Serve returned after %v, want %v", waited, cfg.DrainTimeout)
		}
		if err := <-got; err == nil {
			t.Error("the cancelled request succeeded")
		}
		if !strings.Contains(s.log.b.String(), "did not end in time") {
			t.Errorf("the log is silent: %s", s.log.b.String())
		}
	})
}

// deaf is a listener that fails.
type deaf struct{ *pipes }

func (deaf) Accept() (net.Conn, error) { return nil, errors.New("the socket is gone") }

func TestServeReturnsTheListenersError(t *testing.T) {
	d := newServer(t, Default(), io.Discard)
	err := d.server.Serve(t.Context(), deaf{newPipes()})
	if err == nil || !strings.Contains(err.Error(), "the socket is gone") {
		t.Errorf("Serve: %v", err)
	}
}

func TestConnectionsAtOnce(t *testing.T) {
	cfg := Default()
	cfg.MaxConnections = 2
	bubble(t, cfg, func(t *testing.T, s *served) {
		one, two := s.dial(t, ""), s.dial(t, "")
		three, err := s.pipes.dial()
		if err != nil {
			t.Fatal(err)
		}
		resp := rest(three)
		if !strings.HasPrefix(resp, "HTTP/1.1 503 ") || !strings.Contains(resp, `{"error":{"kind":"overloaded",`) {
			t.Errorf("the third connection got %q", resp)
		}
		_ = one.Close()
		synctest.Wait()
		four := s.dial(t, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if got := rest(four); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("after one had left: %q", got)
		}
		_ = two.Close()
	})
}

func TestGarbageIsClosedWithOneLine(t *testing.T) {
	for name, garbage := range map[string]string{
		"binary":     "\x00\x01\x02\xff\xfe garbage\r\n\r\n",
		"redis":      "*1\r\n$4\r\nPING\r\n",
		"no version": "GET /\r\n\r\n",
		"no host":    "GET / HTTP/1.1\r\n\r\n",
		"bad escape": "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
		"cut":        "GET / HTTP/1.1\r\nHost",
		"huge head":  "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 80<<10) + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Default(), func(t *testing.T, s *served) {
				s.want(s.do("PUT", pathA, "v"), 204)
				c, err := s.pipes.dial()
				if err != nil {
					t.Fatal(err)
				}
				go func() { _, _ = io.WriteString(c, garbage) }()
				if got := rest(c); strings.HasPrefix(got, "HTTP/1.1 2") {
					t.Errorf("got %q", got)
				}
				synctest.Wait()
				if n := strings.Count(s.log.b.String(), "\n"); n != 1 {
					t.Errorf("%d log lines, want 1:\n%s", n, s.log.b.String())
				}
				s.want(s.do("GET", pathA, ""), 200)
			})
		})
	}
}

func TestGoodConnectionsAreNotLogged(t *testing.T) {
	bubble(t, Default(), func(t *testing.T, s *served) {
		for range 3 {
			s.want(s.do("GET", "/healthz", ""), 200)
			s.want(s.do("GET", "/nowhere", ""), 404)
		}
		s.client.CloseIdleConnections()
		_ = s.dial(t, "").Close()
		synctest.Wait()
		if s.log.b.Len() > 0 {
			t.Errorf("the log has %s", s.log.b.String())
		}
	})
}

// TestSlowBody sends half a body and stops: the slot is free again once
// BodyTimeout has passed, and nothing was applied.
func TestSlowBody(t *testing.T) {
	cfg := Default()
	cfg.MaxRequests = 1
	for _, c := range []struct {
		name, head string
		status     string
	}{
		{"put", "PUT " + pathA + " HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", "HTTP/1.1 504 "},
		{"chunked put", "PUT " + pathA + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf", "HTTP/1.1 504 "},
		{"join", "POST /cluster/join HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", "HTTP/1.1 504 "},
		{"get with a body", "GET " + pathA + " HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf", "HTTP/1.1 404 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, cfg, func(t *testing.T, s *served) {
				begun := time.Now()
				conn := s.dial(t, c.head)
				got := rest(conn)
				if !strings.HasPrefix(got, c.status) {
					t.Errorf("got %q", got)
				}
				if waited := time.Since(begun); waited < cfg.BodyTimeout || waited > cfg.BodyTimeout+time.Second {
					t.Errorf("it took %v of virtual time, want %v", waited, cfg.BodyTimeout)
				}
				s.want(s.do("PUT", pathA, "v"), 204)
				if s.puts != 1 {
					t.Errorf("%d puts were applied, want 1", s.puts)
				}
			})
		})
	}
}

// TestASlowStoreOutlivesTheBodyTimeout makes sure that the deadline for the
// body does not end a request whose body has come.
func TestASlowStoreOutlivesTheBodyTimeout(t *testing.T) {
	cfg := Default()
	cfg.BodyTimeout = time.Second
	bubble(t, cfg, func(t *testing.T, s *served) {
		s.hook = func(ctx context.Context) {
			select {
			case <-time.After(20 * time.Second):
			case <-ctx.Done():
			}
		}
		s.want(s.do("PUT", pathA, "v"), 204)
	})
}

func TestCutBody(t *testing.T) {
	bubble(t, Default(), func(t *testing.T, s *served) {
		c := s.dial(t, "PUT "+pathA+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
		_ = c.Close()
		synctest.Wait()
		if s.puts > 0 {
			t.Error("half a value was stored")
		}
	})
}

func TestSlowHeadAndIdleConnections(t *testing.T) {
	cfg := Default()
	bubble(t, cfg, func(t *testing.T, s *served) {
		begun := time.Now()
		rest(s.dial(t, "GET / HT"))
		if waited := time.Since(begun); waited != cfg.HeaderTimeout {
			t.Errorf("half a head was waited for %v, want %v", waited, cfg.HeaderTimeout)
		}
		begun = time.Now()
		rest(s.dial(t, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"))
		if waited := time.Since(begun); waited != cfg.IdleTimeout {
			t.Errorf("an idle connection was kept for %v, want %v", waited, cfg.IdleTimeout)
		}
	})
}

func TestClientThatDoesNotRead(t *testing.T) {
	cfg := Default()
	bubble(t, cfg, func(t *testing.T, s *served) {
		s.want(s.do("PUT", pathA, strings.Repeat("v", kv.MaxValue)), 204)
		begun := time.Now()
		c := s.dial(t, "GET "+pathA+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		synctest.Wait()
		for len(s.server.slots) > 0 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if waited := time.Since(begun); waited < cfg.WriteTimeout || waited > cfg.WriteTimeout+2*time.Second {
			t.Errorf("it held its slot for %v, want %v", waited, cfg.WriteTimeout)
		}
		_ = c.Close()
	})
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for name, change := range map[string]func(*Config){
		"MaxConnections": func(c *Config) { c.MaxConnections = 0 },
		"MaxRequests":    func(c *Config) { c.MaxRequests = -1 },
		"MaxHeader":      func(c *Config) { c.MaxHeader = 4*kv.MaxKey - 1 },
		"HeaderTimeout":  func(c *Config) { c.HeaderTimeout = 0 },
		"BodyTimeout":    func(c *Config) { c.BodyTimeout = -1 },
		"WriteTimeout":   func(c *Config) { c.WriteTimeout = 0 },
		"IdleTimeout":    func(c *Config) { c.IdleTimeout = 0 },
		"DrainTimeout":   func(c *Config) { c.DrainTimeout = 0 },
		"PeerTimeout":    func(c *Config) { c.PeerTimeout = 0 },
	} {
		cfg := Default()
		change(&cfg)
		err := cfg.Validate()
		if kv.KindOf(err) != kv.KindInvalid || err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := New(cfg, Parts{}); err == nil {
			t.Errorf("%s: New takes it", name)
		}
	}
}
