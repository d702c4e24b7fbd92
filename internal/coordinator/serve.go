package coordinator

import (
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Handle serves a client's or another node's get or put (wire.TypeGet,
// TypePut). It answers when the outcome is known.
func (c *Coordinator) Handle(req wire.Request) { c.handle(req, false) }

// Try is Handle for a caller that must not wait for the disk. Where the request
// would have to it is not begun, and Try returns false: then it is to be handled
// elsewhere. What the node keeps for others as hints may be waited for.
func (c *Coordinator) Try(req wire.Request) (done bool) { return c.handle(req, true) }

func (c *Coordinator) handle(req wire.Request, prompt bool) (done bool) {
	if req.Late {
		c.refuse(req)
		return true
	}
	var m wire.Put
	var err error
	switch req.Type {
	case wire.TypeGet:
		m.Get, err = wire.ParseGet(req.Payload)
	case wire.TypePut:
		m, err = wire.ParsePut(req.Payload)
	default:
		err = kv.Errorf(kv.KindInvalid, "serve", "a coordinator does not serve %v", req.Type)
	}
	if err != nil {
		req.Reply.Fail(err)
		return true
	}
	if req.From == 0 {
		// Only a node knows that no owner answers.
		m.Flags &^= wire.FlagStandIn
	}
	to := replies.Get().(*reply)
	to.Reply = req.Reply
	r := requestOf(m)
	r.From, r.Level, r.Deadline, r.timed = req.From, req.Level, req.Deadline, true
	start := req.Began
	if r.fetched = !start.IsZero(); !r.fetched {
		start = c.Now()
	}
	if req.Type == wire.TypeGet {
		done = c.tryGet(&r, start, to, prompt)
	} else {
		done = c.tryPut(&r, start, to, prompt)
	}
	if !done {
		*to = reply{}
		replies.Put(to)
	}
	return done
}

// carryOut starts a get or put that came at start.
func (c *Coordinator) carryOut(t wire.Type, r *Request, start time.Time, to Receiver) {
	if t == wire.TypeGet {
		c.get(r, start, to)
		return
	}
	c.put(r, start, to)
}

// requestOf returns the get or put that m asks for; of a get only m.Get is set.
func requestOf(m wire.Put) Request {
	return Request{
		Key:       m.Key,
		Options:   options(m.Get),
		Forwarded: m.Flags&wire.FlagForwarded != 0,
		StandIn:   m.Flags&wire.FlagStandIn != 0,
		Update: object.Update{
			Context: m.Context, ContentType: m.ContentType, Value: m.Value, Meta: m.Meta, Life: m.Life,
			Deleted: m.Flags&wire.FlagDeleted != 0, Siblings: m.Flags&wire.FlagSiblings != 0,
		},
	}
}

func options(m wire.Get) kv.Options {
	return kv.Options{
		R: m.R, W: m.W, DW: m.DW,
		Strict:     m.Flags&wire.FlagStrict != 0,
		ReturnBody: m.Flags&wire.FlagReturnBody != 0,
	}
}

// reply sends an outcome back over the connection that the request came by.
type reply struct {
	wire.Reply
	msg wire.Answer
}

// replies is shared by all coordinators of the process: a reply refers to none
// of them once it is sent.
var replies = sync.Pool{New: func() any { return new(reply) }}

// Receive implements Receiver.
func (r *reply) Receive(a wire.Answer, err error) {
	if err != nil {
		r.Fail(err)
	} else {
		r.msg = a
		r.Send(&r.msg)
	}
	*r = reply{}
	replies.Put(r)
}
