package lab

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
)

// load is the popularity of keys by their places on the circle, for sums over
// ranges of it.
type load struct {
	places []uint64
	// until[i] is the popularity of all keys before places[i].
	until []float64
}

// newLoad returns the load of keys whose popularity is 1/rank^skew (Zipf), at
// random places. The sum of all is 1.
func newLoad(rng *rand.Rand, keys int, skew float64) load {
	type key struct {
		place  uint64
		weight float64
	}
	all := make([]key, keys)
	sum := 0.0
	for i := range all {
		all[i] = key{rng.Uint64(), math.Pow(float64(i+1), -skew)}
		sum += all[i].weight
	}
	slices.SortFunc(all, func(a, b key) int {
		if a.place < b.place {
			return -1
		}
		return 1
	})
	l := load{places: make([]uint64, keys), until: make([]float64, keys+1)}
	for i, k := range all {
		l.places[i] = k.place
		l.until[i+1] = l.until[i] + k.weight/sum
	}
	return l
}

// before returns the popularity of all keys below a place.
func (l load) before(place uint64) float64 {
	return l.until[sort.Search(len(l.places), func(i int) bool { return l.places[i] >= place })]
}

// between returns the popularity of [from, to) on the circle; the whole of it
// where they are equal.
func (l load) between(from, to uint64) float64 {
	if from < to {
		return l.before(to) - l.before(from)
	}
	return 1 - l.before(from) + l.before(to)
}

// partition returns the popularity of partition p of q equal ones, a power of
// two.
func (l load) partition(p, q int) float64 {
	if q == 1 {
		return 1
	}
	size := math.MaxUint64/uint64(q) + 1
	return l.between(uint64(p)*size, uint64(p+1)*size)
}
