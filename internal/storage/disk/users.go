package disk

import (
	"math"
	"sync"
	"sync/atomic"
)

// Users counts the calls that run in the engine, so that Close can wait for
// them. It is a counter rather
// than a lock because a Scan may call the engine. NewUsers makes one.
type Users struct {
	// n is the number of calls, plus math.MinInt64 once shut.
	n    atomic.Int64
	once sync.Once
	gone chan struct{}
}

// NewUsers returns the users of an open engine: none.
func NewUsers() *Users { return &Users{gone: make(chan struct{})} }

// Enter returns false when the engine is closed, else the caller must leave.
func (u *Users) Enter() bool {
	if u.n.Add(1) > 0 {
		return true
	}
	u.Leave()
	return false
}

// Leave ends what Enter began.
func (u *Users) Leave() {
	if u.n.Add(-1) == math.MinInt64 {
		u.once.Do(func() { close(u.gone) })
	}
}

// Shut turns away who comes from now on, and returns false when it was called
// before.
func (u *Users) Shut() bool {
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

// Wait returns when all who entered before Shut have left.
func (u *Users) Wait() { <-u.gone }
