package client

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/transport"
	"github.com/ringtaildb/ringtail/internal/wire"
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
	// forgiveWeight is 1 / the part of a slow node's mean that is forgotten when a
	// put would have found out how it does: at 1,000 puts a second one takes a minute
	// to be tried again.
	forgiveWeight = 32
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
	// gets is what its gets take.
	gets hedge.Estimate
	// late counts gets that it has not answered yet and that others were asked for
	// in its stead: it may be stalled.
	late atomic.Int32
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
func (m *member) observe(t wire.Type, took time.Duration) {
	mean, x := m.mean.Load(), max(int64(took), 1)
	if mean != 0 {
		x = max(mean+(x-mean)/meanWeight, 1)
	}
	m.mean.Store(x)
	if t == wire.TypeGet {
		m.gets.Add(took)
	}
}

// overdue takes into account that after waited no answer had come: it would have
// taken longer; how much, nobody knows.
func (m *member) overdue(t wire.Type, waited time.Duration) {
	m.observe(t, max(waited, time.Duration(m.mean.Load())))
}

// pace returns what its answers take, on average: longer than anybody's while it
// owes late ones.
func (m *member) pace() int64 {
	if m.late.Load() > 0 {
		return math.MaxInt64
	}
	return m.mean.Load()
}

// forgive has the mean decline towards what pings take, slowly.
func (m *member) forgive(ping time.Duration) {
	if mean := m.mean.Load(); int64(ping) < mean {
		m.mean.Store(mean - (mean-int64(ping))/forgiveWeight)
	}
}
