package bench

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/transport"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// idle answers every request with the same context and no value, as a node does
// for a deleted key.
type idle struct{ answer wire.Answer }

// Handle implements wire.Handler.
func (n *idle) Handle(rq wire.Request) { rq.Reply.Send(&n.answer) }

// serveIdle serves an idle node over TCP until the test ends.
func serveIdle(tb testing.TB) string {
	l, err := transport.TCP{}.Listen("127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	hooks := transport.Hooks{Identity: func() (kv.ClusterID, wire.Identity) { return 77, wire.Identity{Node: 1, Boot: 1} }}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = transport.NewServer(transport.Default(), hooks, &idle{wire.Answer{Context: make([]byte, 75)}}, nil).Serve(ctx, l)
	}()
	tb.Cleanup(func() {
		cancel()
		<-ended
	})
	return l.Addr().String()
}

func TestRunOverTCP(t *testing.T) {
	cfg := Default()
	cfg.Addrs, cfg.Keys, cfg.Concurrency = []string{serveIdle(t)}, 100, 4
	cfg.WarmUp, cfg.Duration = 0, 100*time.Millisecond
	r, err := Run(t.Context(), cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if r.count(read) == 0 || r.count(update) == 0 || len(r.Errors) > 0 || r.Missing != uint64(r.count(read)) {
		t.Errorf("%+v", r)
	}
	cfg.Timeout = -1
	if _, err := Run(t.Context(), cfg, io.Discard); kv.KindOf(err) != kv.KindInvalid {
		t.Errorf("with a timeout below 0: %v", err)
	}
}

// BenchmarkGenerator times what an operation costs the load generator: alone,
// against a store that answers at once, and with the client and an idle node
// over loopback.
func BenchmarkGenerator(b *testing.B) {
	for _, w := range []Workload{WorkloadA, WorkloadC, WorkloadW} {
		b.Run(fmt.Sprintf("alone/workload=%s", w), func(b *testing.B) {
			generate(b, w, &instant{client.Result{Context: make([]byte, 75), Siblings: make([]client.Sibling, 1)}})
		})
		b.Run(fmt.Sprintf("loopback/workload=%s", w), func(b *testing.B) {
			c, err := client.Dial(b.Context(), []string{serveIdle(b)})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			generate(b, w, c.Bucket("b"))
		})
	}
}

// generate makes b.N operations from 64 callers.
func generate(b *testing.B, w Workload, store Store) {
	cfg := Default()
	cfg.Workload, cfg.Keys, cfg.Preload, cfg.WarmUp, cfg.Duration = w, 100_000, false, 0, time.Hour
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	counted := &limited{Store: store, stop: cancel}
	counted.left.Store(int64(b.N))
	run := newBench(cfg, counted)
	b.ReportAllocs()
	b.ResetTimer()
	began := metrics.CPUTime()
	if _, err := run.measure(ctx, io.Discard); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64((metrics.CPUTime()-began).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}
