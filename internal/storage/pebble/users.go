package pebble

import (
	"math"
	"sync"
	"sync/atomic"
)

// users counts the calls that run in the engine, so that Close can wait for
// them: Pebble panics when it is used after its Close. It is a counter rather
// than a lock because a Scan may call the engine. The zero users is open.
type users struct {
	// n is the number of calls, plus math.MinInt64 once shut.
	n    atomic.Int64
	once sync.Once
	gone chan struct{}
}

func newUsers() *users { return &users{gone: make(chan struct{})} }

// enter returns false when the engine is closed, else the caller must leave.
func (u *users) enter() bool {
	if u.n.Add(1) > 0 {
		return true
	}
	u.leave()
	return false
}

func (u *users) leave() {
	if u.n.Add(-1) == math.MinInt64 {
		u.once.Do(func() { close(u.gone) })
	}
}

// shut turns away who comes from now on, and returns false when it was called
// before.
func (u *users) shut() bool {
	for {
		n := u.n.Load()
		if n < 0 {
			return false
		}
		if u.n.CompareAndSwap(n, n+math.MinInt64) {
			if n == 0 {
				u.once.Do(func() { close(u.gone) })
			}
			return true
		}
	}
}

// wait returns when all who entered before shut have left.
func (u *users) wait() { <-u.gone }
