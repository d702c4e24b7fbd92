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

// TestLastLevel: the last step of the last epoch has a level of its own.
func TestLastLevel(t *testing.T) {
	last := LevelOf(MaxEpoch).At(MaxSteps-1, 3)
	if k, phase := last.Step(); last.Epoch() != MaxEpoch || k != MaxSteps-1 || phase != 3 {
		t.Errorf("%v is of epoch %d, step %d, phase %d", last, last.Epoch(), k, phase)
	}
	if got, want := last.String(), "281474976710655.31.3"; got != want {
		t.Errorf("it is written %s, want %s", got, want)
	}
	if LevelOf(MaxEpoch+1) > last {
		t.Error("there is an epoch after the last")
	}
}
