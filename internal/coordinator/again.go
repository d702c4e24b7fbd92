package coordinator

import (
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/quorum"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// A request that was planned under a view of the ring that is no longer served
// does not fail for that: it goes on under the next one, until its deadline. A
// get, and a put that was applied nowhere, is planned anew from the start. A put
// that was applied keeps its object and its acknowledgements, and makes a further
// attempt to have it at the owners that have not acknowledged it.
//
// A request is tried again when there is news, that is, when Current's view of
// its partition is at a higher level. Without any, which happens when this node
// knows more than those that refuse, it is tried again now and then.

// maxRetries bounds how often a request is tried again without news.
const maxRetries = 16

// attempt is whom an attempt that is over has asked.
type attempt struct{ owners, list []kv.NodeID }

// ack is an acknowledgement of owner's slot by a node, which stands in unless it
// is the owner.
type ack struct {
	owner, node kv.NodeID
	durable     bool
}

// asked returns what a call was for, and to whom it went: the slot, if its owner
// still takes part, else nobody. The caller holds mu.
func (o *put) asked(tag uint32) (i int, owner kv.NodeID, by target) {
	i, place := ofTag(tag)
	number := int(tag >> attemptBit)
	if number == o.round.number {
		return i, o.owners[i], target{o.node(place), place}
	}
	then := &o.past[number]
	if owner = then.owners[i]; place < len(then.owners) {
		by = target{id: owner}
	} else {
		by = target{id: then.list[place-len(then.owners)]}
	}
	i = slices.Index(o.owners, owner)
	if by.place = i; by.id != owner {
		by.place = elsewhere
	}
	return i, owner, by
}

// keep remembers an acknowledgement for attempts to come. The caller holds mu.
func (o *put) keep(a ack) {
	if !o.loose && a.owner != a.node {
		return
	}
	for i := range o.acks {
		if was := &o.acks[i]; was.owner == a.owner && was.node == a.node {
			was.durable = was.durable || a.durable
			return
		}
	}
	o.acks = append(o.acks, a)
}

// resume goes on if there is news of the ring.
func (o *put) resume() { o.again(false) }

// again makes a further attempt if the put waits for news of the ring, and there
// is some, or is to be tried without any.
func (o *put) again(retry bool) {
	if !o.parked.Load() {
		return
	}
	cur := o.c.Cluster.Current()
	v := cur.View(o.partition)
	o.mu.Lock()
	retry = retry && o.retries < maxRetries
	news := v.Level > o.round.call.Level
	if !news && !retry || o.over() || o.round.number == maxAttempts || !o.unpark() {
		o.mu.Unlock()
		return
	}
	if !news {
		o.retries++
	}
	o.renew(cur, &v)
	var first targets
	o.chooseAll(&first)
	r := o.round
	o.unlock()
	o.sendAll(&r, &first, &wire.ReplicaPut{})
	o.release()
}

// renew begins an attempt under v. What is still out of those before it counts
// when it comes in. The caller holds mu.
func (o *put) renew(cur *ring.Current, v *ring.View) {
	for i, id := range o.owners {
		if o.tally.Applied(i) {
			o.keep(ack{id, o.at[i].by, o.tally.Durable(i)})
		}
	}
	o.past = append(o.past, attempt{o.owners, slices.Clone(o.list)})
	was, owners := o.at, o.owners
	clear(o.at[:len(owners)])
	o.cur, o.owners, o.spare, o.list, o.tried = cur, v.Owners, nil, o.list[:0], 0
	o.since = o.c.Now()
	for i, id := range o.owners {
		if j := slices.Index(owners, id); j >= 0 {
			o.at[i].out = was[j].out
		}
	}
	o.self, o.place = slices.Index(o.owners, o.home), elsewhere
	if o.home == o.c.Self {
		o.place = o.self
	}
	o.round.call.Level, o.round.owners = v.Level, v.Owners
	o.round.number++
	o.recount(v)
}

// recount begins a tally with the acknowledgements that there are. The caller
// holds mu.
func (o *put) recount(v *ring.View) {
	o.tally = quorum.NewPut(o.needs(v))
	o.tally.Step(0, quorum.Aside, nil) // somebody has applied it
	for _, a := range o.acks {
		i := slices.Index(o.owners, a.owner)
		if i < 0 || a.node != a.owner && a.node != o.c.Self && slices.Contains(o.owners, a.node) {
			continue // a node that has become an owner serves its own slot only
		}
		s, ev := &o.at[i], quorum.Applied
		if a.durable {
			ev = quorum.Durable
		}
		s.heard, s.served = true, s.served || a.durable || o.dw == 0
		if s.by != a.owner {
			s.by = a.node
		}
		o.tally.Step(i, ev, nil)
	}
}

// outdated tells that the outcome of a get is none: by now others are to be read,
// or it failed and the ring asks for something else. The caller holds mu.
func (o *get) outdated() bool {
	cur := o.c.Cluster.Current()
	if cur == o.cur && cur.Progress == nil {
		return false
	}
	failed := o.tally.Outcome() == quorum.Failed
	if v := cur.View(o.partition); v.Level > o.call.Level {
		return failed || !slices.Equal(v.Readers, o.owners)
	}
	return failed && o.parked.Load()
}

// resume starts again if there is news of the ring.
func (o *get) resume() { o.again(false) }

// again starts the get again, from nothing, if it waits for news of the ring, and
// there is some, or is to be tried without any. What is still out of this attempt
// counts for nothing.
func (o *get) again(retry bool) {
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
	o.answered, o.failed = true, true
	req := Request{
		Key: o.key, Options: o.given, Forwarded: o.forwarded, StandIn: o.asStandIn, Deadline: o.deadline,
		admitted: true, inner: o.inner, retries: o.retries, carried: o.carry(),
	}
	o.mu.Unlock()
	if !news {
		req.retries++
	}
	o.c.waiting.Add(-1)
	o.c.get(&req, o.start, o.to)
	o.release()
}

// carried is what a get that starts again keeps without the rule that it keeps
// nothing: who has answered, and what they had.
type carried struct {
	answered []kv.NodeID
	seen     []byte
}

func (o *get) carry() *carried {
	if !o.c.omits(OmitRestart) {
		return nil
	}
	k := &carried{seen: slices.Clone(o.seen.Bytes())}
	for i, id := range o.owners {
		if o.at[i].heard {
			k.answered = append(k.answered, id)
		}
	}
	return k
}

// countCarried counts what was carried. The caller holds mu.
func (o *get) countCarried() {
	if o.carried == nil {
		return
	}
	if in, err := object.Parse(o.carried.seen); err == nil && len(o.carried.seen) > 0 {
		if both, mixed, _, err := object.MergeUnder(nil, o.seen, in, o.floor, nil); err == nil {
			o.seen, o.mixed = both, mixed
		}
	}
	for i, id := range o.owners {
		if slices.Contains(o.carried.answered, id) {
			o.at[i].heard = true
			o.tally.Step(i, quorum.Answered, nil)
		}
	}
}
