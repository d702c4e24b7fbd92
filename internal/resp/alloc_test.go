//go:build !race

package resp

import "testing"

// TestAllocations: once a connection is warm, a command allocates nothing. The
// race detector makes pools forget, and so allocate.
func TestAllocations(t *testing.T) {
	for _, name := range []string{"get", "set"} {
		const depth = 32
		if n := testing.AllocsPerRun(200, pipeline(t, name, depth)); n > depth/8 {
			t.Errorf("%d commands %s allocate %v times", depth, name, n)
		}
	}
}
