package coordinator

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// peerBook is what a coordinator itself knows of its peers. Safe for concurrent use,
// its zero value is empty.
type peerBook struct {
	all atomic.Pointer[map[kv.NodeID]*peerNotes] // never changed in place
	mu  sync.Mutex
}

// peerNotes are what is known of one peer.
type peerNotes struct {
	// passed is what gets take that are passed on to it: it waits for others there,
	// so that what its own answers take says too little.
	passed hedge.Estimate
	// late counts the calls for which somebody else was asked because they took too
	// long, and that it has not answered yet. As long as there are any it may be
	// stalled: how far it is tells nothing then.
	late atomic.Int32
}

// of returns what is known of id, nil for nothing.
func (p *peerBook) of(id kv.NodeID) *peerNotes {
	if all := p.all.Load(); all != nil {
		return (*all)[id]
	}
	return nil
}

// tail returns what all but one in a hundred of the gets that id coordinated took,
// 0 while unknown.
func (p *peerBook) tail(id kv.NodeID) time.Duration {
	if e := p.of(id); e != nil {
		return e.passed.Tail()
	}
	return 0
}

// enter returns the notes of id, new ones if need be.
func (p *peerBook) enter(id kv.NodeID) *peerNotes {
	if e := p.of(id); e != nil {
		return e
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.of(id); e != nil {
		return e
	}
	next := map[kv.NodeID]*peerNotes{}
	// Nodes come and go; those that are still asked are soon known again.
	if all := p.all.Load(); all != nil && len(*all) < kv.MaxMembers {
		next = maps.Clone(*all)
	}
	e := new(peerNotes)
	next[id] = e
	p.all.Store(&next)
	return e
}

// stalled is how far a peer counts as being that owes late answers.
const stalled = time.Hour

// distance returns how long id usually takes to answer, or stalled.
func (c *Coordinator) distance(id kv.NodeID) time.Duration {
	if e := c.book.of(id); e != nil && e.late.Load() > 0 {
		return stalled
	}
	return c.Peers.Latency(id)
}

// PassTail returns what all but one in a hundred of the gets take that this node
// passes on to id, 0 while unknown.
func (c *Coordinator) PassTail(id kv.NodeID) time.Duration { return c.book.tail(id) }

// first has the get hedged that goes to its first candidate now.
func (o *forward) first(now time.Time) {
	if o.gets == 0 || len(o.candidates) == 0 {
		return
	}
	o.sent = now
	o.hedgeIn(now, o.c.book.tail(o.candidates[0]))
}

// learn takes into account what the answer of candidate i took, and tells whether
// it is a hedge that came first.
func (o *forward) learn(i int, err error) (won bool) {
	if o.gets == 0 {
		return false
	}
	o.mu.Lock()
	id, sent := o.candidates[i], o.sent
	won = err == nil && !o.answered && i > 0 && i == o.hedged
	if o.heardFirst = o.heardFirst || i == 0; i == 0 && o.late != nil {
		o.late.late.Add(-1)
		o.late = nil
	}
	o.mu.Unlock()
	if i == 0 && !sent.IsZero() && (err == nil || kv.KindOf(err) == kv.KindTimeout) {
		o.c.book.enter(id).passed.Add(o.c.Now().Sub(sent))
	}
	return won
}
