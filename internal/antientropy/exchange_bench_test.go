package antientropy

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// BenchmarkExchange has two nodes that share 1,024 partitions with a million
// keys find and settle their differences. Bytes are those of whole frames, both
// ways; the time is that of both nodes together, without a network's.
func BenchmarkExchange(b *testing.B) {
	const keys = 1_000_000
	cfg := quiet()
	cfg.Rate = 1 << 40
	c := newClusterOn(b, 2, testRing(b, 1, 1024, 1, 2), cfg, func() *disk { return &disk{bare: true} })
	for i := range keys {
		k := fmt.Sprintf("key%d", i)
		c.nodes[1].merge(k, c.nodes[0].put(k, "a small value", object.Object{}))
	}
	c.compare()
	for _, n := range []int{0, 1, 1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var trips, bytes int
			for range b.N {
				b.StopTimer()
				for i := range n {
					x, k := c.nodes[i%2], fmt.Sprintf("key%d", i*(keys/n))
					x.put(k, "another value", x.get(k))
				}
				c.messages, c.bytes = 0, 0
				b.StartTimer()
				c.compare()
				b.StopTimer()
				trips += c.messages / 2
				bytes += c.bytes + c.messages*wire.Overhead
				c.equal()
			}
			b.ReportMetric(float64(bytes)/float64(b.N), "wire-B/op")
			b.ReportMetric(float64(trips)/float64(b.N), "trips/op")
			if n == 0 && (trips != b.N || bytes >= 200*b.N) {
				b.Errorf("equal copies cost %d round trips and %d bytes", trips, bytes)
			}
		})
	}
}

// compare has the first node compare its copies with the second.
func (c *cluster) compare() {
	c.nodes[0].keeper.PeerUp(2)
	c.pass(time.Millisecond)
	c.run()
	if s := c.nodes[0].keeper.peers[kv.NodeID(2)].status; s.Complete != s.Partitions || s.Partitions == 0 {
		c.t.Fatalf("%d of %d partitions were compared, %v", s.Complete, s.Partitions, s.Err)
	}
}
