package transport

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// fixed is a payload that costs no allocation to send: a pointer fits an
// interface.
type fixed struct{ b []byte }

func (f *fixed) Size() int                { return len(f.b) }
func (f *fixed) AppendTo(b []byte) []byte { return append(b, f.b...) }

// small answers every request with the same few bytes.
type small struct{ answer fixed }

func (s *small) Handle(rq wire.Request) { rq.Reply.Send(&s.answer) }

// waiter is a caller that waits for one call at a time.
type waiter struct {
	woken chan struct{}
	err   error
}

func (w *waiter) Complete(_ uint32, _ wire.Response, err error) {
	w.err = err
	w.woken <- struct{}{}
}

// loopback serves h over TCP and returns a connection to it.
func loopback(tb testing.TB, h wire.Handler, from kv.NodeID) *Conn {
	s := NewServer(Default(), Hooks{Identity: identityOf(2)}, h, nil)
	addr, _ := serve(tb, s, TCP{}, "127.0.0.1:0")
	return dial(tb, Default(), TCP{}, addr, from)
}

// call makes one call and waits for its outcome.
func (w *waiter) call(c *Conn, m wire.Appender) error {
	c.Call(within(wire.TypePut, 10*time.Second), m, w, 0)
	<-w.woken
	return w.err
}

// BenchmarkCall is a request of 1 KiB and an answer of 16 bytes. cpu-µs/op is
// the processor time of both sides.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			benchmarkCall(b, loopback(b, &small{fixed{make([]byte, 16)}}, 1), callers, 1024)
		})
	}
}

// BenchmarkLargeCall is a request of 1 MiB, in chunks.
func BenchmarkLargeCall(b *testing.B) {
	b.SetBytes(1 << 20)
	benchmarkCall(b, loopback(b, &small{fixed{make([]byte, 16)}}, 1), 4, 1<<20)
}

func benchmarkCall(b *testing.B, c *Conn, callers, size int) {
	m := &fixed{make([]byte, size)}
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	began := metrics.CPUTime()
	for range callers {
		wg.Go(func() {
			w := &waiter{woken: make(chan struct{}, 1)}
			for left.Add(-1) >= 0 {
				if err := w.call(c, m); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	used := metrics.CPUTime() - began
	b.ReportMetric(float64(used.Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
	st := c.Traffic()
	b.ReportMetric(float64(st.FramesOut)/float64(st.Flushes), "frames/write")
}

// A call of 1 KiB and its answer allocate nothing, at either side, whether a
// client makes it or a node.
func TestCallDoesNotAllocate(t *testing.T) {
	for _, from := range []kv.NodeID{0, 1} {
		c := loopback(t, &small{fixed{make([]byte, 16)}}, from)
		m, w := &fixed{make([]byte, 1024)}, &waiter{woken: make(chan struct{}, 1)}
		var failed error
		n := testing.AllocsPerRun(2000, func() {
			if err := w.call(c, m); err != nil {
				failed = err
			}
		})
		if n != 0 || failed != nil {
			t.Errorf("from %d: %v allocations a call, error %v", from, n, failed)
		}
	}
}
