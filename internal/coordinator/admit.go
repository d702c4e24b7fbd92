package coordinator

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// errLate refuses what came at a time when requests come faster than they are
// served. It is one for all, and so is its encoding: a refusal costs next to nothing.
var (
	errLate                   = kv.Errorf(kv.KindOverloaded, "coordinate", "requests come faster than they are served")
	errLateSent wire.Appender = wire.Raw(wire.AppendError(nil, errLate))
)

// refuse answers a request that has waited for too long, before anything is done
// for it.
func (c *Coordinator) refuse(req wire.Request) {
	done := c.Stats.PutDone
	if req.Type == wire.TypeGet {
		done = c.Stats.GetDone
	}
	done(Ended{Inner: req.From != 0, Stage: metrics.CauseRefused, Err: errLate})
	req.Reply.FailAs(errLateSent)
}

// admit returns an error for a request that may not begin.
func (c *Coordinator) admit(req *Request) error {
	switch {
	case c.waiting.Load() >= int64(c.cfg.MaxInFlight):
		return kv.Errorf(kv.KindOverloaded, "coordinate", "%d requests wait for answers", c.cfg.MaxInFlight)
	case !req.timed && c.Admit != nil && !c.Admit():
		return errLate
	}
	return nil
}
