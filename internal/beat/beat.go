// Package beat has what a node does from time to time happen at common instants.
// An idle node costs what its wake-ups cost, far more than what it does then; ten
// loops that each wake it four times a second cost a fourth of that, or less, if
// they do so together.
package beat

import "time"

// Pause returns the time from now to a multiple of every since the epoch of the
// wall clock: the first one that is more than half of every away. A loop that
// waits for it at each turn, and takes less than half of every for its work,
// turns once in every. It panics if every is not positive.
func Pause(now time.Time, every time.Duration) time.Duration {
	if every <= 0 {
		panic("beat: the interval is not positive")
	}
	pause := every - time.Duration(now.UnixNano()%int64(every))
	if pause <= every/2 {
		pause += every
	}
	return pause
}
