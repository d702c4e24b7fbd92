package coordinator

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/clock"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

// When a value expires is fixed by whoever coordinates its put, and whoever
// coordinates a get looks at its own clock whether that has come. Neither trusts
// a clock that is further from its peers' than MaxSkew: so a value is hidden
// early or late by as much as two trusted clocks differ, whatever one of them
// jumps to.

// wall returns the time of t by this node's clock, or by its peers' if its own
// is too far off.
func (c *Coordinator) wall(t time.Time) kv.Time {
	if c.omits(OmitTrust) {
		return kv.TimeOf(t)
	}
	return clock.Trusted(kv.TimeOf(t), c.Cluster.Skew(), c.cfg.MaxSkew)
}

// expiry returns when the value of p, a put that came at start, expires.
func (c *Coordinator) expiry(p *plan, start time.Time) kv.Expiry {
	if life := p.Update.Life; p.Update.Deleted || p.props.TTL == 0 && life == (kv.Lifetime{}) {
		return 0
	}
	return p.Update.Life.Expiry(c.wall(start), p.props.TTL)
}

// hide returns what of o, where something expires at some time, has not done so by
// now. Only if something has is it another object, appended to buf.
func (c *Coordinator) hide(buf []byte, o object.Object) (object.Object, []byte) {
	if c.omits(OmitHide) {
		return o, buf
	}
	return object.Hide(buf, o, c.wall(c.Now()))
}
