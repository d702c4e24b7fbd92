package sim

import (
	"math/bits"
	"strconv"
	"strings"
)

// set is a set of a key's writes, by their numbers.
type set []uint64

func (s set) has(i int) bool { return i/64 < len(s) && s[i/64]&(1<<(i%64)) != 0 }

func (s *set) add(i int) {
	for len(*s) <= i/64 {
		*s = append(*s, 0)
	}
	(*s)[i/64] |= 1 << (i % 64)
}

func (s *set) addAll(o set) {
	for len(*s) < len(o) {
		*s = append(*s, 0)
	}
	for i, w := range o {
		(*s)[i] |= w
	}
}

// all calls fn with each member, ascending.
func (s set) all(fn func(int) bool) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			if !fn(i*64 + bits.TrailingZeros64(w)) {
				return
			}
		}
	}
}

// String returns the members, as values show them: "4,5,12", or "nothing".
func (s set) String() string {
	var names []string
	for i := range s.all {
		names = append(names, strconv.Itoa(i))
	}
	if names == nil {
		return "nothing"
	}
	return strings.Join(names, ",")
}
