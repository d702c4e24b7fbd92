package sim

import (
	"math/bits"
	"strconv"
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

// String returns the members, as values show them: "4-9,12", or "nothing".
func (s set) String() string {
	b := make([]byte, 0, 32)
	first, last := -1, -1
	flush := func() {
		if first < 0 {
			return
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(first), 10)
		if last > first {
			b = append(b, '-')
			b = strconv.AppendInt(b, int64(last), 10)
		}
	}
	for i := range s.all {
		if i != last+1 || first < 0 {
			flush()
			first = i
		}
		last = i
	}
	flush()
	if len(b) == 0 {
		return "nothing"
	}
	return string(b)
}
