package client

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// A get that a node leaves unanswered for longer than all but one in a hundred of
// its answers take is sent to a second node as well, and the first answer counts.
// A put is sent once: twice it could leave two siblings.

// attempt is where a request goes.
type attempt struct {
	lane *lane
	// direct tells that it leads to an owner, who is to do it itself.
	direct bool
	// also is asked at the same time, nil for nobody: the lane leads to a node that
	// seems slow, to see whether it still is.
	also *lane
}

// explore returns the attempt that goes to l, or, because its turn has come, to
// slow, which is not as fast. A get goes to both, so that nobody waits for it. A
// put does not: what seems slow is thought a little better of instead, as far as
// its pings allow, so that one day it is asked again.
func (c *Client) explore(rq *call, l, slow *lane) attempt {
	switch {
	case slow == nil || l == slow:
	case !c.hedges:
		return attempt{lane: slow}
	case rq.typ != wire.TypeGet:
		slow.member.forgive(slow.Latency())
	default:
		c.budget.Spend(c.sent())
		c.hedged.Add(1)
		return attempt{lane: slow, also: l}
	}
	return attempt{lane: l}
}

// sent returns how many requests were sent, but for hedges.
func (c *Client) sent() uint64 { return c.turn.Load() + c.around.Load() - c.missed.Load() }

// mayHedge takes a hedge from the budget.
func (c *Client) mayHedge() bool {
	if !c.budget.Take(c.sent()) {
		c.refused.Add(1)
		return false
	}
	c.hedged.Add(1)
	return true
}

// ask sends rq, and if it is a get that takes too long, and may be hedged, sends
// it to a second node. It returns the first good answer.
func (c *Client) ask(ctx context.Context, t *table, rq *call, to attempt, asked *tried, hedges bool, began, deadline time.Time) ([]byte, error) {
	rq.send(to.lane, true, began, deadline)
	if rq.typ == wire.TypeGet && c.hedges && (hedges || to.also != nil) {
		if next, ok := c.second(ctx, t, rq, to, asked, began); ok {
			return c.askTwo(ctx, t, rq, to.lane, next, began, deadline)
		}
	}
	answer, err := rq.wait(ctx)
	c.heed(t, to.lane, rq, err, began)
	return answer, err
}

// second waits until it is time for a hedge, and returns where it goes; false tells
// that none is needed, or allowed.
func (c *Client) second(ctx context.Context, t *table, rq *call, to attempt, asked *tried, began time.Time) (attempt, bool) {
	if to.also != nil {
		asked.add(to.also)
		return attempt{lane: to.also, direct: to.direct}, true
	}
	tail := to.lane.member.gets.Tail()
	if tail == 0 || !rq.outlasts(ctx, c.watch, began, hedge.After(tail)) {
		return attempt{}, false
	}
	rq.overdue()
	next := c.next(t, to.direct, rq, asked)
	if next.lane == nil || !c.mayHedge() {
		return attempt{}, false
	}
	asked.add(next.lane)
	return next, true
}

// next returns who is asked after those that were.
func (c *Client) next(t *table, direct bool, rq *call, asked *tried) attempt {
	if direct {
		s := c.search(t, rq, asked, time.Now())
		if l, _ := s.best(1); l != nil {
			return attempt{lane: l, direct: true}
		}
	}
	l, _ := c.pool.any(asked, 1)
	return attempt{lane: l}
}

// askTwo sends rq, which l has, to next as well. The slower answer finds nobody; if
// it is l's, it is taken into account all the same.
func (c *Client) askTwo(ctx context.Context, t *table, rq *call, l *lane, next attempt, began, deadline time.Time) ([]byte, error) {
	h := c.calls.Get().(*call)
	h.typ, h.msg = rq.typ, wire.Put{Get: rq.msg.Get}
	h.direct(next.direct)
	h.send(next.lane, false, time.Time{}, deadline)
	best, err := race(ctx, rq, h)
	if best == h {
		c.won.Add(1)
		l = next.lane
	}
	var answer []byte
	if err == nil {
		answer, err = best.answer, best.err
	}
	c.heed(t, l, best, err, began)
	if h.reset() {
		c.calls.Put(h)
	}
	return answer, err
}

// race returns which of two calls was the first to be answered, or a if both
// failed. A call whose outcome is not waited for is left. An error is that ctx has
// ended.
func race(ctx context.Context, a, b *call) (*call, error) {
	var first, second *call
	select {
	case <-a.done:
		first, second = a, b
	case <-b.done:
		first, second = b, a
	case <-ctx.Done():
		a.left, b.left = true, true
		return a, ended(ctx)
	}
	if first.err == nil {
		second.left = true
		return first, nil
	}
	select {
	case <-second.done:
	case <-ctx.Done():
		second.left = true
		return a, ended(ctx)
	}
	if second.err == nil {
		return second, nil
	}
	return a, nil
}

func ended(ctx context.Context) error {
	return &kv.Error{Op: "wait for the answer", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown, Err: context.Cause(ctx)}
}
