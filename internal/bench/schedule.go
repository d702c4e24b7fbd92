package bench

import (
	"math"
	"math/rand/v2"
	"time"
)

// Arrivals says how the operations of an open loop follow one another.
type Arrivals string

const (
	// Even has each due the same time after the last one.
	Even Arrivals = "even"
	// Poisson has them due at random, without memory, as those of many callers
	// who know nothing of each other.
	Poisson Arrivals = "poisson"
)

// schedule says when the operations of an open loop are due, as times since the
// load began. It knows no clock: equal schedules say the same. Not safe for
// concurrent use.
type schedule struct {
	// rate is in operations a second, once the ramp is over; while it lasts the
	// rate grows evenly from nothing.
	rate float64
	ramp float64 // seconds
	// random draws the steps between operations, nil for Even.
	random *rand.Rand
	// expected is how many operations are due before the next one, on average.
	expected float64
}

// newSchedule returns this process's part of the load.
func newSchedule(c Config) *schedule {
	s := &schedule{rate: c.Rate / float64(c.processes()), ramp: c.Ramp.Seconds()}
	if c.Arrivals == Poisson {
		s.random = rand.New(rand.NewPCG(c.Seed, 'p'+uint64(c.Process)<<8))
		s.step()
		return s
	}
	// Processes take turns.
	s.expected = float64(c.Process) / float64(c.processes())
	return s
}

// next returns when the next operation is due.
func (s *schedule) next() time.Duration {
	at := s.moment(s.expected)
	s.step()
	return at
}

func (s *schedule) step() {
	if s.random != nil {
		s.expected += s.random.ExpFloat64()
		return
	}
	s.expected++
}

// moment returns the time by which n operations are expected: the inverse of the
// rate's integral.
func (s *schedule) moment(n float64) time.Duration {
	seconds := s.ramp/2 + n/s.rate
	if n < s.rate*s.ramp/2 {
		seconds = math.Sqrt(2 * n * s.ramp / s.rate)
	}
	return time.Duration(min(seconds*float64(time.Second), math.MaxInt64/2))
}

// before takes all operations that are due in from to to, and counts them.
func (s *schedule) before(from, to time.Duration) (n uint64) {
	for at := s.moment(s.expected); at < to; at = s.moment(s.expected) {
		s.step()
		if at >= from {
			n++
		}
	}
	return n
}
