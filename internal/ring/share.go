package ring

import (
	"cmp"
	"slices"
	"sort"
)

// share is num/den partitions. Fair shares are exact fractions of integers:
// rounded floats differ between processors, and every node must compute the
// same ring.
type share struct{ num, den uint64 }

// floor returns the whole partitions of s.
func (s share) floor() int { return int(s.num / s.den) }

// rest returns the numerator of what floor leaves.
func (s share) rest() uint64 { return s.num % s.den }

// plus adds shares of one zone: they have one denominator, but for nodes with
// whole shares.
func (s share) plus(t share) share {
	switch {
	case s.den == t.den:
		return share{s.num + t.num, s.den}
	case t.den == 1:
		return share{s.num + t.num*s.den, s.den}
	default:
		return share{s.num*t.den + t.num, t.den}
	}
}

// ratio returns s as a float, for display.
func (s share) ratio() float64 { return float64(s.num) / float64(s.den) }

// compareRest orders shares by what floor leaves of them. The products stay
// below 2^56: denominators are sums of weights.
func (s share) compareRest(t share) int {
	return cmp.Compare(s.rest()*t.den, t.rest()*s.den)
}

// fairShares returns how many of q partitions each node ought to own when each
// partition has width owners.
//
// A plain share is width*q*weight/total. It cannot always be had: a node owns
// a partition at most once; of Z zones, when Z >= width, one owns a partition
// at most once; when Z <= width, at least once. Under these bounds the loads
// that come nearest to the weights (max-min fair) are, for a node of weight w
// in a zone of weight Wz,
//
//	fair = q * min(1, w/d),  d = max(x, Wz) if Z >= width, else min(x, Wz)
//
// where x is the one level at which the shares add up to width*q: q/x is what
// a unit of weight holds where no bound is in the way. A zone at its bound
// holds exactly q, divided by weight.
func fairShares(nodes []Node, zones zoning, q, width int) []share {
	apart := len(zones.names) >= width
	below, level := waterLevel(nodes, zones, width)
	shares := make([]share, len(nodes))
	for i, n := range nodes {
		w, wz := uint64(n.Weight), zones.weight[zones.of[i]]
		switch {
		case bound(wz, below, apart):
			shares[i] = share{uint64(q) * w, wz}
		case !apart && w > below:
			shares[i] = share{uint64(q), 1}
		default:
			shares[i] = share{uint64(q) * w * level.den, level.num}
		}
	}
	return shares
}

// bound reports whether a zone of weight wz holds exactly q at a level within
// [below, below+1).
func bound(wz, below uint64, apart bool) bool {
	if apart {
		return wz > below
	}
	return wz <= below
}

// waterLevel returns the level x of fairShares as a fraction, and the whole
// number below it. All bounds set in at whole levels, so that between two of
// them x solves width = settled + free/x, where settled counts the zones and
// nodes that hold exactly q and free is the weight of all others.
func waterLevel(nodes []Node, zones zoning, width int) (below uint64, level share) {
	apart := len(zones.names) >= width
	first := sort.Search(int(zones.total())+1, func(x int) bool {
		return x > 0 && poured(nodes, zones, uint64(x), apart) < uint64(x)*uint64(width)
	})
	below = uint64(first - 1)
	var settled, free uint64
	for _, wz := range zones.weight {
		switch {
		case bound(wz, below, apart):
			settled++
		case apart:
			free += wz
		}
	}
	for i, n := range nodes {
		switch {
		case apart || bound(zones.weight[zones.of[i]], below, apart):
		case uint64(n.Weight) > below:
			settled++
		default:
			free += uint64(n.Weight)
		}
	}
	if free == 0 {
		return below, share{below, 1}
	}
	return below, share{free, uint64(width) - settled}
}

// poured returns the sum of all shares at level x, in units of q/x. Divided by
// x it falls as x rises.
func poured(nodes []Node, zones zoning, x uint64, apart bool) uint64 {
	var sum uint64
	if apart {
		for _, wz := range zones.weight {
			sum += min(x, wz)
		}
		return sum
	}
	in := make([]uint64, len(zones.names))
	for i, n := range nodes {
		in[zones.of[i]] += min(x, uint64(n.Weight))
	}
	for _, v := range in {
		sum += max(x, v)
	}
	return sum
}

// targets rounds fair shares to whole partitions, total in all: first those of
// the zones, so that a zone at its bound stays there, then within each zone
// those of the nodes. old holds the present load of each node.
func targets(shares []share, zones zoning, total int, old []int) []int {
	count := len(zones.names)
	members := make([][]int, count)
	sums := slices.Repeat([]share{{0, 1}}, count)
	held := make([]int, count)
	for i, z := range zones.of {
		members[z] = append(members[z], i)
		held[z] += old[i]
		sums[z] = sums[z].plus(shares[i])
	}
	out := make([]int, len(shares))
	for z, whole := range apportion(total, sums, held) {
		part := make([]share, len(members[z]))
		had := make([]int, len(members[z]))
		for j, i := range members[z] {
			part[j], had[j] = shares[i], old[i]
		}
		for j, n := range apportion(whole, part, had) {
			out[members[z][j]] = n
		}
	}
	return out
}

// apportion rounds each share down or up so that the sum is total. Up go first
// those that hold more than their floor already, since that moves nothing,
// then the largest remainders, then the lowest indexes. A whole share stays.
func apportion(total int, shares []share, old []int) []int {
	out := make([]int, len(shares))
	var order []int
	for i, s := range shares {
		out[i] = s.floor()
		total -= out[i]
		if s.rest() > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		holdsA, holdsB := old[a] > out[a], old[b] > out[b]
		switch {
		case holdsA && !holdsB:
			return -1
		case holdsB && !holdsA:
			return 1
		}
		return shares[b].compareRest(shares[a])
	})
	for _, i := range order[:total] {
		out[i]++
	}
	return out
}
