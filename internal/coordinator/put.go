package coordinator

import (
	"errors"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/quorum"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// put is one put or delete that this node coordinates.
type put struct {
	flight
	slots
	// All up to acks are guarded by flight.mu.
	timing
	// followed is when a put was answered that is followed until all owners have
	// it, zero for others.
	followed time.Time
	tally    quorum.Put
	// ready is set once the local write has returned: before that its durable
	// acknowledgement may already be in, but there is no answer to give yet.
	ready bool
	// syncing tells that the local write is still to become durable.
	syncing bool

	// round is the present attempt, past are those before it, and acks what they
	// were told of owners that take part no more; retries of the attempts were made
	// without news of the ring. Guarded by flight.mu.
	round   round
	past    []attempt
	acks    []ack
	retries int

	// What is sent; key and object are copies of this request's own, because an
	// owner may fail, and a stand-in be asked, long after the caller has gone.
	key    kv.Key
	object []byte
	floor  uint64
	// home is the owner whose slot the local write serves.
	home kv.NodeID
	// w and dw are what the tally needs.
	w, dw int

	buf    []byte
	sealed []byte
	// msg is the first messages' only: later ones may overlap.
	msg    wire.ReplicaPut
	answer wire.Answer
}

// round is what the messages of one attempt have in common.
type round struct {
	call   wire.Call
	owners []kv.NodeID
	number int
}

// target is a node that is asked, and its place; none has no id.
type target struct {
	id    kv.NodeID
	place int
}

// targets are those that are asked first, one for each slot.
type targets [maxSlots]target

func newPut(c *Coordinator) *put {
	o := &put{}
	o.c, o.expire, o.slow, o.goOn, o.recycle = c, o.expired, o.hurry, o.resume, o.reset
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
	o.timing, o.followed = timing{}, time.Time{}
	o.tally, o.ready, o.syncing, o.msg, o.answer = quorum.Put{}, false, false, wire.ReplicaPut{}, wire.Answer{}
	o.object, o.round = nil, round{}
	if len(o.past) > 0 {
		clear(o.past)
		o.past, o.acks, o.retries = o.past[:0], o.acks[:0], 0
	}
	o.c.puts.Put(o)
}

// coordinatePut writes the node's own copy, or its hint, sends the result,
// encoded once, to the other owners, and lets the answers do the rest. The local
// fsync and the sends run side by side. A put that is prompt is not begun if its own
// copy is on the disk.
func (c *Coordinator) coordinatePut(p *plan, ctx object.Context, start time.Time, to Receiver, prompt bool) (done bool) {
	if err := c.reachable("put", p, max(p.Options.W, p.Options.DW), p.view.Old, p.view.New); err != nil {
		c.Stats.PutDone(refusedAtOnce(&p.Request, err))
		to.Receive(wire.Answer{}, err)
		return true
	}
	o := c.puts.Get().(*put)
	o.begin(p, c.loose(p), start)
	o.timing, o.key = c.timing(p, start), append(o.key[:0], p.Key...)
	o.w, o.dw = int(p.Options.W), int(p.Options.DW)
	o.home = p.owners[p.self]
	o.tally = quorum.NewPut(o.needs(&p.view))
	o.round = round{
		call:   wire.Call{Type: wire.TypeReplicaPut, Deadline: p.Deadline, Level: p.view.Level},
		owners: p.owners,
	}
	o.launch(start, p.Deadline, to)
	defer o.release()
	if err := o.writeLocal(p, ctx, prompt); err != nil {
		return o.refused(p, ctx, err)
	}
	o.spread()
	return true
}

// nobody stands in for a slot.
const nobody = -1

// spread counts the local write, and sends the object to the other owners, or to
// stand-ins for those that are down.
func (o *put) spread() {
	var first targets
	o.mu.Lock()
	o.ready = true
	s := &o.at[o.self]
	s.heard, s.served, s.by = true, true, o.c.Self
	o.count(o.self, o.place, quorum.Applied)
	if o.tally.Outcome() == quorum.Pending {
		o.asksNow(&o.flight, &o.timing)
	}
	o.chooseAll(&first)
	r := o.round
	o.unlock()
	o.sendAll(&r, &first, &o.msg)
	o.msg = wire.ReplicaPut{}
}

// chooseAll tells whom to ask first for each slot. The caller holds mu.
func (o *put) chooseAll(first *targets) {
	for i := range o.owners {
		first[i] = o.choose(i)
	}
}

// choose returns whom to ask first for slot i. The caller holds mu.
func (o *put) choose(i int) target {
	id := o.owners[i]
	switch {
	case o.settled(i):
		return target{}
	case id == o.c.Self:
		return o.lose(i, i, errNotHere)
	case o.c.Peers.Up(id):
		o.at[i].out++
		return target{id, i}
	}
	return o.lose(i, i, errDown(id))
}

// settled tells whether slot i is served, or will be, without anybody being asked.
// The caller holds mu.
func (o *put) settled(i int) bool {
	s := &o.at[i]
	switch own := o.owners[i] == o.c.Self; {
	case s.by == 0 || s.by == o.c.Self && !own:
		return false
	case own && o.syncing:
		return true
	}
	return o.dw == 0 || o.tally.Durable(i) || s.out > 0
}

func (o *put) sendAll(r *round, first *targets, m *wire.ReplicaPut) {
	for i := range r.owners {
		if first[i].id != 0 {
			o.send(r, i, first[i], m)
		}
	}
}

// lose counts that the node at place does not serve slot i, and returns whom to
// ask in its stead. The caller holds mu.
func (o *put) lose(i, place int, err error) (next target) {
	s := &o.at[i]
	if !s.served && s.out <= 0 {
		next = o.standIn(i)
	}
	switch {
	case !o.counts(place):
		// It was counted as aside when it was asked.
	case o.loose && (next.id != 0 || s.out > 0 || s.served):
		o.tally.Step(i, quorum.Missed, err)
	default:
		o.tally.Step(i, quorum.Error, err)
	}
	return next
}

// standIn returns a node that is now asked to stand in in slot i. The caller
// holds mu.
func (o *put) standIn(i int) target {
	if o.over() {
		return target{}
	}
	place, ok := o.ask(o.c, i)
	if !ok {
		return target{}
	}
	if !o.counts(place) {
		o.tally.Step(i, quorum.Aside, nil)
	}
	return target{o.node(place), place}
}

// count counts what the node at place says of slot i, and tells whether that was
// the last word. The caller holds mu.
func (o *put) count(i, place int, ev quorum.Event) (decided bool) {
	if !o.counts(place) {
		ev = quorum.Aside
	}
	pending := o.tally.Outcome() == quorum.Pending
	return o.tally.Step(i, ev, nil) != quorum.Pending && pending
}

// unlock lets go of mu, and tells the outcome if there is one that was not told.
// A failure is none yet if by now the ring asks for something else.
func (o *put) unlock() {
	outcome := o.tally.Outcome()
	if !o.ready || outcome == quorum.Pending || o.answered {
		o.mu.Unlock()
		return
	}
	if outcome == quorum.Failed && (o.parked.Load() || o.c.ahead(o.partition, o.round.call.Level)) {
		o.park()
		o.mu.Unlock()
		o.resume()
		return
	}
	o.decide()
	o.sample()
	if outcome == quorum.Failed {
		o.waitsFor()
	}
	asked, acks, err := len(o.owners), o.tally.Acks(), o.tally.Err()
	o.mu.Unlock()
	o.finish(asked, acks, err)
}

// send sends the object to a node, for slot i, by way of m.
func (o *put) send(r *round, i int, to target, m *wire.ReplicaPut) {
	*m = wire.ReplicaPut{Ack: o.ack(), Floor: o.floor, Key: o.key, Object: o.object}
	o.hold(1)
	tag := tagOf(i, to.place) | uint32(r.number)<<attemptBit
	if to.id != r.owners[i] {
		// A hint is nobody's copy: it has no floor.
		m.For, m.Floor = r.owners[i], 0
		if o.c.omits(OmitOwners) {
			m.For = stranger
		}
		if o.c.omits(OmitHints) {
			o.Complete(tag, wire.Response{Payload: []byte{byte(wire.AckDurable)}}, nil)
			return
		}
	}
	o.c.Peers.Call(to.id, r.call, m, o, tag)
}

// ack returns what the others are asked to acknowledge.
func (o *put) ack() wire.Ack {
	switch {
	case o.dw == 0:
		return wire.AckApplied
	case o.dw < o.w:
		return wire.AckBoth
	}
	return wire.AckDurable
}

// Complete implements wire.Completion for the other nodes' answers.
func (o *put) Complete(tag uint32, resp wire.Response, err error) {
	last := err != nil || !resp.Interim
	var ack wire.Ack
	if err == nil {
		ack, err = wire.ParseAck(resp.Payload)
	}
	switch {
	case err != nil && !last:
		// It will say more.
	case err != nil:
		o.missed(tag, err)
	case ack == wire.AckDurable:
		o.acked(tag, quorum.Durable, last)
	case last && o.dw > 0:
		// Its last word, and it does not say what was asked for.
		o.acked(tag, quorum.Applied, false)
		o.missed(tag, errNotDurable)
	default:
		o.acked(tag, quorum.Applied, last)
	}
	if last {
		o.release()
	}
}

// errNotHere stands for the copy of a coordinator that has become an owner after
// it has made its hint, or that could not make its write durable.
var errNotHere = kv.Errorf(kv.KindUnavailable, "put", "this node has no durable copy")

// errNotDurable stands for the durable acknowledgement that a node did not give.
var errNotDurable = &kv.Error{
	Op: "put", Kind: kv.KindInternal, Applied: kv.AppliedUnknown, Err: errors.New("a node answered without making the write durable"),
}

// acked counts an acknowledgement.
func (o *put) acked(tag uint32, ev quorum.Event, last bool) {
	o.mu.Lock()
	i, owner, by := o.asked(tag)
	if i == nobody {
		o.keep(ack{owner, by.id, ev == quorum.Durable})
		o.mu.Unlock()
	} else {
		s := &o.at[i]
		s.heard = true
		if last {
			s.out--
			s.served = true
		}
		if s.by != owner && o.counts(by.place) {
			if s.by = by.id; by.id == owner {
				o.arrived()
			}
		}
		if o.count(i, by.place, ev) {
			o.decidedBy(o.c, by.id, ev)
		}
		o.unlock()
	}
	if last && by.id != owner {
		o.c.Stats.StandIn()
	}
}

// missed counts a failure, and asks the next node. Nobody stands in for one that
// refuses because the ring has changed: the put goes on when it is known how.
func (o *put) missed(tag uint32, err error) {
	var next target
	o.mu.Lock()
	i, _, by := o.asked(tag)
	if i != nobody {
		o.at[i].out--
		switch {
		case !isStale(err):
			next = o.lose(i, by.place, at(by.id, err))
			o.failedBy(&o.flight, o.tally.Outcome(), by.id)
		case !o.settled(i) && (int(tag>>attemptBit) == o.round.number || o.at[i].out <= 0):
			o.tally.Step(i, quorum.Missed, at(by.id, err))
			o.park()
		}
	}
	r := o.round
	o.unlock()
	if next.id != 0 {
		o.send(&r, i, next, new(wire.ReplicaPut))
	}
	if isStale(err) {
		o.c.refresh(by.id, err)
		o.resume()
	}
}

// hurry asks stand-ins for those that take too long.
func (o *put) hurry() {
	o.again(true)
	var next targets
	now := o.c.Now()
	o.mu.Lock()
	for i := range o.owners {
		s := &o.at[i]
		switch {
		case !o.ready, s.heard, s.out <= 0:
		case s.fresh:
			s.fresh = false
		case o.late(&o.flight, i, now):
			next[i] = o.standIn(i)
		}
	}
	r := o.round
	o.unlock()
	for i := range r.owners {
		if next[i].id != 0 {
			o.send(&r, i, next[i], new(wire.ReplicaPut))
		}
	}
}

// Durable implements storage.Waiter for the local write.
func (o *put) Durable(err error) {
	o.mu.Lock()
	o.syncing = false
	switch {
	case o.self == nobody:
		if err == nil {
			o.keep(ack{o.home, o.c.Self, true})
		}
	case err == nil:
		if o.count(o.self, o.place, quorum.Durable) {
			o.decidedBy(o.c, o.c.Self, quorum.Durable)
		}
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
	if decided && outcome == quorum.Failed {
		o.waitsFor()
	}
	acks, err := o.tally.Acks(), o.tally.Err()
	asked := len(o.owners)
	o.mu.Unlock()
	if decided {
		o.finish(asked, acks, err)
	}
	if o.unpark() {
		o.release()
	}
}

func (o *put) finish(asked, acks int, err error) {
	took := o.took()
	stage, peer := o.blame(took)
	o.c.Stats.PutDone(Ended{
		Key: o.key, Took: took, Inner: o.inner, Stage: stage, Peer: peer, Asked: asked, Answered: acks, Err: err,
	})
	if err != nil {
		o.tell(wire.Answer{}, err)
		return
	}
	o.tell(o.answer, nil)
}
