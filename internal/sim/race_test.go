//go:build race

package sim

// The simulator has one goroutine: the race detector finds nothing in it that a
// few seeds do not show, and makes each ten times as slow.
const defaultSeeds, fixedSeeds = 20, 1
