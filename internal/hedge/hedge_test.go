package hedge

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestEstimateFollowsTheSamples(t *testing.T) {
	var l Estimate
	r := rand.New(rand.NewPCG(1, 1))
	feed := func(n int, scale float64) (usual, tail, p99 time.Duration) {
		above := 0
		for i := range n {
			d := time.Duration(scale * (1 + r.ExpFloat64()) * float64(time.Millisecond))
			l.Add(d)
			if i >= n/2 && d > l.Tail() {
				above++
			}
		}
		if share := float64(above) / float64(n/2); share < 0.002 || share > 0.03 {
			t.Errorf("scale %v: %.2f%% of the samples are above the estimate, want about 1%%", scale, 100*share)
		}
		return l.Usual(), l.Tail(), time.Duration(scale * 5.6 * float64(time.Millisecond))
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

// TestEstimateForgetsAStall: a node that was held up seems near again after a few
// answers, and one that has moved away is found out.
func TestEstimateForgetsAStall(t *testing.T) {
	var l Estimate
	l.Add(500 * time.Millisecond)
	for range 10 {
		l.Add(time.Millisecond)
	}
	if d := l.Usual(); d > 2*time.Millisecond {
		t.Errorf("after 10 answers in 1ms it still is %v", d)
	}
	for range 20 {
		l.Add(50 * time.Millisecond)
	}
	if d := l.Usual(); d < 45*time.Millisecond {
		t.Errorf("after 20 answers in 50ms it is %v", d)
	}
}

// TestOtherSamplesLeaveTheTailAlone: what is of another kind tells how far a node
// is, and not when a hedge is due.
func TestOtherSamplesLeaveTheTailAlone(t *testing.T) {
	var l Estimate
	for range 100 {
		l.AddUsual(50 * time.Millisecond)
	}
	if l.Tail() != 0 {
		t.Errorf("a tail of %v without a sample", l.Tail())
	}
	l.Reset()
	for range 2000 {
		l.Add(time.Millisecond)
	}
	before := l.Tail()
	for range 100 {
		l.AddUsual(50 * time.Millisecond)
	}
	if l.Tail() != before || l.Usual() < 45*time.Millisecond {
		t.Errorf("tail %v, was %v; usual %v", l.Tail(), before, l.Usual())
	}
	if l.Reset(); l.Usual() != 0 || l.Tail() != 0 {
		t.Error("something is left after Reset")
	}
}

// TestBudget: 5 % of the requests at any moment, none saved up beyond Burst.
func TestBudget(t *testing.T) {
	var b Budget
	taken := 0
	for n := range uint64(10_000) {
		for b.Take(n) {
			taken++
		}
		if uint64(taken) > n/Every {
			t.Fatalf("%d hedges of %d requests", taken, n)
		}
	}
	if want := 9_999 / Every; taken != want {
		t.Errorf("%d hedges of 9,999 requests, want %d", taken, want)
	}
	burst := 0
	for b.Take(1_000_000) {
		burst++
	}
	if burst != Burst {
		t.Errorf("%d hedges at once, want %d", burst, Burst)
	}
	if b.Take(999_000) || b.Take(1_000_000+Every-1) || !b.Take(1_000_000+Every) {
		t.Error("want one more hedge after Every requests, and none before")
	}
	b.Spend(1_000_000 + Every)
	if b.Take(1_000_000+3*Every-1) || !b.Take(1_000_000+3*Every) {
		t.Error("what was spent beforehand is not taken into account")
	}
}
