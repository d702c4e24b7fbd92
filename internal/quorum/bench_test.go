package quorum

import "testing"

// hot returns the tallies of a put and a get, N=3, R=W=2, by name.
func hot(fatal func(args ...any)) map[string]func() {
	return map[string]func(){
		"Put": func() {
			t := NewPut(Need{W: 2, DW: 2, Old: All(3)})
			t.Step(0, Applied, nil)
			t.Step(2, Durable, nil)
			if t.Step(0, Durable, nil) != Met || t.Err() != nil {
				fatal(t.Err())
			}
		},
		"Get": func() {
			t := NewGet(3, 2)
			t.Step(1, Answered, nil)
			if t.Step(0, Answered, nil) != Met || t.Err() != nil {
				fatal(t.Err())
			}
		},
	}
}

func BenchmarkHot(b *testing.B) {
	for name, op := range hot(b.Fatal) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				op()
			}
		})
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	for name, op := range hot(t.Fatal) {
		if n := testing.AllocsPerRun(100, op); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
