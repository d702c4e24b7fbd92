package memory

import (
	"bytes"
	"math/bits"
	"sync"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// stripeCount is the number of locks. With a few thousand partitions a stripe
// holds a handful of them.
const stripeCount = 256

// stripe is the prefixes that share a lock.
type stripe struct {
	mu struct {
		sync.RWMutex
		tables map[storage.Prefix]*table
	}
}

// stripeOf spreads neighbouring partitions, and the spaces of one partition,
// over different stripes.
func stripeOf(p storage.Prefix) uint8 { return p[2] ^ p[1]*31 ^ p[0]*97 }

// stripeSet is a bitmap of stripes.
type stripeSet [stripeCount / 64]uint64

var allStripes = stripeSet{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}

// stripesOf returns the stripes of the keys of ops.
func stripesOf(ops []storage.Op) (set stripeSet) {
	for i := range ops {
		s := stripeOf(storage.PrefixOf(ops[i].Key))
		set[s/64] |= 1 << (s % 64)
	}
	return set
}

// stripesBetween returns the stripes of the keys in [from, to): all, unless the
// range is within one prefix.
func stripesBetween(from, to []byte) (set stripeSet) {
	if len(from) < storage.PrefixLen {
		return allStripes
	}
	p := storage.PrefixOf(from)
	_, end := p.Range()
	if to == nil && end != nil || to != nil && end != nil && bytes.Compare(to, end) > 0 {
		return allStripes
	}
	s := stripeOf(p)
	set[s/64] |= 1 << (s % 64)
	return set
}

func (set stripeSet) has(stripe int) bool { return set[stripe/64]&(1<<(stripe%64)) != 0 }

// lock locks the stripes of set in ascending order, so that two batches never
// wait for each other.
func (e *Engine) lock(set stripeSet) {
	for w, word := range set {
		for ; word != 0; word &= word - 1 {
			e.stripes[w*64+bits.TrailingZeros64(word)].mu.Lock()
		}
	}
}

func (e *Engine) unlock(set stripeSet) {
	for w, word := range set {
		for ; word != 0; word &= word - 1 {
			e.stripes[w*64+bits.TrailingZeros64(word)].mu.Unlock()
		}
	}
}
