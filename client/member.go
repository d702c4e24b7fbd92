package client

import (
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/transport"
)

const (
	// quietAfter is for how long a connection may be silent in spite of pings
	// before its node is passed over. Soon after, if it stays silent, it is lost.
	quietAfter = 750 * time.Millisecond
	// shunFor is for how long a node that refused for a trouble of its own is
	// passed over, if another owner can be asked.
	shunFor = time.Second
	// meanWeight is 1 / the weight of a new sample in a member's mean.
	meanWeight = 8
)

// member is a node as this client reaches it. Safe for concurrent use.
type member struct {
	id kv.NodeID
	// lanes are its connections that stand; never changed in place.
	lanes atomic.Pointer[[]*lane]
	turn  atomic.Uint32
	// mean is an exponentially weighted mean of what its answers took, in
	// nanoseconds; 0 before the first one.
	mean atomic.Int64
	// shunned is until when it is passed over, since the client's start.
	shunned atomic.Int64
	// wanted tells that a request would have gone to it.
	wanted atomic.Bool
	// listed tells that the ring has it; the pool's lock guards it.
	listed bool
}

// lane is a connection to a member.
type lane struct {
	*transport.Conn
	member *member
}

// lively tells whether the connection can be expected to answer.
func (l *lane) lively() bool { return l.Err() == nil && !l.Ending() && l.Quiet() < quietAfter }

// lane returns the lively connection whose turn it is, nil if there is none.
func (m *member) lane() *lane {
	lanes := m.lanes.Load()
	if lanes == nil {
		return nil
	}
	at := 0
	if len(*lanes) > 1 {
		at = int(m.turn.Add(1) % uint32(len(*lanes)))
	}
	for i := range *lanes {
		if l := (*lanes)[(at+i)%len(*lanes)]; l.lively() {
			return l
		}
	}
	return nil
}

// lively tells whether lane would return one.
func (m *member) lively() bool {
	lanes := m.lanes.Load()
	if lanes == nil {
		return false
	}
	for _, l := range *lanes {
		if l.lively() {
			return true
		}
	}
	return false
}

// observe takes into account what an answer took. Of two at once one may be lost.
func (m *member) observe(took time.Duration) {
	mean, x := m.mean.Load(), max(int64(took), 1)
	if mean != 0 {
		x = max(mean+(x-mean)/meanWeight, 1)
	}
	m.mean.Store(x)
}
