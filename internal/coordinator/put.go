package coordinator

import (
	"errors"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/quorum"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// put is one put or delete that this node coordinates.
type put struct {
	flight
	slots
	// Guarded by flight.mu.
	tally quorum.Put
	// ready is set once the local write has returned: before that its durable
	// acknowledgement may already be in, but there is no answer to give yet.
	ready bool

	// What is sent; key and object are copies of this request's own, because an
	// owner may fail, and a stand-in be asked, long after the caller has gone.
	call   wire.Call
	key    kv.Key
	object []byte
	floor  uint64
	// w and dw are what the tally needs; with dw=0 the node that serves the slot
	// buffered is asked for a durable write all the same.
	w, dw, buffered int

	buf    []byte
	sealed []byte
	// msg is the first messages' only: later ones may overlap.
	msg    wire.ReplicaPut
	answer wire.Answer
}

func newPut(c *Coordinator) *put {
	o := &put{}
	o.c, o.expire, o.slow, o.recycle = c, o.expired, o.hurry, o.reset
	return o
}

// maxKept bounds the buffers that a finished request keeps for the next one, in
// bytes.
const maxKept = 256 << 10

func (o *put) reset() {
	if cap(o.buf) > maxKept {
		o.buf = nil
	}
	o.slots.end()
	o.tally, o.ready, o.msg, o.answer = quorum.Put{}, false, wire.ReplicaPut{}, wire.Answer{}
	o.object = nil
	o.c.puts.Put(o)
}

// coordinatePut writes the node's own copy, or its hint, sends the result,
// encoded once, to the other owners, and lets the answers do the rest. The local
// fsync and the sends run side by side.
func (c *Coordinator) coordinatePut(p *plan, ctx object.Context, start time.Time, to Receiver) {
	if err := c.reachable("put", p, max(p.Options.W, p.Options.DW)); err != nil {
		c.Stats.PutDone(Ended{Err: err})
		to.Receive(wire.Answer{}, err)
		return
	}
	o := c.puts.Get().(*put)
	o.begin(p, c.loose(p))
	o.w, o.dw = int(p.Options.W), int(p.Options.DW)
	need := quorum.Need{W: o.w, DW: o.dw, Old: quorum.All(len(p.owners)), Loose: o.loose}
	if c.omits(OmitLastAck) {
		need.W, need.DW = o.w-1, min(o.dw, o.w-1)
	}
	o.tally = quorum.NewPut(need)
	o.call = wire.Call{Type: wire.TypeReplicaPut, Deadline: p.Deadline, Level: kv.LevelOf(p.ring.Epoch())}
	o.launch(start, p.Deadline, to)
	defer o.release()
	if err := o.writeLocal(p, ctx); err != nil {
		o.refused(p, ctx, err)
		return
	}
	o.spread()
}

// writeLocal carries out the local write and makes the answer. An error means
// that nothing was applied.
func (o *put) writeLocal(p *plan, ctx object.Context) error {
	write := object.Write{
		Merge: p.props.Merge, Context: ctx, Now: kv.TimeOf(o.start), MaxClock: o.c.cfg.MaxClock,
		Deleted: p.Update.Deleted, ContentType: p.Update.ContentType, Value: p.Update.Value,
	}
	if o.c.omits(OmitSiblings) {
		write.Merge = kv.MergeLWW
	}
	var durable storage.Waiter
	if o.dw > 0 {
		o.hold(1)
		durable = o
	}
	obj, dropped, err := o.write(p, &write, durable)
	if err != nil {
		if durable != nil {
			o.refs.Add(-1)
		}
		return err
	}
	if dropped > 0 {
		o.c.Stats.Truncated(dropped)
	}
	o.makeAnswer(obj, p.Options.ReturnBody)
	o.key, o.object = append(o.key[:0], p.Key...), obj.Bytes()
	return nil
}

// write writes the node's own copy, or as a stand-in its hint.
func (o *put) write(p *plan, w *object.Write, durable storage.Waiter) (obj object.Object, dropped int, err error) {
	if p.standIn {
		o.floor = 0
		obj, o.buf, dropped, err = o.c.Hints.PutHint(kv.LevelOf(p.ring.Epoch()), p.owners[p.self], p.partition, p.Key, *w, o.buf[:0], durable)
		if err == nil {
			o.c.Stats.StandIn()
		}
		return obj, dropped, err
	}
	// The object stands for what the floor covers if the copy had that floor all
	// the while.
	_, o.floor = o.c.Local.Floor(p.partition)
	obj, o.buf, dropped, err = o.c.Local.Put(kv.LevelOf(p.ring.Epoch()), p.partition, p.Key, *w, o.buf[:0], durable)
	if _, now := o.c.Local.Floor(p.partition); now != o.floor {
		o.floor = 0
	}
	return obj, dropped, err
}

// refused ends a put whose local write was refused, or passes it on if the
// refusal is this node's own affair: nothing was applied.
func (o *put) refused(p *plan, ctx object.Context, err error) {
	o.mu.Lock()
	decided := o.decide()
	o.mu.Unlock()
	switch {
	case !decided:
	case !p.Forwarded && ownAffair(err):
		o.c.waiting.Add(-1)
		o.c.forward(wire.TypePut, p, ctx.Fastest, o.start, o.to, err)
	default:
		o.finish(0, err)
	}
}

// ownAffair tells whether another node may take a write that this one refuses.
func ownAffair(err error) bool {
	switch kv.KindOf(err) {
	case kv.KindDiskFull, kv.KindStorage, kv.KindCorrupt, kv.KindHintsFull:
		return kv.AppliedOf(err) == kv.AppliedNo
	}
	return false
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

// nobody stands in for a place in the preference list.
const nobody = -1

// spread counts the local write, and sends the object to the other owners, or to
// stand-ins for those that are down.
func (o *put) spread() {
	var first [kv.MaxReplicas]int
	o.mu.Lock()
	o.ready = true
	o.at[o.self].heard, o.at[o.self].served = true, true
	o.count(o.self, o.place, quorum.Applied)
	o.buffered = nobody
	for i := range o.owners {
		first[i] = o.choose(i)
		if o.buffered == nobody && first[i] != nobody {
			o.buffered = i
		}
	}
	o.unlock()
	for i := range o.owners {
		if first[i] != nobody {
			o.send(i, first[i], &o.msg)
		}
	}
	o.msg = wire.ReplicaPut{}
}

// choose returns whom to ask first for slot i. The caller holds mu.
func (o *put) choose(i int) (place int) {
	id := o.owners[i]
	switch {
	case id == o.c.Self:
		return nobody
	case o.c.Peers.Up(id):
		o.at[i].out++
		return i
	}
	return o.lose(i, i, errDown(id))
}

// lose counts that the node at place does not serve slot i, and returns whom to
// ask in its stead. The caller holds mu.
func (o *put) lose(i, place int, err error) (next int) {
	s := &o.at[i]
	next = nobody
	if !s.served && s.out == 0 && kv.KindOf(err) != kv.KindStaleRing {
		next = o.standIn(i)
	}
	switch {
	case !o.counts(place):
		// It was counted as aside when it was asked.
	case o.loose && (next != nobody || s.out > 0 || s.served):
		o.tally.Step(i, quorum.Missed, err)
	default:
		o.tally.Step(i, quorum.Error, err)
	}
	return next
}

// standIn returns the place of a node that is now asked to stand in in slot i.
// The caller holds mu.
func (o *put) standIn(i int) int {
	if !o.c.Now().Before(o.deadline) {
		return nobody
	}
	place, ok := o.nextStandIn(o.c)
	if !ok {
		return nobody
	}
	o.at[i].out++
	o.at[i].fresh = true
	if !o.counts(place) {
		o.tally.Step(i, quorum.Aside, nil)
	}
	return place
}

// count counts what the node at place says of slot i. The caller holds mu.
func (o *put) count(i, place int, ev quorum.Event) {
	if !o.counts(place) {
		ev = quorum.Aside
	}
	o.tally.Step(i, ev, nil)
}

// unlock lets go of mu, and tells the outcome if there is one that was not told.
func (o *put) unlock() {
	decided := o.ready && o.tally.Outcome() != quorum.Pending && o.decide()
	var acks int
	var err error
	if decided {
		acks, err = o.tally.Acks(), o.tally.Err()
	}
	o.mu.Unlock()
	if decided {
		o.finish(acks, err)
	}
}

// send sends the object to the node at place, for slot i, by way of m.
func (o *put) send(i, place int, m *wire.ReplicaPut) {
	id := o.owners[i]
	*m = wire.ReplicaPut{Ack: o.ack(i), Floor: o.floor, Key: o.key, Object: o.object}
	o.hold(1)
	if !o.isOwner(place) {
		// A hint is nobody's copy: it has no floor.
		m.For, m.Floor = id, 0
		if o.c.omits(OmitOwners) {
			m.For = stranger
		}
		if o.c.omits(OmitHints) {
			o.Complete(tagOf(i, place), wire.Response{Payload: []byte{byte(wire.AckDurable)}}, nil)
			return
		}
		o.mu.Lock()
		id = o.node(place)
		o.mu.Unlock()
	}
	o.c.Peers.Call(id, o.call, m, o, tagOf(i, place))
}

// ack returns what whoever serves slot i is asked to acknowledge. With dw=0
// (§6.1) one of them is asked for a durable write that nobody waits for.
func (o *put) ack(i int) wire.Ack {
	switch {
	case o.dw == 0 && i != o.buffered:
		return wire.AckApplied
	case o.dw < o.w:
		return wire.AckBoth
	}
	return wire.AckDurable
}

// Complete implements wire.Completion for the other nodes' answers.
func (o *put) Complete(tag uint32, resp wire.Response, err error) {
	last := err != nil || !resp.Interim
	i, place := ofTag(tag)
	var ack wire.Ack
	if err == nil {
		ack, err = wire.ParseAck(resp.Payload)
	}
	switch {
	case err != nil && !last:
		// It will say more.
	case err != nil:
		o.missed(i, place, err)
	case ack == wire.AckDurable:
		o.acked(i, place, quorum.Durable, last)
	case last && o.dw > 0:
		// Its last word, and it does not say what was asked for.
		o.acked(i, place, quorum.Applied, false)
		o.missed(i, place, errNotDurable)
	default:
		o.acked(i, place, quorum.Applied, last)
	}
	if last {
		o.release()
	}
}

// errNotDurable stands for the durable acknowledgement that a node did not give.
var errNotDurable = &kv.Error{
	Op: "put", Kind: kv.KindInternal, Applied: kv.AppliedUnknown, Err: errors.New("a node answered without making the write durable"),
}

// acked counts an acknowledgement.
func (o *put) acked(i, place int, ev quorum.Event, last bool) {
	o.mu.Lock()
	s := &o.at[i]
	s.heard = true
	if last {
		s.out--
		s.served = true
	}
	o.count(i, place, ev)
	o.unlock()
	if last && !o.isOwner(place) {
		o.c.Stats.StandIn()
	}
}

// missed counts a failure, and asks the next node.
func (o *put) missed(i, place int, err error) {
	o.mu.Lock()
	id := o.node(place)
	o.at[i].out--
	next := o.lose(i, place, at(id, err))
	o.unlock()
	o.c.refresh(id, err)
	if next != nobody {
		o.send(i, next, new(wire.ReplicaPut))
	}
}

// hurry asks stand-ins for those that take too long.
func (o *put) hurry() {
	var next [kv.MaxReplicas]int
	o.mu.Lock()
	for i := range o.owners {
		s := &o.at[i]
		next[i] = nobody
		switch {
		case !o.ready, s.heard, s.out == 0:
		case s.fresh:
			s.fresh = false
		default:
			next[i] = o.standIn(i)
		}
	}
	o.unlock()
	for i := range o.owners {
		if next[i] != nobody {
			o.send(i, next[i], new(wire.ReplicaPut))
		}
	}
}

// Durable implements storage.Waiter for the local write.
func (o *put) Durable(err error) {
	o.mu.Lock()
	switch {
	case err == nil:
		o.count(o.self, o.place, quorum.Durable)
	case !o.counts(o.place):
	case o.at[o.self].out > 0:
		o.tally.Step(o.self, quorum.Missed, err)
	default:
		o.tally.Step(o.self, quorum.Error, err)
	}
	o.unlock()
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

func (o *put) finish(acks int, err error) {
	o.c.Stats.PutDone(Ended{Took: o.took(), Asked: len(o.owners), Answered: acks, Err: err})
	if err != nil {
		o.tell(wire.Answer{}, err)
		return
	}
	o.tell(o.answer, nil)
}
