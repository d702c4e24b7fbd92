package metrics

import "sync/atomic"

// maxSize is the largest number that Sizes tells apart; larger ones count as
// this one, but for the sum. It is past every limit on a put.
const maxSize = 128

// Sizes counts small numbers, such as the siblings of a get. It is safe for
// concurrent use and lock-free. The zero Sizes is empty.
type Sizes struct {
	sum    atomic.Uint64
	counts [maxSize + 1]atomic.Uint64
}

// Record counts size once; less than 0 counts as 0.
func (s *Sizes) Record(size int) {
	size = max(size, 0)
	s.sum.Add(uint64(size))
	s.counts[min(size, maxSize)].Add(1)
}

// below returns how many of the numbers are at most size, which is less than
// maxSize.
func (s *Sizes) below(size int) uint64 {
	var n uint64
	for i := range size + 1 {
		n += s.counts[i].Load()
	}
	return n
}

// count returns how many numbers were recorded.
func (s *Sizes) count() uint64 { return s.below(maxSize-1) + s.counts[maxSize].Load() }
