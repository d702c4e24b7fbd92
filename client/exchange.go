package client

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// maxAttempts bounds the nodes that one request is sent to. The last attempt
	// leaves it to the node to find an owner.
	maxAttempts = 3
	// lastPause bounds the pause before the last attempt, which is drawn from
	// its upper half: what the first two met may concern many at once.
	lastPause = 20 * time.Millisecond
)

// exchange sends rq to the best owner of its key, or to the node whose turn it
// is, and to others as long as again says so, and returns the answer.
func (c *Client) exchange(ctx context.Context, rq *call, began, deadline time.Time) ([]byte, error) {
	var asked tried
	t := c.route.Load()
	straight := t != nil
	var last error
	for n := range maxAttempts {
		if n > 0 {
			began = time.Now()
		}
		final := n == maxAttempts-1
		to := c.choose(t, straight && !final, rq, &asked, began)
		if to.lane == nil || final && !rested(ctx, deadline) {
			break
		}
		asked.add(to.lane)
		rq.direct(to.direct)
		answer, err := c.ask(ctx, t, rq, to, &asked, n == 0, began, deadline)
		if err == nil {
			c.retries.earn()
			return answer, nil
		}
		if !again(rq.typ, err, to.direct) || kv.KindOf(err) == kv.KindOverloaded && !c.retries.spend() {
			return answer, err
		}
		straight = straight && kv.KindOf(err) != kv.KindStaleRing
		last = err
	}
	if last == nil {
		last = c.pool.away()
	}
	return nil, last
}

// choose returns the next attempt, without a lane if there is none.
func (c *Client) choose(t *table, straight bool, rq *call, asked *tried, now time.Time) attempt {
	if straight {
		s := c.search(t, rq, asked, now)
		if l, slow := s.best(uint32(c.turn.Add(1))); l != nil {
			to := c.explore(rq, l, slow)
			to.direct = true
			return to
		}
		c.missed.Add(1)
	}
	l, slow := c.pool.any(asked, uint32(c.around.Add(1)))
	return c.explore(rq, l, slow)
}

// search looks for an owner for rq.
func (c *Client) search(t *table, rq *call, asked *tried, now time.Time) search {
	s := search{t: t, tried: asked, now: now.Sub(c.began), keeper: c.keeper}
	s.owners, s.among = t.find(rq.key, rq.typ == wire.TypeGet)
	if rq.typ == wire.TypePut {
		s.prefer = object.FastestOf(rq.msg.Context)
	}
	return s
}

// rested rests before the last attempt; false tells that there is no time left for
// it.
func rested(ctx context.Context, deadline time.Time) bool {
	if time.Until(deadline) <= lastPause {
		return false
	}
	rest(ctx, lastPause)
	return ctx.Err() == nil
}

// heed learns from the outcome of an attempt.
func (c *Client) heed(t *table, l *lane, rq *call, err error, began time.Time) {
	stale := !rq.left && t != nil && rq.level.Epoch() > t.epoch
	if err != nil {
		stale = c.heedError(l, rq, err, began) || stale
	}
	if stale && t != nil {
		c.keeper.refresh(l)
	}
}

// heedError learns from an error, and tells whether it says that the ring has
// changed.
func (c *Client) heedError(l *lane, rq *call, err error, began time.Time) bool {
	switch kind := kv.KindOf(err); {
	case kind == kv.KindTimeout:
		if rq.left {
			l.member.overdue(rq.typ, time.Since(began))
		}
	case kind == kv.KindStaleRing:
		return true
	case troubled(kind):
		l.member.shunned.Store(int64(time.Since(c.began) + shunFor))
	}
	return false
}

// troubled tells whether a refusal is the node's own affair, so that other
// requests are better off elsewhere.
func troubled(k kv.Kind) bool {
	switch k {
	case kv.KindUnavailable, kv.KindDiskFull, kv.KindStorage, kv.KindSkew, kv.KindClosed, kv.KindOverloaded,
		kv.KindHintsFull, kv.KindCorrupt:
		return true
	}
	return false
}

// again tells whether another node may do better: after a lost connection, or
// when the node refused for what may be its own trouble. An owner that was to do
// it itself does not pass it on, whatever its trouble. A put that may have been
// applied is never sent again, for it could leave two siblings.
func again(t wire.Type, err error, direct bool) bool {
	if t == wire.TypePut && kv.AppliedOf(err) != kv.AppliedNo {
		return false
	}
	switch kv.KindOf(err) {
	case kv.KindUnavailable, kv.KindStaleRing, kv.KindDiskFull, kv.KindStorage, kv.KindSkew, kv.KindClosed:
		return true
	case kv.KindOverloaded, kv.KindHintsFull, kv.KindCorrupt:
		return direct
	}
	return false
}
