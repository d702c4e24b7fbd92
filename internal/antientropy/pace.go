package antientropy

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/pace"
)

// burst is how much of a rate may be used up at once after a pause.
const burst = 250 * time.Millisecond

const (
	// fillMessage is the size in bytes at which an answer to a fill ends: its work
	// holds up requests of clients for as long as it takes, at both ends, and is
	// done again after a crash.
	fillMessage = 64 << 10
	// slowest is the rate in bytes a second, if the set one is not below it, to
	// which requests of clients slow exchanges down at the most.
	slowest = 64 << 10
)

// yielding is a pace that makes room for requests of clients: an exchange uses the
// share of its rate with which these are about as fast as without it.
type yielding struct {
	pace.Pace
	governor pace.Governor
}

// take pays for n bytes, given how requests fare at this node.
func (f *yielding) take(now time.Time, n int, own pace.Load) {
	f.governor.Note(now, own)
	f.Take(now, int(float64(n)/f.share(now)))
}

// share returns the part of the rate that may be used now.
func (f *yielding) share(now time.Time) float64 {
	return max(f.governor.Share(now), min(1, slowest/float64(f.Rate)))
}
