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
	// knownFrom is the number of requests of the last minute from which their 99th
	// percentile is taken for the usual one, unusual what is slow until then, and
	// quick what never is.
	knownFrom = 100
	unusual   = 50 * time.Millisecond
	quick     = 3 * time.Millisecond
	// mayBeSlow is the part of all requests that may take longer, and few is how
	// many more are too few to say anything.
	mayBeSlow = 0.01
	few       = 2
	// fading is what a judgement leaves of the evidence of those before: it draws
	// on some two seconds.
	fading = 0.75
)

// strain tells whether what moves slows requests of clients down: whether more than
// one in a hundred takes half again as long as the 99th percentile was before it
// began, and by more than chance. Its methods are for one goroutine; load is for
// all.
type strain struct {
	load   atomic.Uint32
	judged time.Time
	// ended and slow are the requests that are evidence, faded.
	ended, slow float64
	ops         [2]struct {
		slow time.Duration
		past metrics.Snapshot
	}
}

var judgedOps = [2]metrics.Op{metrics.OpGet, metrics.OpPut}

// usual notes what requests take while no data moves.
func (s *strain) usual(sla metrics.SLA) {
	for i, l := range [2]metrics.Latency{sla.Get, sla.Put} {
		s.ops[i].slow = unusual
		if l.Count >= knownFrom {
			s.ops[i].slow = max(time.Duration(1.5*l.P99*float64(time.Millisecond)), quick)
		}
	}
}

// judge looks at the requests that ended since it last did, and a little at those
// before; queued tells that some wait here. After a verdict of strain the evidence
// is gathered anew: it led to that.
func (s *strain) judge(now time.Time, m *metrics.Node, queued bool) {
	s.ended, s.slow = fading*s.ended, fading*s.slow
	if now.Sub(s.judged) >= 3*judgeEvery {
		s.ended, s.slow = 0, 0 // and what ended since then says nothing either
	}
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
			s.slow += float64(recent.Above(s.ops[i].slow))
		}
		s.ops[i].past = total
	}
	return served || !count
}

// load tells how requests of clients fare here, as of the last judgement.
func (n *Node) load() pace.Load { return pace.Load(n.strain.load.Load()) }

// watchStrain judges while data moves, and learns what is usual while none does.
func (n *Node) watchStrain(now time.Time) {
	if n.course.view().epoch == 0 {
		n.strain.usual(n.metrics.SLA(now))
	} else {
		n.strain.judge(now, n.metrics, n.coord.InFlight() > n.cfg.BusyAt)
	}
}
