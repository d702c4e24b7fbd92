package merkle

import (
	"encoding/binary"
	"math/bits"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Version is the version of the kept form.
const Version = 1

// A kept tree is canonical, equal trees are equal bytes, and leaves out what is
// zero:
//
//	offset  size
//	     0     1  format version
//	     1     4  which branches have a leaf that is not zero, a bit each
//	              for each of those, ascending:
//	           4    which of its leaves are not zero, a bit each
//	           8    each of those, ascending
const (
	headerSize = 5
	maskSize   = 4
	hashSize   = 8

	// MaxSize is the size of the largest kept tree, in bytes.
	MaxSize = headerSize + Fanout*maskSize + Leaves*hashSize
)

// AppendTo appends the kept form of t to dst.
func (t *Tree) AppendTo(dst []byte) []byte {
	var masks [Fanout]uint32
	var branches uint32
	for b, leaves := range t.leaves {
		if leaves == nil {
			continue
		}
		for i, h := range leaves {
			if h != 0 {
				masks[b] |= 1 << i
				branches |= 1 << b
			}
		}
	}
	dst = append(dst, Version)
	dst = binary.BigEndian.AppendUint32(dst, branches)
	for b, mask := range masks {
		if mask == 0 {
			continue
		}
		dst = binary.BigEndian.AppendUint32(dst, mask)
		for ; mask != 0; mask &= mask - 1 {
			dst = binary.BigEndian.AppendUint64(dst, t.leaves[b][bits.TrailingZeros32(mask)])
		}
	}
	return dst
}

// Parse reads what AppendTo wrote; the tree does not refer to b. The error is of
// KindInvalid, or KindWrongVersion.
func Parse(b []byte) (*Tree, error) {
	if len(b) < headerSize || len(b) > MaxSize {
		return nil, invalid("%d bytes", len(b))
	}
	if b[0] != Version {
		return nil, kv.Errorf(kv.KindWrongVersion, "parse hash tree", "format version %d, this node knows %d", b[0], Version)
	}
	t := new(Tree)
	rest := b[headerSize:]
	for branches := binary.BigEndian.Uint32(b[1:]); branches != 0; branches &= branches - 1 {
		var err error
		if rest, err = t.parseBranch(bits.TrailingZeros32(branches), rest); err != nil {
			return nil, err
		}
	}
	if len(rest) > 0 {
		return nil, invalid("%d bytes too many", len(rest))
	}
	return t, nil
}

// parseBranch reads one branch from b and returns what follows it.
func (t *Tree) parseBranch(branch int, b []byte) ([]byte, error) {
	if len(b) < maskSize {
		return nil, invalid("cut before branch %d", branch)
	}
	mask := binary.BigEndian.Uint32(b)
	b = b[maskSize:]
	if mask == 0 || len(b) < hashSize*bits.OnesCount32(mask) {
		return nil, invalid("branch %d is empty, or cut", branch)
	}
	for ; mask != 0; mask &= mask - 1 {
		h := binary.BigEndian.Uint64(b)
		if h == 0 {
			return nil, invalid("branch %d has an empty leaf", branch)
		}
		t.Toggle(Leaf(branch*Fanout+bits.TrailingZeros32(mask)), h)
		b = b[hashSize:]
	}
	return b, nil
}

func invalid(format string, args ...any) error {
	return kv.Errorf(kv.KindInvalid, "parse hash tree", format, args...)
}
