package transport

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/wire"
)

// creepEach is how long it takes until the quickest request counts for a millisecond
// more than it took: 100 ppm, twice what clocks usually differ by.
const creepEach = 10 * time.Second

// quickest knows, of the requests of one connection, what the quickest took from its
// caller to here, but for the difference of both sides' clocks: the least that their
// stamps were behind the clock here. What another one took beyond that it has waited,
// in the sender's queue, in the sockets, or here. It is a difference of two one-way
// times, so neither the distance nor the clocks' setting matters, and of their rates
// only what differs by more than the creep.
//
// Stamps repeat after 65 s: what took 32 s longer than the quickest would pass for
// quicker. A connection whose peer is that slow has ended long before
// (Config.DeadAfter); if both sides were stopped at once forget puts it right.
//
// The zero value knows of none. One goroutine uses it.
type quickest struct {
	known bool
	// behind is how far the quickest one's stamp was behind.
	behind wire.Stamp
	// seen is when the last as quick as that came, or the creep since.
	seen time.Duration
}

// excess returns how much longer than the quickest one a request took that was made
// at stamp s and is here now.
func (q *quickest) excess(now time.Duration, s wire.Stamp) time.Duration {
	behind := wire.StampOf(now) - s
	more := behind.Since(q.behind)
	if !q.known || more <= 0 {
		q.known, q.behind, q.seen = true, behind, now
		return 0
	}
	if n := (now - q.seen) / creepEach; n > 0 {
		crept := min(n*time.Millisecond, more)
		q.behind += wire.StampOf(crept)
		q.seen += n * creepEach
		more -= crept
	}
	return more
}

// forget has the next request count as the quickest until others are. It is for when
// nothing came for a while: the sender may have been stopped, with its clock, after
// which all requests seem to take longer by that. If it was not, and has a queue, the
// shorter that is the less is forgiven.
func (q *quickest) forget() { q.known = false }
