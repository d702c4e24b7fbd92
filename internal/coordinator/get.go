package coordinator

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/quorum"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// get is one get that this node coordinates. Replicas are known by their place
// among the owners.
type get struct {
	flight
	// Guarded by flight.mu.
	tally quorum.Get
	// seen is the reconciliation of all copies that came in. It refers to
	// copies, mixed or buf.
	seen   object.Object
	copies [kv.MaxReplicas][]byte
	mixed  []byte

	asked  int
	buf    []byte
	sealed []byte
	msg    wire.ReplicaRead
}

func newGet(c *Coordinator) *get {
	o := &get{}
	o.c, o.expire, o.recycle = c, o.expired, o.reset
	return o
}

func (o *get) reset() {
	for i := range o.copies {
		if cap(o.copies[i]) > maxKept {
			o.copies[i] = nil
		}
	}
	if cap(o.buf) > maxKept {
		o.buf = nil
	}
	if cap(o.mixed) > maxKept {
		o.mixed = nil
	}
	o.tally, o.seen, o.msg = quorum.Get{}, object.Object{}, wire.ReplicaRead{}
	o.c.gets.Put(o)
}

// coordinateGet reads the node's own copy, and asks the other owners for
// theirs unless they have the same version. A get that needs one answer takes
// the node's own.
func (c *Coordinator) coordinateGet(p plan, start time.Time, to Receiver) {
	if err := c.reachable("get", p, p.Options.R); err != nil {
		c.Stats.GetDone(Ended{Err: err})
		to.Receive(wire.Answer{}, err)
		return
	}
	o := c.gets.Get().(*get)
	o.launch(start, p.Deadline, to)
	defer o.release()
	o.tally = quorum.NewGet(len(p.owners), int(p.Options.R))
	if o.asked = len(p.owners); p.Options.R == 1 {
		o.asked = 1
	}
	var err error
	o.seen, o.buf, err = c.Local.Read(p.partition, p.Key, o.buf[:0])
	o.msg = wire.ReplicaRead{Key: p.Key, Have: object.VersionHash(o.seen)}
	ev := quorum.Answered
	if err != nil {
		ev = quorum.Error
	}
	for i, id := range p.owners {
		if id == c.Self {
			o.step(i, ev, err, object.Object{})
		}
	}
	if p.Options.R > 1 || err != nil {
		o.askAll(p)
	}
}

func (o *get) askAll(p plan) {
	call := wire.Call{Type: wire.TypeReplicaRead, Deadline: p.Deadline, Epoch: p.ring.Epoch()}
	for i, id := range p.owners {
		switch {
		case id == o.c.Self:
		case !o.c.Peers.Up(id):
			o.step(i, quorum.Error, errDown(id), object.Object{})
		default:
			o.hold(1)
			o.c.Peers.Call(id, call, &o.msg, o, uint32(i))
		}
	}
	o.msg.Key = nil
}

// Complete implements wire.Completion for the other owners' answers.
func (o *get) Complete(tag uint32, resp wire.Response, err error) {
	if err == nil && resp.Interim {
		return
	}
	defer o.release()
	var m wire.ReplicaCopy
	if err == nil {
		m, err = wire.ParseReplicaCopy(resp.Payload)
	}
	var in object.Object
	if err == nil && m.Copy == wire.CopyObject {
		in, err = object.Parse(m.Object)
	}
	if err != nil {
		o.step(int(tag), quorum.Error, err, object.Object{})
		return
	}
	o.step(int(tag), quorum.Answered, nil, in)
}

// step counts an event, takes the object that came with it into what was seen,
// and tells the outcome when it decides it.
func (o *get) step(i int, ev quorum.Event, err error, in object.Object) {
	o.mu.Lock()
	if !o.answered && in.Bytes() != nil {
		if mergeErr := o.merge(i, in); mergeErr != nil {
			ev, err = quorum.Error, mergeErr
		}
	}
	outcome := o.tally.Step(i, ev, err)
	decided := outcome != quorum.Pending && o.decide()
	answers := o.tally.Answers()
	if decided {
		err = o.tally.Err()
	}
	o.mu.Unlock()
	if decided {
		o.finish(answers, err)
	}
}

// merge takes a copy, whose bytes are borrowed, into what was seen. The caller
// holds mu.
func (o *get) merge(i int, in object.Object) error {
	o.copies[i] = append(o.copies[i][:0], in.Bytes()...)
	in, err := object.Parse(o.copies[i])
	if err != nil {
		return err
	}
	// What was mixed before stays where it is: seen may refer to it.
	seen, mixed, _, err := object.Merge(o.mixed[len(o.mixed):], o.seen, in)
	if err == nil {
		o.seen, o.mixed = seen, mixed
	}
	return err
}

func (o *get) expired() {
	o.mu.Lock()
	o.tally.Expire()
	decided := o.decide()
	answers, err := o.tally.Answers(), o.tally.Err()
	o.mu.Unlock()
	if decided {
		o.finish(answers, err)
	}
}

// finish tells the outcome. What was seen changes no more: step looks at
// answered first.
func (o *get) finish(answers int, err error) {
	var a wire.Answer
	if err == nil && o.seen.Bytes() != nil {
		ctx := object.ContextOf(o.seen)
		ctx.Fastest = o.c.Self
		o.sealed, err = o.c.Cluster.Sealer().AppendSealed(o.sealed[:0], ctx)
		a = wire.Answer{Context: o.sealed, Object: o.seen.Bytes()}
	}
	o.c.Stats.GetDone(Ended{Took: o.took(), Asked: o.asked, Answered: answers, Siblings: o.seen.Live(), Err: err})
	if err != nil {
		o.tell(wire.Answer{}, err)
		return
	}
	o.tell(a, nil)
}
