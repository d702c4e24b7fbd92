package metrics

import (
	"strconv"
	"sync/atomic"
)

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

// lastVersions is from where on numbers of versions are counted together.
const lastVersions = 5

var descVers = newDesc("get_versions_total",
	"Gets that found so many live values: 0 where there is none, more than 1 where they conflict.", "versions")

// versionsText is a number of versions as metrics show it.
func versionsText(i int) string {
	if i == lastVersions {
		return strconv.Itoa(i) + "+"
	}
	return strconv.Itoa(i)
}

// versions returns how many gets found i versions, lastVersions for that many or
// more.
func (s *Sizes) versions(i int) uint64 {
	if i < lastVersions {
		return s.counts[i].Load()
	}
	var n uint64
	for j := i; j <= maxSize; j++ {
		n += s.counts[j].Load()
	}
	return n
}

// Versions returns how many gets found no live value, one, two, three, four, and
// five or more (the paper's 6.3).
func (n *Node) Versions() []uint64 {
	out := make([]uint64, lastVersions+1)
	for i := range out {
		out[i] = n.GetSiblings.versions(i)
	}
	return out
}
