package transport

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const testCluster kv.ClusterID = 77

// handlerFunc is a function as a wire.Handler.
type handlerFunc func(wire.Request)

func (f handlerFunc) Handle(rq wire.Request) { f(rq) }

// echo answers each request with its payload.
var echo = handlerFunc(func(rq wire.Request) { rq.Reply.Send(wire.Raw(rq.Payload)) })

// outcome is what a Completion got, payload copied.
type outcome struct {
	tag     uint32
	payload string
	level   kv.Level
	interim bool
	err     error
}

// outcomesOf is a Completion that keeps all that it gets.
type outcomesOf chan outcome

func (o outcomesOf) Complete(tag uint32, resp wire.Response, err error) {
	o <- outcome{tag: tag, payload: string(resp.Payload), level: resp.Level, interim: resp.Interim, err: err}
}

// lines collects the messages that are logged.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, string(p))
	return len(p), nil
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.text...)
}

func identityOf(id kv.NodeID) func() (kv.ClusterID, wire.Identity) {
	return func() (kv.ClusterID, wire.Identity) { return testCluster, wire.Identity{Node: id, Boot: 1} }
}

func helloOf(id kv.NodeID) wire.Hello {
	h := wire.Hello{Versions: wire.Spoken(), Role: wire.RoleClient, Cluster: testCluster}
	if id != 0 {
		h.Role, h.Identity = wire.RoleNode, wire.Identity{Node: id, Boot: 1}
	}
	return h
}

// serve runs s on addr of network until the test ends, or the returned function
// is called, and fails the test if a goroutine stays behind.
func serve(t testing.TB, s *Server, network Network, addr string) (string, func()) {
	t.Helper()
	l, err := network.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// runPool runs p until the test ends, or the returned function is called.
func runPool(t testing.TB, p *Pool) func() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func dial(t testing.TB, cfg Config, network Network, addr string, from kv.NodeID) *Conn {
	t.Helper()
	c, err := Dial(context.Background(), cfg, network, addr, helloOf(from))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// within returns a call whose deadline is d from now.
func within(ty wire.Type, d time.Duration) wire.Call {
	return wire.Call{Type: ty, Deadline: time.Now().Add(d)}
}

// ask makes one call and returns its outcome.
func ask(c interface {
	Call(wire.Call, wire.Appender, wire.Completion, uint32)
}, ty wire.Type, payload string, d time.Duration) outcome {
	done := make(outcomesOf, 1)
	c.Call(within(ty, d), wire.Raw(payload), done, 1)
	return <-done
}

// at is a Pool as seen by a caller of one peer.
type at struct {
	*Pool
	id kv.NodeID
}

func (a at) Call(rq wire.Call, m wire.Appender, done wire.Completion, tag uint32) {
	a.Pool.Call(a.id, rq, m, done, tag)
}

// shakeHands makes a raw connection on which the handshake is done.
func shakeHands(t testing.TB, network Network, addr string, from kv.NodeID) net.Conn {
	t.Helper()
	nc, err := network.Dial(context.Background(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	ack, err := offer(context.Background(), nc, helloOf(from), 5*time.Second)
	if err != nil || ack.Err != nil {
		t.Fatalf("handshake: %v, %v", err, ack.Err)
	}
	return nc
}

// frame returns one encoded frame.
func frame(h wire.Header, payload string) []byte {
	b, at := wire.BeginFrame(nil)
	return wire.EndFrame(append(b, payload...), at, h)
}

func wantError(t testing.TB, what string, err error, kind kv.Kind, applied kv.Applied) {
	t.Helper()
	if err == nil || kv.KindOf(err) != kind || kv.AppliedOf(err) != applied {
		t.Errorf("%s: got %v (%v, applied %v), want %v, applied %v", what, err, kv.KindOf(err), kv.AppliedOf(err), kind, applied)
	}
}
