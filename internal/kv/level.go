package kv

import "fmt"

// Level says how far a partition has come in the history of the ring: the epoch
// whose ring is settled, and, while the ring changes to the next one, the step
// of that change and its phase (package ring). Levels only grow. Nodes refuse
// requests that were planned at a lower level than theirs where an answer could
// break a promise.
type Level uint64

const levelBits = 16

const (
	// MaxSteps bounds the steps of one partition in one change of the ring: none
	// takes more than one for each owner.
	MaxSteps = 2 * MaxReplicas
	// MaxEpoch is the last epoch that has a level.
	MaxEpoch = 1<<(64-levelBits) - 1
)

// LevelOf returns the level at which an epoch's ring is settled, which is that of
// phase 0 of the first step towards the next.
func LevelOf(epoch uint64) Level { return Level(epoch << levelBits) }

// At returns the level of a phase, 0 to 3, of step k on the way from the epoch
// of l to the next. Phase 3 of a step comes before phase 1 of the one after.
func (l Level) At(k, phase int) Level { return LevelOf(l.Epoch()) + Level(4*k+phase) }

// Epoch returns the epoch of the last ring that is settled.
func (l Level) Epoch() uint64 { return uint64(l) >> levelBits }

// Step returns the step, from 0, and its phase.
func (l Level) Step() (k, phase int) {
	low := int(l & (1<<levelBits - 1))
	return low / 4, low % 4
}

// String shows epoch, step and phase.
func (l Level) String() string {
	k, phase := l.Step()
	return fmt.Sprintf("%d.%d.%d", l.Epoch(), k, phase)
}
