package coordinator

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/quorum"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// timing is what a request remembers so that a slow one can say what it waited for.
// It costs a quorum request one look at the clock: when it was done with its own copy.
type timing struct {
	// begun is how long after it came the node began to carry the request out; until
	// then it waited in the stage prior.
	begun time.Duration
	prior metrics.Cause
	// local is how long after it came the own copy was read or written, 0 when no
	// other was needed.
	local time.Duration
	// last is what decided the outcome: a wait for the own disk, or for peer.
	last metrics.Cause
	peer kv.NodeID
	// inner tells that the request is part of one that is counted elsewhere.
	inner bool
}

// timing begins the timing of a request that is carried out by this node.
func (c *Coordinator) timing(p *plan, start time.Time) timing {
	t := timing{prior: p.prior, last: metrics.CauseStorage, inner: p.elsewhere()}
	if p.admitted {
		t.begun = c.Now().Sub(start) // it has been through something else before
	}
	return t
}

// blame returns the stage that took most of the time of a request that has ended
// after took, and the peer that it waited for there, 0 for none.
func (t *timing) blame(took time.Duration) (metrics.Cause, kv.NodeID) {
	local := t.local
	if local == 0 {
		local = took
	}
	own, rest := local-t.begun, took-local
	switch {
	case t.begun > own && t.begun > rest:
		return t.prior, 0
	case own > rest:
		return metrics.CauseStorage, 0
	}
	return t.last, t.peer
}

// decidedBy remembers that node id had the last word.
func (t *timing) decidedBy(c *Coordinator, id kv.NodeID, ev quorum.Event) {
	switch {
	case id != c.Self:
		t.last, t.peer = metrics.CauseReplicas, id
	case ev == quorum.Durable:
		t.last, t.peer = metrics.CauseFsync, 0
	}
}

// failedBy remembers that a request has failed when node id did, if it has just
// done so. The caller holds f's mu.
func (t *timing) failedBy(f *flight, outcome quorum.Outcome, id kv.NodeID) {
	if outcome == quorum.Failed && !f.answered && t.peer == 0 {
		t.last, t.peer = metrics.CauseReplicas, id
	}
}

// waitsFor finds what a put that has failed still waited for. The caller holds mu.
func (o *put) waitsFor() {
	if o.peer != 0 || !o.ready {
		return // it is known, or the local write has not returned
	}
	for i, id := range o.owners {
		switch s := &o.at[i]; {
		case i == o.self && o.syncing:
			o.last, o.peer = metrics.CauseFsync, 0
		case i != o.self && !s.served && s.out > 0:
			o.last, o.peer = metrics.CauseReplicas, id
			return
		}
	}
}

// waitsFor finds what a get that has failed still waited for. The caller holds mu.
func (o *get) waitsFor() {
	if o.peer != 0 {
		return
	}
	for i, id := range o.owners {
		if s := &o.at[i]; id != o.c.Self && !s.heard && s.out > 0 {
			o.last, o.peer = metrics.CauseReplicas, id
			return
		}
	}
}

// elsewhere tells that the request is part of one that is counted elsewhere: a node
// has passed it on, or it was made here. A client may say that it is not to be passed
// on, which makes it no other request.
func (r *Request) elsewhere() bool { return r.inner || r.From != 0 }

// refusedAtOnce is how a request ended of which nothing was begun.
func refusedAtOnce(req *Request, err error) Ended {
	return Ended{Key: req.Key, Inner: req.elsewhere(), Stage: metrics.CauseRefused, Err: err}
}

// sampleEvery is one in how many puts is followed until all owners have it.
const (
	sampleEvery        = 100
	spread      uint32 = 0x9e3779b1
)

// sample begins to follow a put that has just been decided, if it is one of the
// sample. The ticket is spread first: requests may take turns. The caller holds mu.
func (o *put) sample() {
	if o.ticket*spread > (1<<32-1)/sampleEvery || o.tally.Outcome() != quorum.Met {
		return
	}
	had := 0
	for i, id := range o.owners {
		if o.at[i].by == id {
			had++
		}
	}
	o.followed = o.c.Now()
	o.c.Stats.Sampled(len(o.owners), had)
}

// arrived takes an owner's first acknowledgement of a put that is followed. The
// caller holds mu.
func (o *put) arrived() {
	if !o.followed.IsZero() {
		o.c.Stats.Acknowledged(o.c.Now().Sub(o.followed))
	}
}

// waitedFor returns what a request that was passed on spent its time with: the node
// that was asked last, or first, if one still owes an answer. The caller holds mu.
func (o *forward) waitedFor() (metrics.Cause, kv.NodeID) {
	if o.asked == 0 {
		return metrics.CauseOwn, 0
	}
	id := o.candidates[o.asked-1]
	if o.out > 0 {
		id = o.candidates[0]
	}
	if id == o.c.Self {
		id = 0
	}
	return metrics.CauseHop, id
}

// done tells how a request ended that was passed on.
func (o *forward) done(err error, stage metrics.Cause, peer kv.NodeID) {
	m, parseErr := o.parse(o.msg)
	if parseErr != nil {
		return // it was made here
	}
	op := metrics.OpPut
	if o.call.Type == wire.TypeGet {
		op = metrics.OpGet
	}
	o.c.Stats.ForwardDone(op, Ended{Key: m.Key, Took: o.took(), Inner: o.inner, Stage: stage, Peer: peer, Err: err})
}
