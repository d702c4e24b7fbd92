package bench

import (
	"math"
	"slices"
	"testing"
	"time"
)

// dues returns the first n moments of a schedule.
func dues(s *schedule, n int) (out []time.Duration) {
	for range n {
		out = append(out, s.next())
	}
	return out
}

func openLoad(rate float64, a Arrivals) Config {
	c := Default()
	c.Rate, c.Arrivals = rate, a
	return c
}

func TestEvenArrivals(t *testing.T) {
	for i, at := range dues(newSchedule(openLoad(2000, Even)), 5000) {
		if want := time.Duration(i) * 500 * time.Microsecond; (at - want).Abs() > time.Microsecond {
			t.Fatalf("operation %d is due after %v, want %v", i, at, want)
		}
	}
}

// Processes take turns: together they are due as one process would be.
func TestArrivalsOfProcesses(t *testing.T) {
	const processes = 3
	var all []time.Duration
	for i := range processes {
		c := openLoad(3000, Even)
		c.Processes, c.Process = processes, i
		all = append(all, dues(newSchedule(c), 1000)...)
	}
	slices.Sort(all)
	for i, want := range dues(newSchedule(openLoad(3000, Even)), len(all)) {
		if (all[i] - want).Abs() > time.Microsecond {
			t.Fatalf("operation %d is due after %v, want %v", i, all[i], want)
		}
	}
}

// Poisson arrivals have the rate that was set, and as many gaps above each length
// as an exponential distribution has.
func TestPoissonArrivals(t *testing.T) {
	const n, rate = 200_000, 1000
	c := openLoad(rate, Poisson)
	at := dues(newSchedule(c), n)
	if off := math.Abs(at[n-1].Seconds()*rate/n - 1); off > 4/math.Sqrt(n) {
		t.Errorf("%d operations are due in %v, want %d s", n, at[n-1], n/rate)
	}
	for _, mean := range []float64{0.1, 0.5, 1, 2, 5} {
		longer := 0
		for i := 1; i < n; i++ {
			if (at[i]-at[i-1]).Seconds()*rate > mean {
				longer++
			}
		}
		wantShare(t, "gaps", longer, n-1, math.Exp(-mean))
	}
	if !slices.Equal(at[:100], dues(newSchedule(c), 100)) {
		t.Error("the same seed gives other arrivals")
	}
	if c.Seed++; slices.Equal(at[:100], dues(newSchedule(c), 100)) {
		t.Error("another seed gives the same arrivals")
	}
	c.Processes, c.Process = 2, 1
	if a, b := dues(newSchedule(c), 10), dues(newSchedule(c), 10); !slices.Equal(a, b) || a[0] == 0 {
		t.Errorf("of a second process: %v, then %v", a, b)
	}
}

func TestRamp(t *testing.T) {
	c := openLoad(1000, Even)
	c.Ramp = 10 * time.Second
	at := dues(newSchedule(c), 10_000)
	for _, want := range []struct {
		n     int
		after time.Duration
	}{{0, 0}, {50, time.Second}, {1250, 5 * time.Second}, {5000, 10 * time.Second}, {6000, 11 * time.Second}, {9000, 14 * time.Second}} {
		if got := at[want.n]; (got - want.after).Abs() > time.Millisecond {
			t.Errorf("operation %d is due after %v, want %v", want.n, got, want.after)
		}
	}
	if !slices.IsSorted(at) {
		t.Error("the operations are out of order")
	}
}

func TestScheduleCountsWhatIsLeft(t *testing.T) {
	for _, a := range []Arrivals{Even, Poisson} {
		c := openLoad(1000, a)
		counted, one := newSchedule(c), newSchedule(c)
		for range 500 {
			counted.next()
		}
		got := counted.before(time.Second, 3*time.Second)
		want := uint64(0)
		for i, at := range dues(one, 10_000) {
			if i >= 500 && at >= time.Second && at < 3*time.Second {
				want++
			}
		}
		if got != want || got < 1500 {
			t.Errorf("%s: %d operations are due, want %d", a, got, want)
		}
		if again := counted.before(0, 3*time.Second); again != 0 {
			t.Errorf("%s: %d are due once more", a, again)
		}
	}
}

// A schedule's far end is far, not in the past.
func TestScheduleDoesNotOverflow(t *testing.T) {
	c := openLoad(1e-9, Even)
	s := newSchedule(c)
	s.next()
	if at := s.next(); at < MaxDuration {
		t.Errorf("one operation in thirty years is due after %v", at)
	}
}
