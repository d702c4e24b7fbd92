package replica

import (
	"slices"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// TestBegin: an engine that took the place of a lost one counts as begun only
// once the marks of what was lost are on stable storage.
func TestBegin(t *testing.T) {
	for _, c := range []struct {
		name  string
		begin bool
		want  bool
	}{{"the power fails before Begin", false, false}, {"and after it", true, true}} {
		t.Run(c.name, func(t *testing.T) {
			d := newLogDisk()
			s := mustOpen(t, 0, self, d.open(t), &counter{}, rings{testRing(t, 1)}, 1)
			if begun, err := s.Begun(); begun || err != nil {
				t.Fatalf("an empty engine is begun: %v, %v", begun, err)
			}
			if err := s.MarkDamaged(3, kv.Errorf(kv.KindCorrupt, "open", "lost")); err != nil {
				t.Fatal(err)
			}
			if c.begin {
				if err := s.Begin(); err != nil {
					t.Fatal(err)
				}
			}
			s = mustOpen(t, 0, self, d.crashed().open(t), &counter{}, rings{testRing(t, 1)}, 1)
			begun, err := s.Begun()
			if err != nil || begun != c.want {
				t.Errorf("begun: %v, %v", begun, err)
			}
			if marked := slices.Equal(s.Damaged(), []kv.Partition{3}); begun && !marked {
				t.Errorf("begun, and what was lost is not marked: %v", s.Damaged())
			}
		})
	}
}
