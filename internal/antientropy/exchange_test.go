package antientropy

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/object"
)

// quiet is a configuration without sweeps.
func quiet() Config {
	cfg := testConfig()
	cfg.ReapAt = 1 << 40
	return cfg
}

// TestExchange: copies that differ in every way become equal, and are silent
// then.
func TestExchange(t *testing.T) {
	c := newCluster(t, 3, testRing(t, 1, 16, 1, 2, 3), quiet())
	a, b := c.nodes[0], c.nodes[1]
	for i := range 300 {
		k := fmt.Sprintf("k%d", i)
		switch i % 6 {
		case 0: // only here
			a.put(k, "a", object.Object{})
		case 1: // only there
			b.put(k, "b", object.Object{})
		case 2: // concurrent
			a.put(k, "a", object.Object{})
			b.put(k, "b", object.Object{})
		case 3: // newer here
			o := b.put(k, "old", object.Object{})
			a.merge(k, o)
			a.put(k, "a", o)
		case 4: // deleted there
			o := a.put(k, "old", object.Object{})
			b.merge(k, o)
			b.put(k, "", o)
		case 5: // equal
			o := a.put(k, "same", object.Object{})
			b.merge(k, o)
			c.nodes[2].merge(k, o)
		}
	}
	c.exchange()
	c.equal()
	for i := range 300 {
		c.want(fmt.Sprintf("k%d", i), []string{"a", "b", "a,b", "a", "", "same"}[i%6], 1, 2, 3)
	}
	messages, bytes := c.messages, c.bytes
	c.live(11 * time.Second)
	if n, size := c.messages-messages, c.bytes-bytes; n != 6 || size > 6*64 {
		t.Errorf("equal copies cost %d messages, %d bytes", n, size)
	}
}
