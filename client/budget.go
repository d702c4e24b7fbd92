package client

import "sync/atomic"

const (
	// retryOneIn is how many requests that were answered pay for one that is sent
	// again after a node refused it as overloaded: where one node is, another may
	// have room; where all are, trying again would make it worse.
	retryOneIn = 10
	// retrySaved is how many such attempts may be saved up.
	retrySaved = 10
)

// budget pays for attempts after a refusal as overloaded. Its zero value is full.
// Safe for concurrent use.
type budget struct{ spent atomic.Int64 }

// earn counts a request that was answered.
func (b *budget) earn() {
	if n := b.spent.Load(); n > 0 {
		b.spent.CompareAndSwap(n, n-1) // another earns or spends: one more or less is no matter
	}
}

// spend tells whether there is enough for an attempt.
func (b *budget) spend() bool {
	if b.spent.Load() > (retrySaved-1)*retryOneIn {
		return false
	}
	b.spent.Add(retryOneIn)
	return true
}
