package ring

import (
	"math/bits"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// MaxPartitions bounds Q: a partition's number has 16 bits.
const MaxPartitions = 1 << 16

// Params are what a cluster fixes when it is created and never changes.
type Params struct {
	// N is the number of owners of each partition, 1 to kv.MaxReplicas. A
	// cluster of fewer nodes makes do with all of them.
	N int `json:"n"`
	// R is the number of owners that a quorum get waits for, 1 to N.
	R int `json:"r"`
	// W is the number of owners that a quorum put waits for, 1 to N. With
	// R+W > N each get meets the puts before it (§4.5).
	W int `json:"w"`
	// Q is the number of partitions, a power of two, 1 to MaxPartitions, and
	// at most Slots under CRC16. It bounds the nodes that can share the work,
	// and a node's load differs from its fair share by up to nodes/(N*Q).
	Q int `json:"q"`
	// Partitioner places keys on the circle.
	Partitioner Partitioner `json:"partitioner"`
}

// DefaultParams returns (N, R, W) = (3, 2, 2), the paper's common choice, with
// 1024 partitions by MD5.
func DefaultParams() Params { return Params{N: 3, R: 2, W: 2, Q: 1024, Partitioner: MD5} }

// Validate returns an error of KindInvalid that names the first field outside
// its range.
func (p Params) Validate() error {
	const op = "check ring parameters"
	switch {
	case p.N < 1 || p.N > kv.MaxReplicas:
		return kv.Errorf(kv.KindInvalid, op, "n=%d is not within 1 to %d", p.N, kv.MaxReplicas)
	case p.R < 1 || p.R > p.N:
		return kv.Errorf(kv.KindInvalid, op, "r=%d is not within 1 to N=%d", p.R, p.N)
	case p.W < 1 || p.W > p.N:
		return kv.Errorf(kv.KindInvalid, op, "w=%d is not within 1 to N=%d", p.W, p.N)
	case p.Q < 1 || p.Q > MaxPartitions || bits.OnesCount(uint(p.Q)) != 1:
		return kv.Errorf(kv.KindInvalid, op, "q=%d is no power of two within 1 to %d", p.Q, MaxPartitions)
	case p.Partitioner >= numPartitioners:
		return kv.Errorf(kv.KindInvalid, op, "partitioner %d is unknown", p.Partitioner)
	case p.Partitioner == CRC16 && p.Q > Slots:
		return kv.Errorf(kv.KindInvalid, op, "q=%d is more than the %d hash slots", p.Q, Slots)
	}
	return nil
}
