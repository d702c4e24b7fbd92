package kv

import "testing"

// TestLevelOrder: levels grow with phases, steps and epochs.
func TestLevelOrder(t *testing.T) {
	last := Level(0)
	for epoch := uint64(1); epoch <= 3; epoch++ {
		settled := LevelOf(epoch)
		if settled <= last || settled.At(0, 0) != settled {
			t.Errorf("%v does not come after %v", settled, last)
		}
		for k := range MaxSteps {
			for phase := 1; phase <= 3; phase++ {
				l := settled.At(k, phase)
				if step, is := l.Step(); l.Epoch() != epoch || step != k || is != phase {
					t.Errorf("%v is of epoch %d, step %d, phase %d", l, l.Epoch(), step, is)
				}
				if l <= last {
					t.Errorf("%v does not come after %v", l, last)
				}
				last = l
			}
		}
	}
}
