// Package merkle holds hash trees by which two nodes find in which records of a
// partition they differ (§4.7).
//
// The keys of a partition are spread over 1,024 leaves by hash. A leaf is the
// XOR of the hashes of its records, a branch the XOR of 32 leaves, the root the
// XOR of the 32 branches. So a record goes in, out, or from one version to the
// next in three XORs, in any order, and nothing is ever read again to keep a
// tree right. The order of a leaf's keys and the history of its writes leave no
// trace: equal records give equal trees.
package merkle

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

const (
	// Fanout is the number of branches of a tree, and of leaves of a branch.
	Fanout = 32
	// Leaves is the number of a tree's leaves.
	Leaves = Fanout * Fanout

	// leafShift takes a position to its leaf, the top 10 of its 32 bits.
	leafShift = 22
)

// Leaf names one of a tree's leaves: 0 to Leaves-1. Leaf l belongs to branch
// l/Fanout.
type Leaf uint16

// Position returns where key stands among the keys of its partition. Keys in the
// order of their positions are in the order of their leaves.
func Position(key []byte) uint32 { return uint32(xxhash.Sum64(key) >> 32) }

// LeafOf returns the leaf of the keys at position.
func LeafOf(position uint32) Leaf { return Leaf(position >> leafShift) }

// RecordHash returns what a record counts for in its leaf: a hash of its key and
// of the digest of its object; 0 for the digest 0, a record that counts as
// absent.
func RecordHash(key []byte, digest uint64) uint64 {
	if digest == 0 {
		return 0
	}
	var d xxhash.Digest
	d.Reset()
	var room [8]byte
	binary.BigEndian.PutUint64(room[:], digest)
	_, _ = d.Write(room[:])
	_, _ = d.Write(key)
	return d.Sum64()
}

// Tree is the hash tree of one partition. Its zero value is the tree of no
// records; what it takes, about half a KiB, grows by 256 B for each branch that
// has ever had a record. It is not safe for concurrent use.
//
// Invariant: root is the XOR of branches, and branches[i] that of leaves[i].
type Tree struct {
	root     uint64
	branches [Fanout]uint64
	leaves   [Fanout]*[Fanout]uint64
}

// Toggle puts a record of hash h into leaf l, or takes it out again.
func (t *Tree) Toggle(l Leaf, h uint64) {
	if h == 0 {
		return
	}
	branch := l / Fanout
	if t.leaves[branch] == nil {
		t.leaves[branch] = new([Fanout]uint64)
	}
	t.leaves[branch][l%Fanout] ^= h
	t.branches[branch] ^= h
	t.root ^= h
}

// Root returns the hash of all records.
func (t *Tree) Root() uint64 { return t.root }

// Branches appends the hashes of the Fanout branches to dst.
func (t *Tree) Branches(dst []uint64) []uint64 { return append(dst, t.branches[:]...) }

// LeavesOf appends the hashes of the Fanout leaves of branch to dst.
func (t *Tree) LeavesOf(branch int, dst []uint64) []uint64 {
	if leaves := t.leaves[branch]; leaves != nil {
		return append(dst, leaves[:]...)
	}
	return append(dst, make([]uint64, Fanout)...)
}

// Leaf returns the hash of leaf l.
func (t *Tree) Leaf(l Leaf) uint64 {
	leaves := t.leaves[l/Fanout]
	if leaves == nil {
		return 0
	}
	return leaves[l%Fanout]
}

// SetLeaf sets the hash of leaf l to h, which whoever rebuilds a tree has summed.
func (t *Tree) SetLeaf(l Leaf, h uint64) { t.Toggle(l, t.Leaf(l)^h) }
