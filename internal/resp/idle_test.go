package resp

import (
	"context"
	"io"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/metrics"
)

// pipes is a listener of connections in memory, of which there may be more than
// of files.
type pipes struct {
	conns chan net.Conn
	ended context.Context
	end   context.CancelFunc
}

func newPipes() *pipes {
	ctx, cancel := context.WithCancel(context.Background())
	return &pipes{make(chan net.Conn), ctx, cancel}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.ended.Done():
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.end(); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial() net.Conn {
	near, far := net.Pipe()
	p.conns <- far
	return near
}

// TestIdleConnections: 10,000 of them are served, and cost little once they are
// idle.
func TestIdleConnections(t *testing.T) {
	const many, each = 10_000, 16 << 10
	s, err := New(Default(), Parts{
		Store: newTestStore(), Cluster: testCluster{}, Metrics: metrics.NewNode(time.Now()), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	l := newPipes()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	before := inUse()
	conns := make([]net.Conn, many)
	for i := range conns {
		conns[i] = l.dial()
		exchange(t, conns[i], "SET a b\r\n", "+OK\r\n")
	}
	if got := (inUse() - before) / many; got > each {
		t.Errorf("an idle connection costs %d bytes", got)
	}
	for _, c := range conns {
		exchange(t, c, "GET a\r\n", "$1\r\nb\r\n")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func exchange(t *testing.T, c net.Conn, send, want string) {
	t.Helper()
	if _, err := io.WriteString(c, send); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v", got, err)
	}
}

// inUse is what heap and stacks take, in bytes.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
