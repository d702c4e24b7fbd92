package membership

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// sampleAge is how long a comparison of clocks counts.
const sampleAge = 10 * time.Minute

// clockSample is one comparison with a peer's clock.
type clockSample struct {
	// at is when it was made, since this node's start.
	at time.Duration
	// ahead is the peer's wall time at that moment, in nanoseconds since 1970,
	// less at. It stays the same when this node's own clock is set.
	ahead int64
}

// skew compares this node's clock with its peers'. Safe for concurrent use;
// behind is one load and an addition.
type skew struct {
	mu struct {
		sync.Mutex
		samples map[kv.NodeID]clockSample
	}
	// median is that of the samples' ahead; nil without samples.
	median atomic.Pointer[int64]
}

// peerTime returns what the peer's clock showed at the moment when its answer
// arrived. The question was sent at sent and the answer arrived at arrived, by
// this node's clock; the peer says that it had the question at received and
// answered at answered, by its own. What the two did not spend on the peer was
// spent on the way, half of it on the way back.
func peerTime(sent, arrived time.Duration, received, answered int64) int64 {
	onTheWay := int64(arrived-sent) - (answered - received)
	return answered + max(onTheWay, 0)/2
}

// add takes a comparison: at a time since this node's start the peer's clock
// showed wall nanoseconds.
func (s *skew) add(peer kv.NodeID, at time.Duration, wall int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.samples == nil {
		s.mu.samples = make(map[kv.NodeID]clockSample)
	}
	s.mu.samples[peer] = clockSample{at: at, ahead: wall - int64(at)}
	ahead := make([]int64, 0, len(s.mu.samples))
	for id, c := range s.mu.samples {
		if at-c.at > sampleAge {
			delete(s.mu.samples, id)
			continue
		}
		ahead = append(ahead, c.ahead)
	}
	m := median(ahead)
	s.median.Store(&m)
}

// of returns this node's clock less the median of its peers', given what its
// clock shows at a time since its start; 0 when no peer's is known.
func (s *skew) of(at time.Duration, wall int64) time.Duration {
	m := s.median.Load()
	if m == nil {
		return 0
	}
	return time.Duration(wall - (*m + int64(at)))
}

// median returns the middle of v, which is not empty and is reordered; of an
// even number, halfway between the two in the middle.
func median(v []int64) int64 {
	slices.Sort(v)
	mid := len(v) / 2
	if len(v)%2 == 1 {
		return v[mid]
	}
	return v[mid-1] + (v[mid]-v[mid-1])/2
}
