package coordinator

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// forward is a request that is passed on to an owner of its key. It is passed
// on again, to the next owner, only if the first one certainly did nothing, or
// if it is a get. When no owner is left, and unless it is strict, it goes to a
// node that coordinates it as a stand-in (§4.6); this node may be that itself. A
// get that takes too long is passed on to another owner as well.
type forward struct {
	flight
	call      wire.Call
	cur       *ring.Current
	partition kv.Partition
	// msg is the request as others get it; the rest is what it does not say.
	msg                  []byte
	forwarded, asStandIn bool
	retries              int
	// inner tells that the request is counted elsewhere.
	inner bool
	// The rest is guarded by flight.mu after the launch.
	candidates []kv.NodeID
	// view is how the request is carried out, and members are the owners that take
	// part in it.
	view    ring.View
	members []kv.NodeID
	// afar is how long an owner that needs the answers of others may have to wait
	// for them, as far as is seen from here.
	afar time.Duration
	// owners is how many of candidates are owners; stand-ins follow them once
	// all is set, and get standIn for msg.
	owners  int
	all     bool
	standIn []byte
	// asked of candidates have been asked, and out of those have not answered.
	asked, out int
	// sent is when the first of them was asked, if that is timed, and hedged is who
	// was asked because that took too long, 0 for nobody.
	sent   time.Time
	hedged int
	// late is who owes a late answer, nil for nobody.
	late *peerNotes
	// heardFirst tells that the first one has said its word.
	heardFirst bool
	// cause is the last refusal of a request that waits for news of the ring.
	cause error
}

func newForward(c *Coordinator) *forward {
	o := &forward{}
	o.c, o.expire, o.slow, o.goOn, o.recycle = c, o.expired, o.hurry, o.resume, o.reset
	o.flight.hedge = o.hedge
	return o
}

func (o *forward) reset() {
	if cap(o.msg) > maxKept {
		o.msg = nil
	}
	o.candidates, o.members, o.cur, o.all, o.standIn = o.candidates[:0], nil, nil, false, nil
	o.view = ring.View{}
	o.asked, o.out, o.afar, o.cause = 0, 0, 0, nil
	o.sent, o.hedged, o.gets, o.late = time.Time{}, 0, 0, nil
	o.heardFirst = false
	o.c.forwards.Put(o)
}

// newRequest returns a forward of p, with no candidates yet.
func (c *Coordinator) newRequest(p *plan) *forward {
	o := c.forwards.Get().(*forward)
	o.inner = p.elsewhere()
	o.cur, o.view, o.partition, o.members, o.all = p.cur, p.view, p.partition, p.owners, p.Options.Strict
	o.call = wire.Call{Type: p.typ, Deadline: p.Deadline, Level: p.view.Level}
	o.msg = appendForward(o.msg[:0], p)
	if p.typ == wire.TypeGet {
		o.gets = 1
	}
	o.forwarded, o.asStandIn, o.retries = p.Forwarded, p.StandIn, p.retries
	return o
}

// postpone has p, of which nothing was done because of err, planned anew when
// there is news of the ring.
func (c *Coordinator) postpone(p *plan, start time.Time, to Receiver, err error) {
	o := c.newRequest(p)
	o.cause, o.all = err, true
	o.launch(start, p.Deadline, to)
	o.park()
	o.resume()
	if o.parked.Load() {
		c.askAround(p)
	}
	o.release()
}

// forward passes p on to the owner that is nearest, or to the preferred one if
// that is up and no further. Refusal is why this node does not carry it out itself, which
// is told if no other can be asked; nil if it is no owner.
func (c *Coordinator) forward(p *plan, preferred kv.NodeID, start time.Time, to Receiver, refusal error) {
	c.Stats.Forwarded()
	o := c.newRequest(p)
	for _, id := range p.owners {
		if id != c.Self && c.Peers.Up(id) {
			o.candidates = append(o.candidates, id)
		}
	}
	o.owners = len(o.candidates)
	c.sortNear(o.candidates, preferred)
	if p.typ == wire.TypeGet && p.Options.R > 1 {
		o.afar = c.furthest(o.candidates)
	}
	if refusal == nil {
		refusal = kv.Errorf(kv.KindUnavailable, "forward", "none of %d owners can be reached: %v", len(p.owners), p.owners)
	}
	o.launch(start, p.Deadline, to)
	o.first(c.Now())
	o.next(refusal)
	o.release()
}

