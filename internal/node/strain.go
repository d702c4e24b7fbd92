package node

import (
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
	quick     = 2 * time.Millisecond
	// few is how many slow requests are too few to say anything.
	few = 2
)

// strain tells whether what moves slows requests of clients down: whether more than
// one in a hundred takes half again as long as the 99th percentile was before it
// began. Its methods but now are for one goroutine.
type strain struct {
	load   atomic.Uint32
	judged time.Time
	ops    [2]struct {
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

// judge looks at the requests that ended since it last did; queued tells that some
// wait here.
func (s *strain) judge(now time.Time, m *metrics.Node, queued bool) {
	ended, slow := uint64(0), uint64(0)
	for i, op := range judgedOps {
		var total metrics.Snapshot
		m.Read(op, &total)
		recent := total
		recent.Sub(&s.ops[i].past)
		ended, slow = ended+recent.Count(), slow+recent.Above(s.ops[i].slow)
		s.ops[i].past = total
	}
	fresh := now.Sub(s.judged) < 3*judgeEvery
	s.judged = now
	load := pace.Calm
	switch {
	case queued, fresh && slow > few && 100*slow > ended:
		load = pace.Strained
	case fresh && ended == 0:
		load = pace.Idle
	}
	s.load.Store(uint32(load))
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
