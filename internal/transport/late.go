package transport

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// DefaultMaxWait is the default of Config.MaxWait: a request passes three
	// queues, its own and those of a replica's request and answer, which leaves it
	// within 300 ms (§2.2).
	DefaultMaxWait = 100 * time.Millisecond
	// standsAfter is how long a socket has to have held something for its queue to
	// stand: what a burst leaves, or a pause of the process, of its disk or of its
	// host, is worked off within that time, and served.
	standsAfter = 100 * time.Millisecond
	// behindFor is for how long a message of another node that was late keeps
	// requests of clients from being begun: the next one tells again.
	behindFor = 10 * time.Millisecond
)

// late tells whether a request that has waited is to be refused: whether it has
// waited for too long, and requests come faster than they are served. It is
// CoDel's measure, the time in the queue, with a server's remedy: where a queue
// stands it is cut to MaxWait, so that what is served was there a moment ago, and
// what is refused costs no more than an answer. That a queue stands is known by the
// socket that has not been empty for a while, not by the wait: of a process that
// seldom gets a processor all requests have waited, and it would refuse them all.
// What waited is what accepted.waited returns.
func (c *accepted) late(waited time.Duration) bool {
	most := c.server.cfg.MaxWait
	return waited > most && most > 0 && c.since.stood > standsAfter
}

// waited returns how long a request has waited to be handled now, as far as is known:
// here, and where it has a stamp, on the whole way from its caller, beyond what the
// quickest took.
//
// Like late it goes by the stamp only where the socket has stood. If the client has a
// queue and the socket is found empty again and again, it is not this node that keeps
// them waiting: to refuse would help nobody. And a clock that stood for a while
// (a machine that was paused) then costs at most what is sent until the socket is
// empty, which refusals soon see to, instead of all that comes.
func (c *accepted) waited(h wire.Header, now time.Duration) time.Duration {
	waited := now - c.since.since
	if !c.version.Stamps() {
		return waited
	}
	if c.since.paused {
		c.since.paused = false
		c.stamps.forget()
	}
	excess := c.stamps.excess(now, h.Stamp)
	if c.since.stood <= standsAfter {
		return waited
	}
	return max(waited, excess)
}

// refuses tells whether a request that begins now, and has waited, is to be refused.
// What has begun is not: of the messages for it that come from other nodes it is
// only noted that they are late. Readers take turns, so a queue of these may grow
// while that of the clients is short; then too no more is to be begun.
func (c *accepted) refuses(t wire.Type, now, waited time.Duration) bool {
	s := c.server
	at := int64(c.offset + now)
	switch t {
	case wire.TypeGet, wire.TypePut:
		behind := s.behind.Load()
		return c.late(waited) || behind != 0 && at-behind < int64(behindFor)
	case wire.TypeReplicaPut, wire.TypeReplicaRead:
		if c.late(waited) {
			s.behind.Store(at)
		}
	}
	return false
}
