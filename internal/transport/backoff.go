package transport

import (
	"math/rand/v2"
	"time"
)

// backoff spaces attempts to connect, so that peers that lost the same node do
// not return to it in step. Its randomness is its own, from a seed.
type backoff struct {
	least, most time.Duration
	next        time.Duration
	rand        *rand.Rand
}

func newBackoff(least, most time.Duration, seed1, seed2 uint64) *backoff {
	return &backoff{least: least, most: most, next: least, rand: rand.New(rand.NewPCG(seed1, seed2))}
}

// pause returns how long to wait now: from half of a time that doubles at each
// call to all of it.
func (b *backoff) pause() time.Duration {
	d := b.next
	b.next = min(2*b.next, b.most)
	return d/2 + time.Duration(b.rand.Int64N(int64(d/2)+1))
}

// reset begins anew.
func (b *backoff) reset() { b.next = b.least }
