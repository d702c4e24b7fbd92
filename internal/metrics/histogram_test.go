package metrics

import (
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// durations draws times over all magnitudes, beyond both ends of a histogram.
func durations() *rapid.Generator[time.Duration] {
	return rapid.Custom(func(t *rapid.T) time.Duration {
		top := rapid.IntRange(1, 40).Draw(t, "bits")
		return time.Duration(rapid.Int64Range(-5, 1<<top).Draw(t, "ns"))
	})
}

// exact returns the percentile by its definition.
func exact(sorted []time.Duration, permille int) time.Duration {
	rank := (len(sorted)*permille + 999) / 1000
	return sorted[max(rank, 1)-1]
}

// checkNear fails unless got is want, at most a 32nd or 32 ns too long, cut at
// MaxLatency.
func checkNear(t interface{ Fatalf(string, ...any) }, what string, got, want time.Duration) {
	want = min(max(want, 0), MaxLatency)
	if slack := max(want/subs, 32); got < want || got > want+slack {
		t.Fatalf("%s = %v, exactly %v", what, got, want)
	}
}

func TestPercentilesAreNearTheExactOnes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ds := rapid.SliceOfN(durations(), 1, 300).Draw(t, "durations")
		var h Histogram
		var sum time.Duration
		for _, d := range ds {
			h.Record(d)
			sum += max(d, 0)
		}
		var s Snapshot
		s.Add(&h)
		if s.Count() != uint64(len(ds)) || s.Sum != sum {
			t.Fatalf("count %d, sum %v; want %d, %v", s.Count(), s.Sum, len(ds), sum)
		}
		slices.Sort(ds)
		for _, permille := range []int{1, 500, 990, 999, 1000} {
			checkNear(t, "percentile", s.Percentile(uint64(permille)), exact(ds, permille))
		}
	})
}

func TestBucketsHoldTheirEnds(t *testing.T) {
	var last time.Duration
	for i := range overflow {
		end := upperEnd(i)
		if end <= last {
			t.Fatalf("bucket %d ends at %d ns, the one before at %d", i, end, last)
		}
		if got := bucketOf(end); got != i {
			t.Fatalf("%d ns, the end of bucket %d, is in %d", end, i, got)
		}
		if got := bucketOf(end + 1); got != i+1 {
			t.Fatalf("%d ns, past the end of bucket %d, is in %d", end+1, i, got)
		}
		last = end
	}
	if last != MaxLatency {
		t.Errorf("the last bucket ends at %v, want %v", last, MaxLatency)
	}
	for _, d := range []time.Duration{math.MinInt64, -1, 0, math.MaxInt64} {
		if i := bucketOf(d); i != 0 && i != overflow {
			t.Errorf("%d ns is in bucket %d", d, i)
		}
	}
}

func TestBelowIsExactAtPowersOfTwo(t *testing.T) {
	for k := firstBound; k <= lastBound; k++ {
		var h Histogram
		bound := time.Microsecond << k
		h.Record(bound)
		h.Record(bound + 1)
		var s Snapshot
		s.Add(&h)
		if got := s.below(k); got != 1 {
			t.Errorf("at most %v: %d, want 1", bound, got)
		}
	}
}

func TestNothingHasNoPercentile(t *testing.T) {
	var s Snapshot
	if got := s.Percentile(999); got != 0 {
		t.Errorf("percentile of nothing = %v", got)
	}
}

func TestRecordConcurrently(t *testing.T) {
	const workers, each = 8, 2000
	var h Histogram
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				h.Record(time.Duration(w*each + i))
			}
		})
	}
	wg.Wait()
	var s Snapshot
	s.Add(&h)
	const n = workers * each
	if s.Count() != n || s.Sum != n*(n-1)/2 {
		t.Errorf("count %d, sum %d; want %d, %d", s.Count(), s.Sum, n, n*(n-1)/2)
	}
}

func TestRecordDoesNotAllocate(t *testing.T) {
	n := NewNode(time.Unix(0, 0))
	if a := testing.AllocsPerRun(100, func() { n.Done(OpGet, time.Millisecond, nil) }); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	d := time.Duration(1)
	for b.Loop() {
		h.Record(d)
		d = (d*5 + 1) & (1<<30 - 1)
	}
}

func BenchmarkRecordParallel(b *testing.B) {
	var h Histogram
	b.RunParallel(func(pb *testing.PB) {
		d := time.Duration(1)
		for pb.Next() {
			h.Record(d)
			d = (d*5 + 1) & (1<<30 - 1)
		}
	})
}
