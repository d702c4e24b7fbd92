package transport

import (
	"math/rand/v2"
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

func TestLatencyFollowsTheSamples(t *testing.T) {
	var l latency
	r := rand.New(rand.NewPCG(1, 1))
	feed := func(n int, scale float64) (usual, tail, p99 time.Duration) {
		above := 0
		for i := range n {
			d := time.Duration(scale * (1 + r.ExpFloat64()) * float64(time.Millisecond))
			l.add(d)
			if i >= n/2 && int64(d) > l.tail.Load() {
				above++
			}
		}
		if share := float64(above) / float64(n/2); share < 0.002 || share > 0.03 {
			t.Errorf("scale %v: %.2f%% of the samples are above the estimate, want about 1%%", scale, 100*share)
		}
		return time.Duration(l.usual.Load()), time.Duration(l.tail.Load()), time.Duration(scale * 5.6 * float64(time.Millisecond))
	}
	for _, scale := range []float64{1, 10, 0.5} {
		usual, tail, p99 := feed(20000, scale)
		if least := time.Duration(scale * float64(time.Millisecond)); usual < least || usual > 2*least {
			t.Errorf("scale %v: usual %v, want between the least, %v, and the mean, twice that", scale, usual, least)
		}
		if tail < p99/2 || tail > 2*p99 {
			t.Errorf("scale %v: tail %v, want about %v", scale, tail, p99)
		}
	}
}

// TestLatencyForgetsAStall: a peer that was held up seems near again after a few
// round trips, and one that has moved away is found out.
func TestLatencyForgetsAStall(t *testing.T) {
	var l latency
	l.add(500 * time.Millisecond)
	for range 10 {
		l.add(time.Millisecond)
	}
	if d := time.Duration(l.usual.Load()); d > 2*time.Millisecond {
		t.Errorf("after 10 round trips of 1ms it still is %v", d)
	}
	for range 20 {
		l.add(50 * time.Millisecond)
	}
	if d := time.Duration(l.usual.Load()); d < 45*time.Millisecond {
		t.Errorf("after 20 round trips of 50ms it is %v", d)
	}
}