// appendForward encodes p as a message that the receiver does not pass on. The
// options go as the client gave them, for the receiver's ring decides.
func appendForward(dst []byte, p *plan) []byte {
	m := wire.Put{
		Get: wire.Get{
			Flags: wire.FlagForwarded, R: p.given.R, W: p.given.W, DW: p.given.DW, Key: p.Key,
		},
		Context: p.Update.Context, ContentType: p.Update.ContentType, Value: p.Update.Value,
		Life: p.Update.Life, Meta: p.Update.Meta,
	}
	if p.Options.Strict {
		m.Flags |= wire.FlagStrict
	}
	if p.Options.ReturnBody {
		m.Flags |= wire.FlagReturnBody
	}
	if p.Update.Deleted {
		m.Flags |= wire.FlagDeleted
	}
	if p.Update.Siblings {
		m.Flags |= wire.FlagSiblings
	}
	if p.typ == wire.TypeGet {
		return m.Get.AppendTo(dst)
	}
	return m.AppendTo(dst)
}

// next asks the next candidate, because of err; the caller holds the request.
// Without a candidate, err is the outcome, if nobody else is asked at the moment.
func (o *forward) next(err error) {
	o.mu.Lock()
	if o.asked == len(o.candidates) && !o.all && needsStandIn(err) {
		o.findStandIns()
	}
	i, left, out := o.asked, !o.answered && o.asked < len(o.candidates), o.out
	if left {
		o.asked++
		o.out++
	}
	o.mu.Unlock()
	switch {
	case left:
		o.send(i)
	case out == 0:
		o.giveUp(err)
	}
}

// giveUp ends the request with err, unless the ring has changed: then it waits for
// news of how.
func (o *forward) giveUp(err error) {
	if !o.again(err) || !isStale(err) && !o.c.ahead(o.partition, o.call.Level) {
		o.finish(wire.Answer{}, err)
		return
	}
	o.mu.Lock()
	o.cause = err
	if !o.answered {
		o.park()
	}
	o.mu.Unlock()
	o.resume()
}

// resume plans the request anew if there is news of the ring.
func (o *forward) resume() { o.restart(false) }

// restart plans the request anew if it waits for news of the ring, and there is
// some, or is to be tried without any.
func (o *forward) restart(retry bool) {
	if !o.parked.Load() {
		return
	}
	news := o.c.ahead(o.partition, o.call.Level)
	o.mu.Lock()
	retry = retry && o.retries < maxRetries
	if o.answered || !news && !retry || o.over() || !o.unpark() {
		o.mu.Unlock()
		return
	}
	o.answered = true
	o.mu.Unlock()
	o.c.waiting.Add(-1)
	if m, err := o.parse(o.msg); err != nil {
		o.to.Receive(wire.Answer{}, err)
	} else {
		req := requestOf(m)
		req.Forwarded, req.StandIn, req.Deadline, req.admitted = o.forwarded, o.asStandIn, o.deadline, true
		req.inner = o.inner
		if req.retries = o.retries; !news {
			req.retries++
		}
		o.c.carryOut(o.call.Type, &req, o.start, o.to)
	}
	o.release()
}

// parse reads msg, which appendForward made.
func (o *forward) parse(msg []byte) (m wire.Put, err error) {
	if o.call.Type == wire.TypeGet {
		m.Get, err = wire.ParseGet(msg)
		return m, err
	}
	return wire.ParsePut(msg)
}

// hurry asks a further owner for what a get has waited for too long.
func (o *forward) hurry() {
	o.restart(true)
	waited := o.c.Now().Sub(o.start)
	o.mu.Lock()
	i, more := o.asked, o.call.Type == wire.TypeGet && !o.answered && o.asked < o.owners
	more = more && (i == 0 || waited >= o.patience(o.candidates[i-1], o.afar))
	if more {
		o.asked++
		o.out++
	}
	o.mu.Unlock()
	if more {
		o.send(i)
	}
}

