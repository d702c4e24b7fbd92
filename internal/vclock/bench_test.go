package vclock

import (
	"fmt"
	"testing"
)

// wide returns a clock of n entries whose last counter is counter.
func wide(n int, counter uint64) Clock {
	var c Clock
	for i := range n {
		c = AppendEntry(c, entryOf(Dot{Actor{1, uint64(i)}, counter}))
	}
	return c
}

// hot are what every request does to clocks of n entries.
func hot(n int) map[string]func() {
	a, b := wide(n, 1), wide(n, 2)
	last := Dot{Actor{1, uint64(n - 1)}, 1}
	room := make([]byte, 0, 2*len(a))
	return map[string]func(){
		"CompareEqual":  func() { a.Compare(a) },
		"CompareBefore": func() { a.Compare(b) },
		"Covers":        func() { a.Covers(last) },
		"AppendMerge":   func() { AppendMerge(room, a, b) },
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	for name, op := range hot(10) {
		if n := testing.AllocsPerRun(100, op); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkHot(b *testing.B) {
	for _, n := range []int{3, 10, 256} {
		for name, op := range hot(n) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					op()
				}
			})
		}
	}
}
