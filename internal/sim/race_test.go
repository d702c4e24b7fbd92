//go:build race

package sim

// The simulator has one goroutine: the race detector finds nothing in it that a
// few seeds do not show, and makes each ten times as slow.
const defaultSeeds, fixedSeeds = 20, 1

// twinEach is which of the scenarios are played on real engines, whose own tests
// the detector goes through as well.
const twinEach = 8
