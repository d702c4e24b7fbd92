package transport

import (
	"sync/atomic"
	"time"
)

const (
	// sampleEvery is how many calls one is timed of.
	sampleEvery = 8
	// meanWeight is 1 / the weight of a new sample in the mean.
	meanWeight = 8
	// tailRise and tailFall are 1 / the steps of the estimate of the 99th
	// percentile: a sample above lifts it by 1/tailRise of itself, one below
	// lowers it by 1/tailFall. They balance when one in 100 is above.
	tailRise = 10
	tailFall = tailRise * 99
	// tailStart is the first estimate in multiples of the first sample.
	tailStart = 3
)

// latency tracks the round trips to one peer: an exponentially weighted mean,
// and an estimate of the 99th percentile by stochastic approximation, which
// needs no history. One goroutine adds samples; any reads.
type latency struct {
	mean, tail atomic.Int64 // nanoseconds, 0 before the first sample
}

func (l *latency) add(d time.Duration) {
	x := max(int64(d), 1)
	mean, tail := l.mean.Load(), l.tail.Load()
	if mean == 0 {
		mean, tail = x, tailStart*x
	} else {
		mean += (x - mean) / meanWeight
		if x > tail {
			tail += tail/tailRise + 1
		} else {
			tail -= tail / tailFall
		}
	}
	l.mean.Store(mean)
	l.tail.Store(max(tail, mean))
}
