//go:build !race

package sim

const defaultSeeds = 100

// fixedSeeds is how many seeds a scenario of fixed steps is played with: they
// vary delays alone.
const fixedSeeds = 5
