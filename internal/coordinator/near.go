package coordinator

import (
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Owners of one key are in several zones, which may be far from each other. A
// request goes to the nearest owner, by measured latency, and no owner is taken
// for slow before it could have answered from where it is.

// alike is by how much an owner's latency may be above twice that of the nearest
// one while it still counts as no further away.
const alike = time.Millisecond

// sortNear sorts owners by how fast they answer this node. The preferred one, who
// has what the client has read (§5), goes first unless the nearest is clearly
// nearer: it was near to where the client was then.
func (c *Coordinator) sortNear(owners []kv.NodeID, preferred kv.NodeID) {
	var far [maxSlots]time.Duration
	for i, id := range owners {
		d, at := c.distance(id), i
		for ; at > 0 && far[at-1] > d; at-- {
			owners[at], far[at] = owners[at-1], far[at-1]
		}
		owners[at], far[at] = id, d
	}
	if at := slices.Index(owners, preferred); at > 0 && far[at] <= 2*far[0]+alike {
		copy(owners[1:at+1], owners[:at])
		owners[0] = preferred
	}
}

// patience is how long id may leave a message of this request unanswered, more
// being its business in the meantime, before others are asked in its stead. That
// is no more than half of the request's time, so that the other half is theirs.
func (f *flight) patience(id kv.NodeID, more time.Duration) time.Duration {
	return min(f.c.cfg.StandInAfter+f.c.Peers.Latency(id)+more, f.deadline.Sub(f.start)/2)
}

// late tells whether who was asked last for slot i takes too long.
func (s *slots) late(f *flight, i int, now time.Time) bool {
	id, since := s.at[i].stand, s.at[i].asked
	if id == 0 {
		id = s.owners[i]
	}
	if since.IsZero() {
		since = s.since
	}
	return now.Sub(since) >= f.patience(id, 0)
}

// furthest returns the latency of the furthest of owners.
func (c *Coordinator) furthest(owners []kv.NodeID) time.Duration {
	var most time.Duration
	for _, id := range owners {
		most = max(most, c.Peers.Latency(id))
	}
	return most
}
