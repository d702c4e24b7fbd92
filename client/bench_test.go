package client_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/transport"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// fixed answers every get with one value and every put with a context, without
// an allocation, so that what is counted is the client's.
type fixed struct {
	get, put wire.Answer
	ring     []byte
}

// Handle implements wire.Handler.
func (f *fixed) Handle(rq wire.Request) {
	switch rq.Type {
	case wire.TypeRing:
		rq.Reply.Send(wire.Raw(f.ring))
	case wire.TypeGet:
		rq.Reply.Send(&f.get)
	default:
		rq.Reply.Send(&f.put)
	}
}

func newFixed(b *testing.B, size int) *fixed {
	m := newModel()
	o, err := m.put(wire.Put{Get: wire.Get{Key: []byte("\x01bk")}, Value: make([]byte, size)})
	if err != nil {
		b.Fatal(err)
	}
	// All owners of each key are the one node there is.
	ring := wire.RingInfo{Partitioner: "md5", Partitions: 1024, Width: 1, Owners: make([]uint16, 1024), Nodes: []wire.RingNode{{ID: 1, Up: true}}}
	f := fixed{ring: ring.Seal()}
	if f.get, err = m.answer(o, true); err == nil {
		f.put, err = m.answer(o, false)
	}
	if err != nil {
		b.Fatal(err)
	}
	return &f
}

// BenchmarkClient times 1 KiB gets and puts against a node that does nothing, by a
// client that finds the owner of each key.
// cpu-µs/op is the processor time of client and node together; allocs/op is the
// client's.
func BenchmarkClient(b *testing.B) {
	memory := transport.NewMemory(1)
	for _, network := range []struct {
		name  string
		serve transport.Network
		dial  transport.Network
		addr  string
	}{
		{"tcp", transport.TCP{}, transport.TCP{}, "127.0.0.1:0"},
		{"memory", memory.Host("node"), memory.Host("here"), "node"},
	} {
		for _, op := range []string{"get", "put"} {
			for _, callers := range []int{1, 16, 64} {
				b.Run(fmt.Sprintf("%s/%s/callers=%d", network.name, op, callers), func(b *testing.B) {
					addr, stop, err := serveOn(network.serve, network.addr, newFixed(b, 1024))
					if err != nil {
						b.Fatal(err)
					}
					defer stop()
					dial := client.Dialer(func(ctx context.Context, addr string) (net.Conn, error) { return network.dial.Dial(ctx, addr) })
					c, err := client.Dial(context.Background(), []string{addr}, dial)
					if err != nil {
						b.Fatal(err)
					}
					defer c.Close()
					run(b, c.Bucket("b"), op, callers)
				})
			}
		}
	}
}

func run(b *testing.B, bucket *client.Bucket, op string, callers int) {
	value, seen := make([]byte, 1024), make(client.Context, 75)
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	began := metrics.CPUTime()
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			ctx := context.Background()
			for left.Add(-1) >= 0 {
				var err error
				if op == "get" {
					_, err = bucket.Get(ctx, "k")
				} else {
					_, err = bucket.Put(ctx, "k", seen, value)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.ReportMetric(float64((metrics.CPUTime()-began).Microseconds())/float64(b.N), "cpu-µs/op")
}
