package coordinator

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// passes is what gets take that are passed on, by who coordinated them: they wait
// for others there, so that what a peer's own answers take says too little. Safe
// for concurrent use, its zero value is empty.
type passes struct {
	all atomic.Pointer[map[kv.NodeID]*hedge.Estimate] // never changed in place
	mu  sync.Mutex
}

// tail returns what all but one in a hundred of the gets that id coordinated took,
// 0 while unknown.
func (p *passes) tail(id kv.NodeID) time.Duration {
	if e := p.of(id); e != nil {
		return e.Tail()
	}
	return 0
}

func (p *passes) of(id kv.NodeID) *hedge.Estimate {
	if all := p.all.Load(); all != nil {
		return (*all)[id]
	}
	return nil
}

// add takes into account what a get at id took.
func (p *passes) add(id kv.NodeID, took time.Duration) {
	e := p.of(id)
	if e == nil {
		e = p.enter(id)
	}
	e.Add(took)
}

func (p *passes) enter(id kv.NodeID) *hedge.Estimate {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.of(id); e != nil {
		return e
	}
	next := map[kv.NodeID]*hedge.Estimate{}
	// Nodes come and go; those that are still asked are soon known again.
	if all := p.all.Load(); all != nil && len(*all) < kv.MaxMembers {
		next = maps.Clone(*all)
	}
	e := new(hedge.Estimate)
	next[id] = e
	p.all.Store(&next)
	return e
}

// PassTail returns what all but one in a hundred of the gets take that this node
// passes on to id, 0 while unknown.
func (c *Coordinator) PassTail(id kv.NodeID) time.Duration { return c.passed.tail(id) }

// first has the get hedged that goes to its first candidate now.
func (o *forward) first(now time.Time) {
	if o.gets == 0 || len(o.candidates) == 0 {
		return
	}
	o.sent = now
	o.hedgeIn(now, o.c.passed.tail(o.candidates[0]))
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
	o.mu.Unlock()
	if i == 0 && !sent.IsZero() && (err == nil || kv.KindOf(err) == kv.KindTimeout) {
		o.c.passed.add(id, o.c.Now().Sub(sent))
	}
	return won
}
