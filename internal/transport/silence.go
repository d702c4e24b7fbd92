package transport

import "time"

// silence measures for how long a counter has not moved. It counts steps rather
// than wall time: after a pause of this process one step stands for all of it,
// so that a peer is not blamed for what we did not read.
type silence struct {
	last  time.Duration
	count uint64
	quiet time.Duration
}

// newSilence begins at now, with the counter at count.
func newSilence(now time.Duration, count uint64) silence { return silence{last: now, count: count} }

// step tells how long count has been the same by now. No step counts for more
// than longest.
func (s *silence) step(now time.Duration, count uint64, longest time.Duration) time.Duration {
	passed := min(now-s.last, longest)
	s.last = now
	if count != s.count {
		s.count, s.quiet = count, 0
	} else {
		s.quiet += passed
	}
	return s.quiet
}
