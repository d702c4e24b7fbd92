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
	size int
	pool []byte
}

func newValues(size int, seed uint64) *values {
	r := rand.New(rand.NewPCG(seed, 'v'))
	pool := make([]byte, 0, poolBytes+size+8)
	for len(pool) < poolBytes+size {
		pool = binary.LittleEndian.AppendUint64(pool, r.Uint64())
	}
	return &values{size: size, pool: pool}
}

// draw returns a value, for reading.
func (v *values) draw(r *rand.Rand) []byte {
	at := r.IntN(poolBytes)
	return v.pool[at : at+v.size : at+v.size]
}
