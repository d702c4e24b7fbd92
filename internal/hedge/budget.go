package hedge

import "sync"

const (
	// Every is how many requests allow one hedge: 5 % of them may be hedged. A
	// node that is slow for good is found out by the estimates; hedges are for
	// the moment, and must not double the load of a cluster that is slow because
	// it has too much to do.
	Every = 20
	// Burst is how many hedges may have been saved up: as many requests as may be
	// under way to a node when it stalls.
	Burst = 64
)

// Budget holds hedges to one in Every requests. All that were ever allowed are
// never more than that share of all requests. Its zero value is ready. Safe for
// concurrent use.
type Budget struct {
	mu struct {
		sync.Mutex
		seen uint64
		// saved is in 1/Every of a hedge, and below 0 after Spend.
		saved int64
	}
}

// Take allows a hedge, or refuses it, when there have been so many requests since
// the start. Nothing is counted for a request that needs none.
func (b *Budget) Take(requests uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.save(requests)
	if b.mu.saved < Every {
		return false
	}
	b.mu.saved -= Every
	return true
}

// Spend takes a hedge in any case, from those to come if need be. It is for
// callers who see to it themselves that there are fewer than the budget allows.
func (b *Budget) Spend(requests uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.save(requests)
	b.mu.saved -= Every
}

// save counts requests. The caller holds mu.
func (b *Budget) save(requests uint64) {
	if requests > b.mu.seen {
		b.mu.saved = min(b.mu.saved+int64(requests-b.mu.seen), Burst*Every)
		b.mu.seen = requests
	}
}

// Event is what became of a request that took too long.
type Event uint8

const (
	// Sent: a second node was asked.
	Sent Event = iota
	// Won: it answered before the first one.
	Won
	// Refused: it was not asked, since the budget was spent.
	Refused
)
