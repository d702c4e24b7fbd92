// Package hedge says when a second node is asked for what a first one owes: after
// the time that all but one in a hundred of the first one's answers take, and no
// more often than the requests allow (§1: the tail is what counts; §4.5).
package hedge

import (
	"sync/atomic"
	"time"
)

const (
	// usualRise and usualFall are 1 / the weights of a sample above and of one
	// below the usual time. A stall makes a near node look far, and nothing makes
	// a far one look near: so what is lower is believed sooner.
	usualRise, usualFall = 8, 2
	// tailRise and tailFall are 1 / the steps of the estimate of the 99th
	// percentile: a sample above lifts it by 1/tailRise of itself, one below
	// lowers it by 1/tailFall. They balance when one in 100 is above.
	tailRise = 10
	tailFall = tailRise * 99
	// tailStart is the first estimate in multiples of the first sample.
	tailStart = 3
)

// Estimate tracks what the answers of one node take: the usual time, an
// exponentially weighted mean that leans to the lower, and the 99th percentile, by
// stochastic approximation, which needs no history. The answers to hedges do not
// belong in it: they are asked for when another node is slow, which is no
// typical moment. Late answers do, or a node that has become slow would keep its
// good name.
//
// Its zero value knows nothing. Safe for concurrent use: of two samples at once
// one may be lost.
type Estimate struct {
	usual, tail atomic.Int64 // nanoseconds, 0 before the first sample
}

// Add takes a sample into account.
func (e *Estimate) Add(d time.Duration) {
	x := max(int64(d), 1)
	tail := e.tail.Load()
	switch {
	case tail == 0:
		tail = tailStart * x
	case x > tail:
		tail += tail/tailRise + 1
	default:
		tail -= tail / tailFall
	}
	e.AddUsual(d)
	e.tail.Store(max(tail, e.usual.Load()))
}

// AddUsual takes a sample into account that tells how far the node is, but is of
// another kind than those that the 99th percentile is of.
func (e *Estimate) AddUsual(d time.Duration) {
	x, usual := max(int64(d), 1), e.usual.Load()
	switch {
	case usual == 0:
		usual = x
	case x > usual:
		usual += (x - usual) / usualRise
	default:
		usual -= (usual - x) / usualFall
	}
	e.usual.Store(usual)
}

// Usual returns the usual time of late, 0 while unknown.
func (e *Estimate) Usual() time.Duration { return time.Duration(e.usual.Load()) }

// Tail returns the estimate of the 99th percentile, 0 while unknown.
func (e *Estimate) Tail() time.Duration { return time.Duration(e.tail.Load()) }

// After returns when a hedge is due, from the estimate of the 99th percentile: a
// little later, or nodes whose answers all take alike would be hedged for nothing.
func After(tail time.Duration) time.Duration { return tail + tail/4 }

// Reset forgets all samples.
func (e *Estimate) Reset() {
	e.usual.Store(0)
	e.tail.Store(0)
}
