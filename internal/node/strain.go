package node

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/pace"
)

const (
	// judgeEvery is how often it is judged how requests of clients fare.
	judgeEvery = 500 * time.Millisecond
	// What is usual is learnt anew every learnFor from at least enough requests, or
	// from those of longest, if these are at least knownFrom.
	learnFor  = 5 * time.Second
	longest   = time.Minute
	enough    = 1000
	knownFrom = 100
	// unusual is what is slow as long as nothing is known, quick what never is.
	unusual = 50 * time.Millisecond
	quick   = 3 * time.Millisecond
	// mayBeSlow is the part of all requests that may take longer, and few is how
	// many more are too few to say anything.
	mayBeSlow = 0.01
	few       = 2
	// fading is what a judgement leaves of the evidence of those before: it draws
	// on some two seconds.
	fading = 0.75
)

// strain tells whether work in the background slows requests of clients down: whether more than
// one in a hundred takes half again as long as the 99th percentile was before it
// began, and by more than chance. Its methods are for one goroutine; load is for
// all.
type strain struct {
	load   atomic.Uint32
	judged time.Time
	// ended and slow are the requests that are evidence, faded.
	ended, slow float64
	// learning is since when what is usual is learnt, zero for not now.
	learning time.Time
	ops      [2]struct {
		// slow is what is longer than usual; past is what had been counted when the
		// learning began, or when it was last judged.
		slow time.Duration
		past metrics.Snapshot
	}
}

var judgedOps = [2]metrics.Op{metrics.OpGet, metrics.OpPut}

// learn learns what requests take while no data moves: of late, since an hour ago
// there may have been ten times as many.
func (s *strain) learn(now time.Time, m *metrics.Node) {
	whole := !s.learning.IsZero()
	if age := now.Sub(s.learning); whole && age < learnFor {
		return
	}
	s.load.Store(uint32(pace.Calm)) // what was said of work that is over says nothing of the next
	var recent [2]metrics.Snapshot
	var totals [2]metrics.Snapshot
	for i, op := range judgedOps {
		m.Read(op, &totals[i])
		recent[i] = totals[i]
		recent[i].Sub(&s.ops[i].past)
	}
	over := now.Sub(s.learning) >= longest
	if whole && !over && recent[0].Count()+recent[1].Count() < enough {
		return
	}
	for i := range s.ops {
		o := &s.ops[i]
		switch n := recent[i].Count(); {
		case whole && n >= knownFrom:
			o.slow = max(recent[i].Percentile(990)*3/2, quick)
		case o.slow == 0 || whole && over:
			o.slow = unusual
		}
		o.past = totals[i]
	}
	s.learning = now
}

// judge looks at the requests that ended since it last did, and a little at those
// before; queued tells that some wait here. After a verdict of strain the evidence
// is gathered anew: it led to that.
func (s *strain) judge(now time.Time, m *metrics.Node, queued bool) {
	s.ended, s.slow = fading*s.ended, fading*s.slow
	if now.Sub(s.judged) >= 3*judgeEvery {
		s.ended, s.slow = 0, 0 // and what ended since then says nothing either
	}
	s.learning = time.Time{}
	served := s.gather(m, now.Sub(s.judged) < 3*judgeEvery)
	s.judged = now
	load := pace.Calm
	switch usual := mayBeSlow * s.ended; {
	case queued, s.slow > usual+2*math.Sqrt(usual)+few:
		load, s.ended, s.slow = pace.Strained, 0, 0
	case !served:
		load = pace.Idle
	}
	s.load.Store(uint32(load))
}

// gather takes the requests that ended since it was last called as evidence, if
// they count, and tells whether there were any.
func (s *strain) gather(m *metrics.Node, count bool) (served bool) {
	for i, op := range judgedOps {
		var total metrics.Snapshot
		m.Read(op, &total)
		recent := total
		recent.Sub(&s.ops[i].past)
		if n := recent.Count(); n > 0 && count {
			served = true
			s.ended += float64(n)
			slow := s.ops[i].slow
			if slow == 0 {
				slow = unusual // nothing was learnt yet
			}
			s.slow += float64(recent.Above(slow))
		}
		s.ops[i].past = total
	}
	return served || !count
}

// load tells how requests of clients fare here, as of the last judgement.
func (n *Node) load() pace.Load {
	if !n.cfg.Yield {
		return pace.Idle
	}
	return pace.Load(n.strain.load.Load())
}

// watchStrain judges while there is work in the background, and learns what is
// usual while there is none.
func (n *Node) watchStrain(now time.Time) {
	if n.disturbed(now) {
		n.strain.judge(now, n.metrics, n.coord.InFlight() > n.cfg.BusyAt)
	} else {
		n.strain.learn(now, n.metrics)
	}
}
