package client

import (
	"bytes"
	"context"

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
	done   chan struct{}
	answer []byte
	level  kv.Level
	err    error
	left   bool
}

func newCall() *call { return &call{done: make(chan struct{}, 1)} }

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
	c.answer, c.level, c.err = bytes.Clone(resp.Payload), resp.Level, err
	c.done <- struct{}{}
}

// wait waits for an attempt's outcome, or for ctx: then c is its Completion's
// alone.
func (c *call) wait(ctx context.Context) ([]byte, error) {
	select {
	case <-c.done:
		return c.answer, c.err
	case <-ctx.Done():
		c.left = true
		return nil, &kv.Error{Op: "wait for the answer", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown, Err: context.Cause(ctx)}
	}
}

// reset lets go of what c refers to and tells whether it can be used again.
func (c *call) reset() bool {
	c.msg = wire.Put{}
	if c.left {
		return false
	}
	c.answer, c.err = nil, nil
	return true
}
