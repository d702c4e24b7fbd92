package node

import (
	"math"
	rtm "runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/metrics"
)

const (
	// schedLatencies is the runtime's histogram of the time that goroutines waited
	// for a processor.
	schedLatencies = "/sched/latencies:seconds"
	// valveEvery is how often a valve is set anew.
	valveEvery = 100 * time.Millisecond
	// valveFewest is how many goroutines must have waited to say anything: the
	// runtime counts one in eight.
	valveFewest = 5
	// valveLeast is the smallest share of requests that is let in, shut what a
	// standing queue leaves of the share, and open by how much it grows otherwise. The
	// least is not small: of a process that seldom gets a processor all requests have
	// waited, whatever it refuses.
	valveLeast = 0.25
	valveShut  = 0.8
	valveOpen  = 0.02
)

// valve lets a share of requests begin, for the doors with a goroutine for each
// connection: theirs wait for a processor, and none of them knows for how long. A
// queue stands when half of all goroutines waited for longer than the longest that
// requests may. Its admit is for all, the rest for one goroutine.
type valve struct {
	// longest is that, 0 to let everything in.
	longest time.Duration
	// share is how many of 1<<16 are let in, less than which any drawn number is.
	share atomic.Uint32
	drawn atomic.Uint32

	set    time.Time
	sample []rtm.Sample
	past   []uint64
}

const allIn = 1 << 16

func newValve(longest time.Duration) *valve {
	v := &valve{longest: longest, sample: []rtm.Sample{{Name: schedLatencies}}}
	v.share.Store(allIn)
	return v
}

// admit tells whether a request may begin. Those that may are spread evenly.
func (v *valve) admit() bool {
	share := v.share.Load()
	return share == allIn || v.drawn.Add(share)%allIn < share
}

// look sets the share by how long goroutines waited since it last did.
func (v *valve) look(now time.Time) {
	if v.longest == 0 || now.Sub(v.set) < valveEvery {
		return
	}
	whole := now.Sub(v.set) < 5*valveEvery
	v.set = now
	rtm.Read(v.sample)
	h := v.sample[0].Value
	if h.Kind() != rtm.KindFloat64Histogram {
		return // this runtime does not tell
	}
	if wait, n := v.median(h.Float64Histogram()); whole {
		v.turn(n >= valveFewest && wait > v.longest)
	}
}

// turn closes the valve a little where a queue stands, and else opens it.
func (v *valve) turn(stands bool) {
	share := float64(v.share.Load()) / allIn
	if stands {
		share = max(share*valveShut, valveLeast)
	} else {
		share = min(share+valveOpen, 1)
	}
	v.share.Store(uint32(share * allIn))
}

// median returns the median of what was counted since the last time, and how many
// that are.
func (v *valve) median(h *rtm.Float64Histogram) (time.Duration, uint64) {
	if v.past == nil {
		v.past = make([]uint64, len(h.Counts))
	}
	total := uint64(0)
	for i, n := range h.Counts {
		h.Counts[i], v.past[i] = n-v.past[i], n
		total += h.Counts[i]
	}
	seen := uint64(0)
	for i, n := range h.Counts {
		if seen += n; seen > total/2 {
			if at := h.Buckets[i]; !math.IsInf(at, 0) { // the lower end: never too long
				return time.Duration(at * float64(time.Second)), total
			}
			return 0, total
		}
	}
	return 0, total
}

// addStages lets the stages' depths, and what is refused elsewhere, take part in
// /metrics.
func (n *Node) addStages() {
	s := &n.metrics.Stages
	s[metrics.StageDecode].SetDepth(func() int { return n.server.Stats().Conns })
	s[metrics.StageCoordinate].SetDepth(n.coord.InFlight)
	s[metrics.StageReplicaWrite].SetDepth(n.store.Syncing)
}
