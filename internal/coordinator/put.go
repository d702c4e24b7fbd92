package coordinator

import (
	"errors"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/quorum"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// put is one put or delete that this node coordinates. Replicas are known by
// their place among the owners.
type put struct {
	flight
	// Guarded by flight.mu.
	tally quorum.Put
	// ready is set once the local write has returned: before that its durable
	// acknowledgement may already be in, but there is no answer to give yet.
	ready bool

	self  int
	asked int
	// durable tells that the owners are asked for durable acknowledgements.
	durable bool
	buf     []byte
	sealed  []byte
	msg     wire.ReplicaPut
	answer  wire.Answer
}

func newPut(c *Coordinator) *put {
	o := &put{}
	o.c, o.expire, o.recycle = c, o.expired, o.reset
	return o
}

// maxKept bounds the buffers that a finished request keeps for the next one, in
// bytes.
const maxKept = 256 << 10

func (o *put) reset() {
	if cap(o.buf) > maxKept {
		o.buf = nil
	}
	o.tally, o.ready, o.msg, o.answer = quorum.Put{}, false, wire.ReplicaPut{}, wire.Answer{}
	o.c.puts.Put(o)
}

// coordinatePut writes the node's own copy, sends the result, encoded once, to
// the other owners, and lets the answers do the rest. The local fsync and the
// sends run side by side.
func (c *Coordinator) coordinatePut(p plan, ctx object.Context, start time.Time, to Receiver) {
	w, dw := int(p.Options.W), int(p.Options.DW)
	if err := c.reachable("put", p, int8(max(w, dw))); err != nil {
		c.Stats.PutDone(Ended{Err: err})
		to.Receive(wire.Answer{}, err)
		return
	}
	o := c.puts.Get().(*put)
	o.launch(start, p.Deadline, to)
	defer o.release()
	o.tally, o.asked, o.durable = quorum.NewPut(len(p.owners), w, dw), len(p.owners), dw > 0
	if err := o.writeLocal(p, ctx); err != nil {
		o.mu.Lock()
		decided := o.decide()
		o.mu.Unlock()
		if decided {
			o.finish(0, err)
		}
		return
	}
	o.sendAll(p)
}

// writeLocal carries out the local write and makes the answer. An error means
// that nothing was applied.
func (o *put) writeLocal(p plan, ctx object.Context) error {
	write := object.Write{
		Merge: p.props.Merge, Context: ctx, Now: kv.TimeOf(o.start), MaxClock: o.c.cfg.MaxClock,
		Deleted: p.Update.Deleted, ContentType: p.Update.ContentType, Value: p.Update.Value,
	}
	for i, id := range p.owners {
		if id == o.c.Self {
			o.self = i
		}
	}
	var obj object.Object
	var dropped int
	var err error
	if p.Options.DW > 0 {
		o.hold(1)
		obj, o.buf, dropped, err = o.c.Local.Put(p.ring.Epoch(), p.partition, p.Key, write, o.buf[:0], o)
		if err != nil {
			o.refs.Add(-1)
		}
	} else {
		obj, o.buf, dropped, err = o.c.Local.Put(p.ring.Epoch(), p.partition, p.Key, write, o.buf[:0], nil)
	}
	if err != nil {
		return err
	}
	if dropped > 0 {
		o.c.Stats.Truncated(dropped)
	}
	o.makeAnswer(obj, p.Options.ReturnBody)
	o.msg = wire.ReplicaPut{Key: p.Key, Object: obj.Bytes()}
	o.mu.Lock()
	o.ready = true
	o.mu.Unlock()
	o.step(o.self, quorum.Applied, nil)
	return nil
}

// makeAnswer gives a context only if it names nothing that the client has not
// seen: the new sibling is the only one, or all of them are in the answer.
func (o *put) makeAnswer(obj object.Object, body bool) {
	if body {
		o.answer.Object = obj.Bytes()
	}
	if !body && obj.Len() > 1 {
		return
	}
	ctx := object.ContextOf(obj)
	ctx.Fastest = o.c.Self
	var err error
	if o.sealed, err = o.c.Cluster.Sealer().AppendSealed(o.sealed[:0], ctx); err == nil {
		o.answer.Context = o.sealed
	}
}

// sendAll sends the object to the other owners. With dw=0 (§6.1) one of them
// is asked for a durable write that nobody waits for.
func (o *put) sendAll(p plan) {
	call := wire.Call{Type: wire.TypeReplicaPut, Deadline: p.Deadline, Epoch: p.ring.Epoch()}
	ack := wire.AckDurable
	if p.Options.DW < p.Options.W {
		ack = wire.AckBoth
	}
	for i, id := range p.owners {
		switch {
		case i == o.self:
			continue
		case !o.c.Peers.Up(id):
			o.step(i, quorum.Error, errDown(id))
			continue
		}
		o.msg.Ack = ack
		o.hold(1)
		o.c.Peers.Call(id, call, &o.msg, o, uint32(i))
		if p.Options.DW == 0 {
			ack = wire.AckApplied
		}
	}
	o.msg = wire.ReplicaPut{}
}

// Complete implements wire.Completion for the other owners' answers.
func (o *put) Complete(tag uint32, resp wire.Response, err error) {
	last := err != nil || !resp.Interim
	var ack wire.Ack
	if err == nil {
		ack, err = wire.ParseAck(resp.Payload)
	}
	switch {
	case err != nil:
		o.step(int(tag), quorum.Error, err)
	case ack == wire.AckDurable:
		o.step(int(tag), quorum.Durable, nil)
	default:
		o.step(int(tag), quorum.Applied, nil)
		if last && o.durable {
			// Its last word, and it does not say what was asked for.
			o.step(int(tag), quorum.Error, errNotDurable)
		}
	}
	if last {
		o.release()
	}
}

// errNotDurable stands for the durable acknowledgement that an owner did not
// give.
var errNotDurable = &kv.Error{
	Op: "put", Kind: kv.KindInternal, Applied: kv.AppliedUnknown, Err: errors.New("an owner answered without making the write durable"),
}

// Durable implements storage.Waiter for the local write.
func (o *put) Durable(err error) {
	if err != nil {
		o.step(o.self, quorum.Error, err)
	} else {
		o.step(o.self, quorum.Durable, nil)
	}
	o.release()
}

func (o *put) expired() {
	o.mu.Lock()
	// A quorum that is met waits for the answer to be made, not for more.
	outcome := o.tally.Expire()
	decided := (o.ready || outcome != quorum.Met) && o.decide()
	acks, err := o.tally.Acks(), o.tally.Err()
	o.mu.Unlock()
	if decided {
		o.finish(acks, err)
	}
}

// step counts an event and tells the outcome when it decides it.
func (o *put) step(i int, ev quorum.Event, err error) {
	o.mu.Lock()
	outcome := o.tally.Step(i, ev, err)
	decided := outcome != quorum.Pending && o.ready && o.decide()
	acks := o.tally.Acks()
	if decided {
		err = o.tally.Err()
	}
	o.mu.Unlock()
	if decided {
		o.finish(acks, err)
	}
}

func (o *put) finish(acks int, err error) {
	o.c.Stats.PutDone(Ended{Took: o.took(), Asked: o.asked, Answered: acks, Err: err})
	if err != nil {
		o.tell(wire.Answer{}, err)
		return
	}
	o.tell(o.answer, nil)
}
