package transport

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// sampleEvery is how many calls one is timed of, if any of their type is.
	sampleEvery = 8
	// sampleWithin is after how many Config.ProbeInterval without a sample a peer
	// is pinged for the sake of one.
	sampleWithin = 4
)

// showsDistance tells whether calls of type t are timed: those that a peer answers
// out of its own, so that they tell how far it is and how busy. A request that is
// passed on to it waits for others there, and would make a near peer, who gets
// such requests because it is near, seem as far as those.
func showsDistance(t wire.Type) bool {
	return t == wire.TypePing || t == wire.TypeReplicaRead || t == wire.TypeReplicaPut
}

// latency tracks the round trips to one peer. One goroutine adds samples; any
// reads.
type latency struct{ hedge.Estimate }

// add takes the round trip of a call of type t into account. Writes wait for the
// disk: they tell how far the peer is, and not when a read is late.
func (l *latency) add(t wire.Type, took time.Duration) {
	if t == wire.TypeReplicaPut {
		l.AddUsual(took)
		return
	}
	l.Add(took)
}
