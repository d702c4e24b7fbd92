package transport

import (
	"testing"
	"time"
)

func TestSilence(t *testing.T) {
	const ms = time.Millisecond
	steps := []struct {
		now   time.Duration
		count uint64
		want  time.Duration
	}{
		{10 * ms, 0, 10 * ms},
		{20 * ms, 0, 20 * ms},
		{30 * ms, 1, 0},
		{40 * ms, 1, 10 * ms},
		{9000 * ms, 1, 60 * ms}, // this process was stopped: that counts for 50 ms
		{9010 * ms, 1, 70 * ms},
		{9020 * ms, 5, 0},
	}
	s := newSilence(0, 0)
	for i, step := range steps {
		if got := s.step(step.now, step.count, 50*ms); got != step.want {
			t.Errorf("step %d: silent for %v, want %v", i, got, step.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	b := newBackoff(50*time.Millisecond, 400*time.Millisecond, 1, 2)
	for range 2 {
		for i, most := range []time.Duration{50, 100, 200, 400, 400, 400} {
			most *= time.Millisecond
			if got := b.pause(); got < most/2 || got > most {
				t.Errorf("pause %d is %v, want %v to %v", i, got, most/2, most)
			}
		}
		b.reset()
	}
	x, y := newBackoff(1000, 1000, 1, 2), newBackoff(1000, 1000, 1, 3)
	same := 0
	for range 100 {
		if x.pause() == y.pause() {
			same++
		}
	}
	if same > 10 {
		t.Errorf("two peers' pauses are the same %d times in 100", same)
	}
}
