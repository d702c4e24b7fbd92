//go:build !race

package coordinator

import (
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// TestNoAllocation: with all owners up a request allocates nothing. The
// race detector makes pools forget, and so allocate.
func TestNoAllocation(t *testing.T) {
	c, key := newInstant(t, 5, false)
	var to Receiver = told{t}
	for name, do := range map[string]func(){
		"get": func() { c.Get(Request{Key: key, Options: kv.Defaults()}, to) },
		"put": func() { c.Put(Request{Key: key, Options: kv.Defaults()}, to) },
	} {
		if n := testing.AllocsPerRun(200, do); n >= 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
