package transport

import "time"

const (
	// DefaultMaxWait is the default of Config.MaxWait: a request passes three
	// queues, its own and those of a replica's request and answer, which leaves it
	// within 300 ms (§2.2).
	DefaultMaxWait = 100 * time.Millisecond
	// standsAfter is how long a socket has to have held something for its queue to
	// stand: what a burst leaves, or a pause of the process, of its disk or of its
	// host, is worked off within that time, and served.
	standsAfter = 100 * time.Millisecond
)

// late tells whether a request that has waited is to be refused: whether it has
// waited for too long, and requests come faster than they are served. It is
// CoDel's measure, the time in the queue, with a server's remedy: where a queue
// stands it is cut to MaxWait, so that what is served was there a moment ago, and
// what is refused costs no more than an answer. That a queue stands is known by the
// socket that has not been empty for a while, not by the wait: of a process that
// seldom gets a processor all requests have waited, and it would refuse them all.
func (c *accepted) late(waited time.Duration) bool {
	most := c.server.cfg.MaxWait
	return waited > most && most > 0 && c.since.stood > standsAfter
}
