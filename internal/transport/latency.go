package transport

import (
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// sampleEvery is how many calls one is timed of, if any of their type is.
	sampleEvery = 8
	// sampleWithin is after how many Config.ProbeInterval without a sample a peer
	// is pinged for the sake of one.
	sampleWithin = 4
	// usualRise and usualFall are 1 / the weights of a sample above and of one
	// below the usual round trip. A stall makes a near peer look far, and nothing
	// makes a far one look near: so what is lower is believed sooner.
	usualRise, usualFall = 8, 2
	// tailRise and tailFall are 1 / the steps of the estimate of the 99th
	// percentile: a sample above lifts it by 1/tailRise of itself, one below
	// lowers it by 1/tailFall. They balance when one in 100 is above.
	tailRise = 10
	tailFall = tailRise * 99
	// tailStart is the first estimate in multiples of the first sample.
	tailStart = 3
)

// showsDistance tells whether calls of type t are timed: those that a peer answers
// out of its own, so that they tell how far it is and how busy. A request that is
// passed on to it waits for others there, and would make a near peer, who gets
// such requests because it is near, seem as far as those.
func showsDistance(t wire.Type) bool {
	return t == wire.TypePing || t == wire.TypeReplicaRead || t == wire.TypeReplicaPut
}

// latency tracks the round trips to one peer: the usual one, an exponentially
// weighted mean that leans to the lower, and an estimate of the 99th percentile by
// stochastic approximation, which needs no history. One goroutine adds samples;
// any reads.
type latency struct {
	usual, tail atomic.Int64 // nanoseconds, 0 before the first sample
}

func (l *latency) add(d time.Duration) {
	x := max(int64(d), 1)
	usual, tail := l.usual.Load(), l.tail.Load()
	if usual == 0 {
		usual, tail = x, tailStart*x
	} else {
		if x > usual {
			usual += (x - usual) / usualRise
		} else {
			usual -= (usual - x) / usualFall
		}
		if x > tail {
			tail += tail/tailRise + 1
		} else {
			tail -= tail / tailFall
		}
	}
	l.usual.Store(usual)
	l.tail.Store(max(tail, usual))
}
