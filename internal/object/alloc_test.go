//go:build !race

package object

import "testing"

// The race detector makes pools forget, and so allocate.
func TestHotPathsDoNotAllocate(t *testing.T) {
	for name, op := range hot() {
		if n := testing.AllocsPerRun(100, op); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
