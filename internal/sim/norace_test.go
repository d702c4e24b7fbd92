//go:build !race

package sim

const defaultSeeds = 100

// fixedSeeds is how many seeds a scenario of fixed steps is played with: they
// vary delays alone.
const fixedSeeds = 5

// twinEach is which of the scenarios are played on real engines: each.
const twinEach = 1
