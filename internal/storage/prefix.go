package storage

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// PrefixLen is the length of a Prefix in bytes.
const PrefixLen = 3

// MaxKey bounds a stored key in bytes, its prefix included. It leaves room
// around the longest kv.Key for what the layer above puts beside it.
const MaxKey = PrefixLen + 1 + kv.MaxBucket + kv.MaxKey + 256

// Prefix is the first PrefixLen bytes of every key: the space in one byte, the
// partition in two, big-endian, so that partitions are stored in order. What
// follows it in a key is opaque, and ordered bytewise.
type Prefix [PrefixLen]byte

// Space divides the keys of a node by what they are for. The values are stored
// on disk: they never change.
type Space byte

// The spaces of a node's keys.
const (
	// SpaceMeta holds what a node knows of itself and of its partitions.
	SpaceMeta Space = 1
	// SpaceData holds the objects of the partitions that the node owns.
	SpaceData Space = 2
	// SpaceHints holds objects that the node keeps for an owner that is down.
	SpaceHints Space = 3
	// SpaceMending holds what is to be done before anything else after a crash.
	SpaceMending Space = 4
)

// NewPrefix returns the prefix of partition p's keys in space s.
func NewPrefix(s Space, p kv.Partition) Prefix {
	return Prefix{byte(s), byte(p >> 8), byte(p)}
}

// PrefixOf returns the prefix of key, and panics for a key that has none.
func PrefixOf(key []byte) Prefix { return Prefix(key[:PrefixLen]) }

// Space returns the prefix's space.
func (p Prefix) Space() Space { return Space(p[0]) }

// Partition returns the prefix's partition.
func (p Prefix) Partition() kv.Partition { return kv.Partition(binary.BigEndian.Uint16(p[1:])) }

// Range returns the range of p's keys, [from, to), as Engine.Drop takes it. The
// range of the greatest prefix has no end: its to is nil.
func (p Prefix) Range() (from, to []byte) {
	if next, ok := p.Next(); ok {
		to = next[:]
	}
	return p[:], to
}

// Next returns the least prefix that is greater than p: the end of p's range
// of keys. For the greatest of all prefixes it returns false; its range has no
// end.
func (p Prefix) Next() (Prefix, bool) {
	for i := PrefixLen - 1; i >= 0; i-- {
		p[i]++
		if p[i] != 0 {
			return p, true
		}
	}
	return p, false
}
