// Package metrics holds what a node counts and times: the latency of gets and
// puts, what their quorums looked like, and what went wrong. It is the base of
// the promise about the 99.9th percentile (Dynamo, SOSP 2007, §2.2).
//
// Recording is a few atomic additions. Everything else, percentiles included,
// is worked out when somebody looks.
package metrics

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A Histogram's buckets are log-linear: 32 of equal width up to 1 µs, then 32
// for each doubling up to MaxLatency, then one for all that is longer. The unit
// is a 32nd of a microsecond, so that every power of two of microseconds is a
// bucket's upper end and the exported bounds are exact.
const (
	subBits = 5
	subs    = 1 << subBits
	// doublings from 1 µs to MaxLatency.
	doublings  = 26
	overflow   = (doublings + 1) * subs
	numBuckets = overflow + 1

	// MaxLatency is the longest duration that a Histogram tells apart; longer
	// ones count as this one.
	MaxLatency = time.Microsecond << doublings
)

// Histogram counts durations. It is safe for concurrent use; Record takes no
// lock and does not allocate. The zero Histogram is empty.
type Histogram struct {
	sum     atomic.Int64
	buckets [numBuckets]atomic.Uint64
}

// Record counts d once; less than 0 counts as 0.
func (h *Histogram) Record(d time.Duration) {
	d = max(d, 0)
	h.sum.Add(int64(d))
	h.buckets[bucketOf(d)].Add(1)
}

// bucketOf returns the bucket that holds d. A bucket reaches from above its
// lower end to its upper end, as Prometheus counts them.
func bucketOf(d time.Duration) int {
	if d > MaxLatency {
		return overflow
	}
	if d <= 0 {
		return 0
	}
	u := uint64(d-1) * subs / uint64(time.Microsecond)
	shift := max(bits.Len64(u)-subBits-1, 0)
	return shift*subs + int(u>>shift)
}

// upperEnd returns the longest duration that bucket i holds, MaxLatency for the
// last.
func upperEnd(i int) time.Duration {
	if i >= overflow {
		return MaxLatency
	}
	shift := max(i/subs-1, 0)
	u := uint64(i-shift*subs+1) << shift
	return time.Duration((u*uint64(time.Microsecond) + subs - 1) / subs)
}

// Snapshot is what one or more Histograms had counted at one moment, or between
// two. It is not safe for concurrent use.
type Snapshot struct {
	// Sum is the sum of all durations.
	Sum    time.Duration
	counts [numBuckets]uint64
}

// Add adds what h has counted so far.
func (s *Snapshot) Add(h *Histogram) {
	s.Sum += time.Duration(h.sum.Load())
	for i := range h.buckets {
		s.counts[i] += h.buckets[i].Load()
	}
}

// Sub takes away what had been counted at an earlier moment.
func (s *Snapshot) Sub(earlier *Snapshot) {
	s.Sum -= earlier.Sum
	for i, n := range earlier.counts {
		s.counts[i] -= n
	}
}

// Count returns the number of durations.
func (s *Snapshot) Count() uint64 {
	var n uint64
	for _, c := range s.counts {
		n += c
	}
	return n
}

// Percentile returns the duration that permille of 1,000 durations do not
// exceed: 999 asks for the 99.9th percentile, 1000 for the longest. It is the
// upper end of a bucket, so it is never too short, and at most a 32nd (or
// 32 ns) too long, up to MaxLatency. Of nothing it is 0.
func (s *Snapshot) Percentile(permille uint64) time.Duration {
	rank := max((s.Count()*permille+999)/1000, 1)
	var seen uint64
	for i, c := range s.counts {
		if seen += c; seen >= rank {
			return upperEnd(i)
		}
	}
	return 0
}

// Above returns how many durations are longer than d, or were put into a bucket
// with such: never too many, and at most those within a 32nd of d too few.
func (s *Snapshot) Above(d time.Duration) uint64 {
	var n uint64
	for _, c := range s.counts[bucketOf(d)+1:] {
		n += c
	}
	return n
}

// below returns how many durations are at most 1 µs << k.
func (s *Snapshot) below(k int) uint64 {
	var n uint64
	for _, c := range s.counts[:(k+1)*subs] {
		n += c
	}
	return n
}
