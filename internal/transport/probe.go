package transport

import (
	"errors"
	"time"

	"github.com/ringtaildb/ringtail/internal/beat"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// watch calls tick until the connection ends, for a connection without a Pool.
func (c *Conn) watch() {
	timer := time.NewTimer(c.cfg.Tick)
	defer timer.Stop()
	bye := c.bye
	for {
		select {
		case <-c.done:
			return
		case <-bye:
			bye = nil
		case <-timer.C:
		}
		c.tick()
		timer.Reset(c.pause())
	}
}

// pause is the time from a tick to the next one. With no call under way, not even
// a ping, nothing is due before the next ping: those of all idle connections go
// out at one beat.
func (c *Conn) pause() time.Duration {
	if c.calls.pending() > 0 {
		return c.cfg.Tick
	}
	return beat.Pause(time.Now(), c.cfg.ProbeInterval)
}

// tick completes the calls whose deadline has passed, pings a peer that is silent
// or that was not timed of late, and closes a connection that has been silent for
// too long, or whose peer ends and owes no answer. It returns for how long nothing
// came.
func (c *Conn) tick() time.Duration {
	now := c.now()
	c.expire(now)
	quiet := c.silent.step(now, c.src.reads.Load(), c.cfg.ProbeInterval)
	c.quiet.Store(int64(quiet))
	if c.Ending() && c.calls.pending() == 0 {
		c.fail(kv.KindUnavailable, errEnding)
		return quiet
	}
	if quiet >= c.cfg.DeadAfter {
		c.fail(kv.KindUnavailable, errors.New("nothing came over the connection for "+quiet.String()))
		return quiet
	}
	// A tick early, and a little, rather than a beat late.
	due := c.cfg.ProbeInterval - c.cfg.Tick*3/2
	untimed := now-time.Duration(c.sampled.Load()) >= sampleWithin*c.cfg.ProbeInterval
	if (quiet >= due || untimed) && now-c.lastProbe >= due {
		c.lastProbe = now
		c.ping()
	}
	return quiet
}

func (c *Conn) expire(now time.Duration) {
	c.ended = c.calls.expired(now, c.lapsed, c.ended[:0])
	for i, entry := range c.ended {
		c.ended[i] = call{}
		if !entry.probe {
			c.meters.timeouts.Add(1)
		}
		entry.done.Complete(entry.tag, wire.Response{}, c.lapsed)
	}
}

// ping asks for a sign of life. Its outcome is of no interest: any byte will
// do.
func (c *Conn) ping() {
	rq := wire.Call{Type: wire.TypePing, Deadline: time.Now().Add(c.cfg.DeadAfter)}
	_ = c.send(rq, wire.Raw(nil), call{done: unheeded{}, probe: true})
}

// unheeded is the Completion of a call whose outcome does not matter.
type unheeded struct{}

// Complete implements wire.Completion.
func (unheeded) Complete(uint32, wire.Response, error) {}
