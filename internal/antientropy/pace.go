package antientropy

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/pace"
)

// burst is how much of a rate may be used up at once after a pause.
const burst = 250 * time.Millisecond

// yield is how much slower than its rate a fill goes on while requests of clients
// wait, at the least; it waits for maxYield at the most.
const (
	yield    = 16
	maxYield = 5 * time.Second
)

// fillPace is a pace that makes room for requests of clients.
type fillPace struct {
	pace.Pace
	// last is how long the last message took of the rate.
	last time.Duration
}

// ready tells whether a message may go; busy tells that requests of clients wait.
func (f *fillPace) ready(now time.Time, busy bool) bool {
	if busy {
		return f.ReadyWith(now, min(yield*f.last, maxYield))
	}
	return f.Ready(now)
}

func (f *fillPace) take(now time.Time, n int) {
	f.last = f.Cost(n)
	f.Take(now, n)
}
