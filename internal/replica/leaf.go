package replica

import "github.com/cespare/xxhash/v2"

// Leaf is a part of a partition's keys.
type leaf = uint16

const leaves = 1024

func position(k []byte) uint32 { return uint32(xxhash.Sum64(k) >> 32) }

func leafOf(position uint32) leaf { return leaf(position >> 22) }
