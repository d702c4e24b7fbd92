package sim

import (
	"math/rand/v2"
	"time"

	"github.com/ringtaildb/ringtail/internal/clock"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// Lives are the writes that are to expire: their share, in percent, and how long
// they live.
type Lives struct {
	Share int
	For   [2]time.Duration
}

// draw returns how long a put's value is to live, 0 for ever.
func (l *Lives) draw(rng *rand.Rand) time.Duration {
	if l.Share == 0 || rng.IntN(100) >= l.Share {
		return 0
	}
	return between(rng, l.For[0], l.For[1]).Truncate(time.Millisecond)
}

// slack is how much early or late a value may be hidden: two clocks that nodes
// trust differ by no more than this in the simulator, where those that do not
// jump agree.
const slack = clock.DefaultMaxSkew

// life is what the request for w says of its lifetime.
func (w *Write) life() kv.Lifetime { return kv.Lifetime{TTL: kv.TTL(w.ttl.Milliseconds())} }

// over tells whether w may be hidden by now: its time has run out since its
// client asked for it, or all but. Whoever is asked not before then must know of
// no other reason to miss it.
func (w *Write) over(now time.Duration) bool {
	return w.ttl > 0 && len(w.dots) > 0 && now+slack >= w.op.start+w.ttl
}

// stale tells whether w must be hidden from a request that begins now.
func (w *Write) stale(now time.Duration) bool {
	return w.ttl > 0 && now >= w.born+w.ttl+slack
}

// checkExpired is the other half of a lifetime: what has expired is shown no more,
// but for the slack. That nothing is hidden or dropped too early, P2 and P3 show:
// they excuse what is over, and nothing else.
func (w *World) checkExpired(op *Op) {
	for _, x := range op.siblings {
		if x.stale(op.start) {
			w.violate("TTL", op.key, "%v shows w%d, which was to live for %v and was last applied at %v", op, x.id, x.ttl, x.born)
		}
	}
}

// expired tells whether x may be missing because of a write that superseded it,
// and is over: it is hidden, or was dropped, and tells nobody any more.
func (w *World) expired(x *Write) bool {
	if x.over(w.now) {
		return true
	}
	if x.key.lww {
		for _, y := range x.key.writes {
			if y.over(w.now) && !x.first().beats(y.last()) {
				return true
			}
		}
		return false
	}
	found := false
	x.successors(func(s *Write) bool {
		found = s.over(w.now)
		return !found
	})
	return found
}

// Soonest implements antientropy.Floors, as Usage does.
func (l local) Soonest(p kv.Partition) kv.Expiry {
	if l.node.world.SweepsAsked && !l.node.leads {
		return 0
	}
	return l.Store.Soonest(p)
}

// trusted is what the node's clock shows, or its peers' if it is too far off.
func (n *node) trusted() kv.Time {
	return clock.Trusted(kv.TimeOf(n.Now()), n.Skew(), clock.DefaultMaxSkew)
}
