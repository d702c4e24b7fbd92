package bench

import (
	"encoding/binary"
	"math/rand/v2"
)

// poolBytes is how much randomness there is: so much that values which lie side
// by side on disk hardly share any, and do not compress.
const poolBytes = 4 << 20

// values cuts values out of random bytes. It is read-only: safe for concurrent
// use.
type values struct {
	sizes Sizes
	pool  []byte
}

func newValues(sizes Sizes, seed uint64) *values {
	r := rand.New(rand.NewPCG(seed, 'v'))
	pool := make([]byte, 0, poolBytes+sizes.max+8)
	for len(pool) < poolBytes+sizes.max {
		pool = binary.LittleEndian.AppendUint64(pool, r.Uint64())
	}
	return &values{sizes: sizes, pool: pool}
}

// draw returns a value, for reading.
func (v *values) draw(r *rand.Rand) []byte {
	size, at := v.sizes.draw(r), r.IntN(poolBytes)
	return v.pool[at : at+size : at+size]
}
