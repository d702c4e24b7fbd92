//go:build !race

package replica

import (
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

// TestHotPathsDoNotAllocate: reads, and merges that bring nothing. The race
// detector makes pools forget, and so allocate.
func TestHotPathsDoNotAllocate(t *testing.T) {
	s, _ := newStore(t, nil)
	k := kv.AppendKey(nil, "b", []byte("k"))
	o := mustPut(t, s, 0, k, object.Write{Value: make([]byte, 1024)})
	buf := make([]byte, 0, 4096)
	warm := func(op func()) float64 { op(); return testing.AllocsPerRun(200, op) }
	if n := warm(func() { _, _, _ = s.Read(0, k, buf) }); n >= 1 {
		t.Errorf("a read: %v allocations", n)
	}
	if n := warm(func() { _, _ = s.Floor(0) }); n >= 1 {
		t.Errorf("a floor: %v allocations", n)
	}
	if n := warm(func() { _, _, _ = s.Tree(0) }); n >= 1 {
		t.Errorf("a root: %v allocations", n)
	}
	if n := warm(func() { _ = s.Merge(0, k, o, nil, nil) }); n >= 1 {
		t.Errorf("a merge of what is there: %v allocations", n)
	}
}
