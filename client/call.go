package client

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// call is one request under way, and where its caller waits. It is used again
// for later requests, unless its caller left before the answer came.
type call struct {
	typ wire.Type
	// msg is the request; a get sends the part of it that is a wire.Get. Its
	// context and value are the caller's, its key and content type are in
	// buffers of the call's own.
	msg         wire.Put
	key         kv.Key
	contentType []byte

	// done carries one signal for each attempt; answer, level and err are
	// written before it.
	done chan struct{}
	// heard tells that the signal was taken in outlasts.
	heard bool
	// A watch tells late, once, when due has come, since it began; it keeps those
	// that it watches in a list, one for some numbers each.
	number         uint32
	due            time.Duration
	late           chan struct{}
	earlier, later *call
	// member's answer is timed, from began on, unless it is nil; size is what the
	// request brings along.
	member *member
	began  time.Time
	size   int
	// mark tells whether the answer is taken for late, or has come.
	mark atomic.Uint32

	answer []byte
	level  kv.Level
	err    error
	left   bool
}

func newCall(number uint32) *call {
	return &call{done: make(chan struct{}, 1), late: make(chan struct{}, 1), number: number}
}

// fill makes c the request rq to a bucket.
func (c *call) fill(bucket string, rq request, s *settings) {
	c.typ = wire.TypePut
	if rq.op == opGet {
		c.typ = wire.TypeGet
	}
	c.key = kv.AppendKey(c.key[:0], bucket, []byte(rq.key))
	c.contentType = c.contentType[:0]
	if rq.op == opPut {
		c.contentType = append(c.contentType, s.contentType...)
	}
	c.msg = wire.Put{
		Get:         wire.Get{Flags: s.flags(), R: int8(s.r), W: int8(s.w), DW: int8(s.dw), Key: c.key},
		Context:     rq.seen,
		ContentType: c.contentType,
		Value:       rq.value,
	}
	if rq.op == opDelete {
		c.msg.Flags |= wire.FlagDeleted
	}
}

// direct says whether the node that is asked next is to do it itself, or else to
// refuse it as stale.
func (c *call) direct(on bool) {
	c.msg.Flags &^= wire.FlagForwarded
	if on {
		c.msg.Flags |= wire.FlagForwarded
	}
}

// message is what is sent. It is encoded before the send returns.
func (c *call) message() wire.Appender {
	if c.typ == wire.TypeGet {
		return &c.msg.Get
	}
	return &c.msg
}

// Complete implements wire.Completion.
func (c *call) Complete(_ uint32, resp wire.Response, err error) {
	if resp.Interim {
		return
	}
	c.observe(len(resp.Payload), err)
	if c.mark.Swap(markCame) == markLate {
		c.member.late.Add(-1)
	}
	c.answer, c.level, c.err = bytes.Clone(resp.Payload), resp.Level, err
	c.done <- struct{}{}
}

// observe takes into account what the answer took, also one that comes when
// another was faster and nobody waits for it.
func (c *call) observe(size int, err error) {
	m := c.member
	switch {
	case m == nil:
	case err == nil:
		if c.size+size <= wire.MaxChunk {
			m.observe(c.typ, time.Since(c.began))
		}
	case kv.KindOf(err) == kv.KindTimeout:
		m.overdue(c.typ, time.Since(c.began))
	}
}

// What may be noted of an answer.
const (
	markNone uint32 = iota
	markLate
	markCame
)

// overdue has other requests go round the node that c was sent to until it answers.
func (c *call) overdue() {
	if c.mark.CompareAndSwap(markNone, markLate) {
		c.member.late.Add(1)
	}
}

// send sends c to a node, whose answer is timed, from began on, if so wanted.
func (c *call) send(l *lane, timed bool, began, deadline time.Time) {
	c.mark.Store(markNone)
	if c.member = nil; timed {
		c.member, c.began, c.size = l.member, began, len(c.msg.Value)
	}
	l.Call(wire.Call{Type: c.typ, Deadline: deadline}, c.message(), c, 0)
}

// outlasts tells whether the outcome is still to come when d has passed from now.
func (c *call) outlasts(ctx context.Context, w *watch, now time.Time, d time.Duration) bool {
	w.add(c, now, d)
	defer w.remove(c)
	select {
	case <-c.done:
		c.heard = true
	case <-ctx.Done():
	case <-c.late:
		return true
	}
	return false
}

// wait waits for an attempt's outcome, or for ctx: then c is its Completion's
// alone.
func (c *call) wait(ctx context.Context) ([]byte, error) {
	if c.heard {
		c.heard = false
		return c.answer, c.err
	}
	select {
	case <-c.done:
		return c.answer, c.err
	case <-ctx.Done():
		c.left = true
		return nil, ended(ctx)
	}
}

// reset lets go of what c refers to and tells whether it can be used again.
func (c *call) reset() bool {
	c.msg = wire.Put{}
	if c.left {
		return false
	}
	c.answer, c.err, c.member = nil, nil, nil
	return true
}
