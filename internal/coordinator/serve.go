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
func (c *Coordinator) Handle(req wire.Request) {
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
		return
	}
	if ring := c.Cluster.Ring(); m.Flags&wire.FlagForwarded != 0 && ring != nil && req.Level.Epoch() > ring.Epoch() {
		c.Cluster.Refresh(req.From)
		req.Reply.Fail(kv.Errorf(kv.KindStaleRing, "coordinate", "this node's ring is of epoch %d, the request's of %d", ring.Epoch(), req.Level.Epoch()))
		return
	}
	if req.From == 0 {
		// Only a node knows that no owner answers.
		m.Flags &^= wire.FlagStandIn
	}
	to := replies.Get().(*reply)
	to.Reply = req.Reply
	c.carryOut(req.Type, m, req.Deadline, to)
}

// carryOut starts the get or put that m asks for; of a get only m.Get is used.
func (c *Coordinator) carryOut(t wire.Type, m wire.Put, deadline time.Time, to Receiver) {
	r := Request{
		Key:       m.Key,
		Options:   options(m.Get),
		Forwarded: m.Flags&wire.FlagForwarded != 0,
		StandIn:   m.Flags&wire.FlagStandIn != 0,
		Deadline:  deadline,
	}
	if t == wire.TypeGet {
		c.Get(r, to)
		return
	}
	r.Update = object.Update{
		Context: m.Context, ContentType: m.ContentType, Value: m.Value,
		Deleted: m.Flags&wire.FlagDeleted != 0,
	}
	c.Put(r, to)
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