// send asks candidate i.
func (o *forward) send(i int) {
	o.mu.Lock()
	id, msg := o.candidates[i], o.msg
	if i >= o.owners {
		msg = o.standIn
	}
	o.mu.Unlock()
	o.hold(1)
	if id == o.c.Self {
		o.here(msg)
		return
	}
	o.c.Peers.Call(id, o.call, wire.Raw(msg), o, uint32(i))
}

// needsStandIn tells whether the last owner's err is such that another node may
// do what no owner can.
func needsStandIn(err error) bool {
	switch kv.KindOf(err) {
	case kv.KindUnavailable, kv.KindDiskFull, kv.KindStorage, kv.KindCorrupt, kv.KindClosed, kv.KindHintsFull:
		return true
	}
	return false
}

// findStandIns adds nodes that may coordinate the request in the owners' stead,
// as many as there are owners. The caller holds mu.
func (o *forward) findStandIns() {
	o.all = true
	o.standIn = append([]byte(nil), o.msg...)
	wire.AddFlags(o.standIn, wire.FlagStandIn)
	most := len(o.candidates) + len(o.members)
	for _, id := range standIns(o.cur, &o.view, o.partition, o.members) {
		if len(o.candidates) < most && (id == o.c.Self || o.c.Peers.Up(id)) {
			o.candidates = append(o.candidates, id)
		}
	}
}

// here coordinates the request at this node.
func (o *forward) here(msg []byte) {
	m, err := o.parse(msg)
	if err != nil {
		o.Receive(wire.Answer{}, err)
		return
	}
	req := requestOf(m)
	req.Level, req.Deadline, req.inner = o.call.Level, o.call.Deadline, true
	o.c.carryOut(o.call.Type, &req, o.c.Now(), o)
}

// Receive implements Receiver for a request that this node coordinates itself.
func (o *forward) Receive(a wire.Answer, err error) {
	o.heard(a, err)
	o.release()
}

// Complete implements wire.Completion.
func (o *forward) Complete(tag uint32, resp wire.Response, err error) {
	if err == nil && resp.Interim {
		return
	}
	if isStale(err) {
		o.mu.Lock()
		id := o.candidates[tag]
		o.mu.Unlock()
		o.c.refresh(id, err)
	}
	var a wire.Answer
	if err == nil {
		// An answer that cannot be read is an answer: the write was applied.
		if a, err = wire.ParseAnswer(resp.Payload); err != nil {
			err = &kv.Error{Op: "forward", Kind: kv.KindInternal, Applied: kv.AppliedUnknown, Err: err}
		}
	}
	if o.learn(int(tag), err) {
		o.c.Stats.Hedge(hedge.Won)
	}
	o.heard(a, err)
	o.release()
}

// heard takes the answer of one that was asked.
func (o *forward) heard(a wire.Answer, err error) {
	o.mu.Lock()
	o.out--
	o.mu.Unlock()
	if err != nil && o.again(err) {
		o.next(err)
		return
	}
	o.finish(a, err)
}

// again tells whether the next owner may do better.
func (o *forward) again(err error) bool {
	if o.call.Type == wire.TypePut && kv.AppliedOf(err) == kv.AppliedUnknown {
		return false
	}
	switch kv.KindOf(err) {
	case kv.KindUnavailable, kv.KindStaleRing, kv.KindOverloaded, kv.KindDiskFull, kv.KindStorage, kv.KindSkew, kv.KindClosed, kv.KindHintsFull:
		return true
	}
	return false
}

func (o *forward) expired() {
	o.mu.Lock()
	cause, out := o.cause, o.out
	o.mu.Unlock()
	err := kv.Errorf(kv.KindTimeout, "forward", "the deadline passed")
	if cause != nil {
		err = kv.Errorf(kv.KindTimeout, "coordinate", "the deadline passed, after %v", cause)
	}
	if cause == nil || out > 0 {
		err.Applied = kv.AppliedUnknown
	}
	o.finish(wire.Answer{}, err)
	if o.unpark() {
		o.release()
	}
}

func (o *forward) finish(a wire.Answer, err error) {
	o.mu.Lock()
	decided := o.decide()
	stage, peer := o.waitedFor()
	o.mu.Unlock()
	if !decided {
		return
	}
	o.done(err, stage, peer)
	if err != nil {
		a = wire.Answer{}
	}
	o.tell(a, err)
}
