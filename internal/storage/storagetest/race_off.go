//go:build !race

package storagetest

// raceEnabled says that the race detector is on: allocations cannot be counted
// then.
const raceEnabled = false
