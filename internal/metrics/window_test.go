package metrics

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var start = time.Unix(1_000_000, 0)

// event is one request of a model run.
type event struct {
	at     time.Time
	took   time.Duration
	failed bool
}

// TestWindowIsTheLastMinute runs requests and ticks at random times beside a
// list of all that happened, and compares with the exact percentiles of those
// since the tick that was nearest to a minute ago.
func TestWindowIsTheLastMinute(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ok, failed Histogram
		w := NewWindow(start, &ok, &failed)
		now, ticks := start, []time.Time{start}
		var events []event
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			for range rapid.IntRange(0, 3).Draw(t, "requests") {
				e := event{at: now, took: durations().Draw(t, "took"), failed: rapid.Bool().Draw(t, "failed")}
				events = append(events, e)
				if e.failed {
					failed.Record(e.took)
				} else {
					ok.Record(e.took)
				}
			}
			now = now.Add(time.Duration(rapid.IntRange(2600, 9000).Draw(t, "ms")) * time.Millisecond)
			w.Tick(now)
			ticks = append(ticks, now)
		}
		ticks = ticks[max(len(ticks)-snapshots, 0):]
		checkMinute(t, w.LastMinute(now), events, nearest(ticks, now.Add(-Minute)))
	})
}

func nearest(ticks []time.Time, to time.Time) time.Time {
	return slices.MinFunc(ticks, func(a, b time.Time) int {
		return int(a.Sub(to).Abs() - b.Sub(to).Abs())
	})
}

func checkMinute(t *rapid.T, got Latency, events []event, since time.Time) {
	var took []time.Duration
	var failed uint64
	for _, e := range events {
		if !e.at.Before(since) {
			took = append(took, e.took)
			if e.failed {
				failed++
			}
		}
	}
	if got.Count != uint64(len(took)) || got.Failed != failed {
		t.Fatalf("count %d, failed %d; want %d, %d", got.Count, got.Failed, len(took), failed)
	}
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	for permille, ms := range map[int]float64{500: got.P50, 990: got.P99, 999: got.P999, 1000: got.Max} {
		want := min(max(exact(took, permille), 0), MaxLatency)
		low, high := millis(want), millis(want+max(want/subs, 32))
		if ms < low || ms > high {
			t.Fatalf("%d per mille = %v ms, want within %v to %v", permille, ms, low, high)
		}
	}
}

func TestWindowForgetsAfterAMinute(t *testing.T) {
	var ok, failed Histogram
	w := NewWindow(start, &ok, &failed)
	ok.Record(time.Second)
	for _, step := range []struct {
		after time.Duration
		count uint64
	}{{0, 1}, {30 * time.Second, 1}, {55 * time.Second, 1}, {65 * time.Second, 0}, {10 * time.Minute, 0}} {
		now := start.Add(step.after)
		for at := start; at.Before(now); at = at.Add(TickEvery) {
			w.Tick(at)
		}
		if got := w.LastMinute(now).Count; got != step.count {
			t.Errorf("after %v: %d requests, want %d", step.after, got, step.count)
		}
	}
}

func TestFastTicksDoNotShrinkTheWindow(t *testing.T) {
	var ok, failed Histogram
	w := NewWindow(start, &ok, &failed)
	ok.Record(time.Second)
	for i := range 200 {
		w.Tick(start.Add(time.Duration(i) * 100 * time.Millisecond))
	}
	if got := w.LastMinute(start.Add(20 * time.Second)).Count; got != 1 {
		t.Errorf("%d requests, want 1", got)
	}
}
