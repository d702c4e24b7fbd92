package coordinator

import (
	"errors"
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/quorum"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// get is one get that this node coordinates.
type get struct {
	flight
	slots
	// All up to answers are guarded by flight.mu.
	timing
	tally quorum.Get
	// seen is the reconciliation of the copies that came in before the answer,
	// and floor that of their floors: what its holders had seen. It refers to
	// own, answers or mixed.
	seen  object.Object
	floor vclock.Floor
	mixed []byte
	// out is how many of those asked have not answered, in all slots.
	out int
	// reserve is how many owners were not asked yet.
	reserve int
	// hedged tells that one was asked because others took too long.
	hedged bool
	// copies tells that the node has a copy of its own, not just hints.
	copies bool
	// differ tells that some answer was not that of the node's own copy, failed
	// that the get was.
	differ, failed bool
	// answers are all that came in; merged of them are in seen.
	answers []copyOf
	merged  int

	// given to retries are the request, should it start again.
	given                kv.Options
	forwarded, asStandIn bool
	retries              int
	carried              *carried

	own    ownCopy
	asked  int
	call   wire.Call
	key    kv.Key
	buf    []byte
	sealed []byte
	// shown is what is left of seen where something has expired.
	shown []byte
	// msg is the first messages' only: later ones may overlap.
	msg wire.ReplicaRead
}

// copyOf is the answer of the node at place, for slot.
type copyOf struct {
	slot, place int
	copy        wire.Copy
	// floor is the holder's, other tells that it is not that of the own copy.
	floor vclock.Floor
	other bool
	// buf has the object of a wire.CopyObject.
	buf []byte
}

func newGet(c *Coordinator) *get {
	o := &get{}
	o.c, o.expire, o.slow, o.goOn, o.recycle = c, o.expired, o.hurry, o.resume, o.reset
	o.flight.hedge, o.gets = o.hedge, 1
	return o
}

func (o *get) reset() {
	for i := range o.answers {
		a := &o.answers[i]
		if a.floor = nil; cap(a.buf) > maxKept {
			a.buf = nil
		}
	}
	if cap(o.buf) > maxKept {
		o.buf = nil
	}
	if cap(o.mixed) > maxKept {
		o.mixed = nil
	}
	if cap(o.shown) > maxKept {
		o.shown = nil
	}
	o.slots.end()
	o.timing = timing{}
	o.tally, o.msg, o.own = quorum.Get{}, wire.ReplicaRead{}, ownCopy{}
	o.seen, o.floor, o.mixed = object.Object{}, nil, o.mixed[:0]
	o.answers, o.merged, o.differ, o.failed, o.carried = o.answers[:0], 0, false, false, nil
	o.reserve, o.hedged = 0, false
	o.c.gets.Put(o)
}

// coordinateGet reads the node's own copy, and asks the other owners, or
// stand-ins for those that are down, for theirs unless they have the same
// version. A get that needs one answer takes the node's own. One that is prompt is
// not begun if its own copy is on the disk.
func (c *Coordinator) coordinateGet(p *plan, start time.Time, to Receiver, prompt bool) (done bool) {
	if err := c.reachable("get", p, p.Options.R, p.owners); err != nil {
		c.Stats.GetDone(refusedAtOnce(&p.Request, err))
		to.Receive(wire.Answer{}, err)
		return true
	}
	o := c.gets.Get().(*get)
	o.begin(p, c.loose(p), start)
	o.timing = c.timing(p, start)
	o.tally, o.asked = quorum.NewGet(len(p.owners), int(p.Options.R)), 1
	o.call = wire.Call{Type: wire.TypeReplicaRead, Deadline: p.Deadline, Level: p.view.Level}
	o.given, o.forwarded, o.asStandIn, o.retries, o.carried = p.given, p.Forwarded, p.StandIn, p.retries, p.carried
	o.key = append(o.key[:0], p.Key...)
	if o.readOwn(p, prompt); errors.Is(o.own.err, storage.ErrWaits) {
		o.reset()
		return false
	}
	o.launch(start, p.Deadline, to)
	o.spread(o.mayHold(p), int(p.Options.R)-1)
	if isStale(o.own.err) {
		o.resume()
		c.askAround(p)
	}
	o.release()
	return true
}

// spread counts the node's own copy, and if that is not enough asks for those of
// the others: of need of them, if hold is set and they are all well, or of all.
func (o *get) spread(hold bool, need int) {
	var first [maxSlots]int
	o.mu.Lock()
	o.countOwn()
	o.countCarried()
	if o.tally.Outcome() != quorum.Pending {
		o.unlock()
		return
	}
	if !hold || !o.chooseNear(need, &first) {
		o.chooseAll(&first)
	}
	o.unlock()
	for i := range o.owners {
		if first[i] != nobody {
			o.send(i, first[i], &o.msg)
		}
	}
}

// chooseAll picks all owners, or who stands in for them. The caller holds mu.
func (o *get) chooseAll(first *[maxSlots]int) {
	o.asked = len(o.owners)
	for i := range o.owners {
		first[i] = o.choose(i)
	}
	if o.own.err != nil {
		o.loseOwn(first)
	}
}

// choose returns whom to ask first for slot i. The caller holds mu.
func (o *get) choose(i int) (place int) {
	id := o.owners[i]
	switch {
	case id == o.c.Self || o.at[i].heard && o.carried != nil:
		return nobody
	case o.c.Peers.Up(id):
		o.at[i].out++
		o.out++
		return i
	}
	return o.lose(i, i, errDown(id))
}

// lose counts that the node at place does not serve slot i, and returns whom to
// ask in its stead. The caller holds mu.
func (o *get) lose(i, place int, err error) (next int) {
	s := &o.at[i]
	next = nobody
	if !s.heard && s.out == 0 {
		next = o.standIn(i)
	}
	switch {
	case !o.counts(place):
	case next != nobody || s.out > 0 || s.heard:
		o.tally.Step(i, quorum.Missed, err)
	default:
		o.tally.Step(i, quorum.Error, err)
	}
	return next
}

// standIn returns the place of a node that is now asked to stand in in slot i.
// Once the answer is given nobody is. The caller holds mu.
func (o *get) standIn(i int) int {
	if o.answered || !o.loose || o.over() {
		return nobody
	}
	place, ok := o.ask(o.c, i)
	if !ok {
		return nobody
	}
	o.out++
	return place
}

// putOff counts that the owner of slot i refuses because the ring has changed.
// Nobody stands in for it: if the others are not enough the get starts again, when
// it is known of whom. The caller holds mu.
func (o *get) putOff(i int, err error) {
	if o.tally.Step(i, quorum.Missed, err); !o.answered {
		o.park()
	}
}

// unlock lets go of mu, and tells the outcome if there is one that was not told,
// unless the get is to start again. It tells whether the get has ended.
func (o *get) unlock() (ended bool) {
	if o.tally.Outcome() != quorum.Pending && !o.answered && o.outdated() {
		o.park()
		o.mu.Unlock()
		o.resume()
		return false
	}
	return o.conclude()
}

// conclude is unlock for a get that does not start again.
func (o *get) conclude() (ended bool) {
	decided := o.tally.Outcome() != quorum.Pending && o.decide()
	var answers int
	var err error
	won := false
	if decided {
		answers, err = o.tally.Answers(), o.tally.Err()
		o.failed = err != nil
		won = o.hedged && o.hedgeWon()
	}
	ended = o.answered
	if decided && err != nil {
		o.waitsFor()
	}
	o.mu.Unlock()
	if won {
		o.c.Stats.Hedge(hedge.Won)
	}
	if decided {
		o.finish(answers, err)
		if o.unpark() {
			o.release()
		}
	}
	return ended
}

// send asks the node at place, for slot i, by way of m.
func (o *get) send(i, place int, m *wire.ReplicaRead) {
	*m = wire.ReplicaRead{Have: o.own.digest, Floor: o.own.version, Hints: !o.isOwner(place), Key: o.key}
	id := o.owners[i]
	if !o.isOwner(place) {
		o.mu.Lock()
		id = o.node(place)
		o.mu.Unlock()
	}
	call := o.call
	call.Hedge = o.at[i].hedge && o.isOwner(place)
	o.hold(1)
	o.c.Peers.Call(id, call, m, o, tagOf(i, place))
}

// Complete implements wire.Completion for the other nodes' answers.
func (o *get) Complete(tag uint32, resp wire.Response, err error) {
	if err == nil && resp.Interim {
		return
	}
	defer o.release()
	if tag&repairTag != 0 {
		o.repairDone(tag, err)
		return
	}
	i, place := ofTag(tag)
	var m wire.ReplicaCopy
	if err == nil {
		m, err = wire.ParseReplicaCopy(resp.Payload)
	}
	if err == nil && m.OtherFloor {
		_, err = vclock.ParseFloor(m.Floor)
	}
	if err == nil && m.Copy == wire.CopyObject {
		_, err = object.Parse(m.Object)
	}
	if err != nil {
		o.missed(i, place, err)
	} else {
		o.take(i, place, m)
	}
}

// take counts an answer, and takes what came with it into what was seen, unless
// the answer is given: then it may still serve to repair.
func (o *get) take(i, place int, m wire.ReplicaCopy) {
	o.mu.Lock()
	o.back(i, place)
	a := o.keep(i, place, m)
	if !o.answered {
		var err error
		o.seen, o.floor, err = o.merge(o.seen, o.floor, a)
		if o.merged = len(o.answers); err != nil {
			o.answers = o.answers[:o.merged-1]
			o.merged--
			o.mu.Unlock()
			o.missed(i, place, err)
			return
		}
	}
	o.at[i].out--
	o.at[i].heard = true
	ev, pending := quorum.Answered, o.tally.Outcome() == quorum.Pending
	if m.Copy == wire.CopyAbsent && !o.isOwner(place) {
		ev = quorum.Empty
	}
	if o.tally.Step(i, ev, nil) != quorum.Pending && pending {
		o.decidedBy(o.c, o.node(place), ev)
	}
	o.leave()
}

// missed counts a failure, and asks the next node.
func (o *get) missed(i, place int, err error) {
	o.mu.Lock()
	o.back(i, place)
	id := o.node(place)
	o.at[i].out--
	next := nobody
	var others [maxSlots]int
	needed := o.needed(&others)
	if isStale(err) {
		o.putOff(i, at(id, err))
	} else {
		next = o.lose(i, place, at(id, err))
		o.failedBy(&o.flight, o.tally.Outcome(), id)
	}
	o.leave()
	if needed {
		o.sendAll(&others)
	}
	if next != nobody {
		o.send(i, next, new(wire.ReplicaRead))
	}
	if isStale(err) {
		o.c.refresh(id, err)
		o.resume()
	}
}

// leave lets go of mu after one of those that were asked has said its word. The
// last one has the copies repaired.
func (o *get) leave() {
	o.out--
	last := o.out == 0
	if ended := o.unlock(); last && ended && !o.compareAll() {
		o.repair()
	}
}

// keep keeps an answer, whose bytes are borrowed. The caller holds mu.
func (o *get) keep(i, place int, m wire.ReplicaCopy) *copyOf {
	n := len(o.answers)
	if n == cap(o.answers) {
		o.answers = append(o.answers, copyOf{})
	}
	o.answers = o.answers[:n+1]
	a := &o.answers[n]
	a.slot, a.place, a.copy = i, place, m.Copy
	a.buf = append(a.buf[:0], m.Object...)
	a.other, a.floor = m.OtherFloor && !o.c.omits(OmitFloors), o.own.floor
	if a.other {
		a.floor = append(vclock.Floor(nil), m.Floor...)
	}
	o.differ = o.differ || m.Copy == wire.CopyObject || m.Copy == wire.CopyAbsent && o.own.digest != 0
	return a
}

// merge returns what was seen with a, each under its holders' floors. The
// caller holds mu, or is the last one.
func (o *get) merge(seen object.Object, floor vclock.Floor, a *copyOf) (object.Object, vclock.Floor, error) {
	in, err := o.objectOf(a)
	if err != nil || a.copy == wire.CopySame && !a.other {
		return seen, floor, err
	}
	if in.Bytes() == nil && (len(a.floor) == 0 || seen.Bytes() == nil) {
		return seen, join(floor, a.floor), nil
	}
	// What was mixed before stays where it is: seen may refer to it.
	out, mixed, _, err := object.MergeUnder(o.mixed[len(o.mixed):], seen, in, floor, a.floor)
	if err != nil {
		return seen, floor, err
	}
	o.mixed = mixed
	return out, join(floor, a.floor), nil
}

// objectOf returns the object of an answer; it refers to a or to own.
func (o *get) objectOf(a *copyOf) (object.Object, error) {
	switch a.copy {
	case wire.CopySame:
		return o.own.object, nil
	case wire.CopyObject:
		return object.Parse(a.buf)
	}
	return object.Object{}, nil
}

// join returns the entry-wise maximum of two floors; it allocates only if
// neither is that.
func join(a, b vclock.Floor) vclock.Floor {
	switch {
	case a.Includes(b):
		return a
	case b.Includes(a):
		return b
	}
	return vclock.AppendFloorJoin(nil, a, b)
}

func (o *get) expired() {
	o.mu.Lock()
	o.tally.Expire()
	o.conclude()
}

// finish tells the outcome. What was seen changes no more.
func (o *get) finish(answers int, err error) {
	var a wire.Answer
	shown := &o.seen
	if err == nil && o.seen.Bytes() != nil {
		if o.sealed = o.sealed[:0]; !o.given.NoContext {
			ctx := object.ContextOf(o.seen)
			ctx.Fastest = o.c.Self
			o.sealed, err = o.c.Cluster.Sealer().AppendSealed(o.sealed, ctx)
		}
		if object.Expiring(&o.seen) {
			var left object.Object
			left, o.shown = o.c.hide(o.shown[:0], o.seen)
			shown = &left
		}
		a = wire.Answer{Context: o.sealed, Object: shown.Bytes()}
	}
	took := o.took()
	stage, peer := o.blame(took)
	o.c.Stats.GetDone(Ended{
		Key: o.key, Took: took, Inner: o.inner, Stage: stage, Peer: peer, Asked: o.asked, Answered: answers,
		Siblings: shown.Live(), Err: err,
	})
	if err != nil {
		o.tell(wire.Answer{}, err)
		return
	}
	o.tell(a, nil)
}
