package logstore

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// tree is the keys of one prefix in order, with the place of each: a B+tree of
// three levels. A leaf has no pointer but the one to its keys, which stand one
// after the other without the prefix.
//
// A snapshot is a copy of the root that shares all nodes. A node is changed in
// place only if it was made after the last snapshot, else it is copied first.
//
// Invariants: no leaf or branch is empty; low[i] is the head of the first key of
// child i; nodes reachable from a snapshot have a generation below the tree's.
//
// A tree is not safe for concurrent use, but for reads beside reads. A snapshot
// is read without a lock.
type tree struct {
	gen      uint64
	keys     int
	bytes    int // of the keys
	branches []*branch
	low      []uint64
}

// branch is a row of leaves.
type branch struct {
	gen    uint64
	leaves []*leaf
	low    []uint64
}

const (
	leafKeys     = 62 // so that a leaf fills a size class of 1,792 bytes
	branchLeaves = 64
	keySlack     = 64 // bytes by which the room of a leaf's keys grows, at least
)

// leaf is a run of keys.
type leaf struct {
	gen   uint64
	n     uint32
	bytes []byte // the keys, one after the other
	// heads are the first four bytes of the keys: most searches end there, within
	// a few cache lines.
	heads [leafKeys]uint32
	ends  [leafKeys]uint32
	locs  [leafKeys]loc
}

// loc is where a record stands. Its fields are small so that it has no padding.
type loc struct {
	seqLow, seqHigh uint32
	segment         uint32
	offset          uint32
	length          uint32 // of the record; 0 for a key that is deleted, while the engine opens
}

func (l *loc) seq() uint64 { return uint64(l.seqHigh)<<32 | uint64(l.seqLow) }

// valueLen returns the size of the value of key's record.
func (l *loc) valueLen(key []byte) int { return int(l.length) - headerLen - len(key) }

// newLoc returns the place of a record.
func newLoc(seq uint64, segment uint32, offset, length int64) loc {
	return loc{uint32(seq), uint32(seq >> 32), segment, uint32(offset), uint32(length)}
}

// newer says whether l is to be preferred: it came later, or is the copy of o
// that a merge has made.
func (l *loc) newer(o *loc) bool {
	return l.seq() > o.seq() || l.seq() == o.seq() && l.segment > o.segment
}

// head returns the first eight bytes of a key as a number that is ordered like
// it.
func head(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// shortHead returns the first four bytes of a key in the same way.
func shortHead(key []byte) uint32 {
	if len(key) >= 4 {
		return binary.BigEndian.Uint32(key)
	}
	var b [4]byte
	copy(b[:], key)
	return binary.BigEndian.Uint32(b[:])
}

func (l *leaf) key(i int) []byte {
	if i == 0 {
		return l.bytes[:l.ends[0]]
	}
	return l.bytes[l.ends[i-1]:l.ends[i]]
}

// find returns where key is in the leaf, or where it would be.
func (l *leaf) find(key []byte) (i int, found bool) {
	h := shortHead(key)
	lo, hi := 0, int(l.n)
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); l.heads[mid] < h {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for hi = lo; hi < int(l.n) && l.heads[hi] == h; hi++ {
	}
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch c := bytes.Compare(l.key(mid), key); {
		case c == 0:
			return mid, true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

// child returns the last of n children that may hold key: first returns the
// first key of one.
func child(low []uint64, key []byte, first func(i int) []byte) int {
	h := head(key)
	lo, hi := 0, len(low) // the first child that is greater than key
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if low[mid] > h || low[mid] == h && bytes.Compare(first(mid), key) > 0 {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return max(lo-1, 0)
}

func (b *branch) child(key []byte) int {
	return child(b.low, key, func(i int) []byte { return b.leaves[i].key(0) })
}

func (t *tree) child(key []byte) int {
	return child(t.low, key, func(i int) []byte { return t.branches[i].leaves[0].key(0) })
}

// get returns the place of key. It is valid until the tree changes.
func (t *tree) get(key []byte) *loc {
	if len(t.branches) == 0 {
		return nil
	}
	b := t.branches[t.child(key)]
	l := b.leaves[b.child(key)]
	if i, found := l.find(key); found {
		return &l.locs[i]
	}
	return nil
}

// snapshot returns the tree as it is now.
func (t *tree) snapshot() tree {
	s := *t
	t.gen++
	// The tree appends to and changes slices of its own from now on.
	t.branches, t.low = slices.Clone(t.branches), slices.Clone(t.low)
	return s
}

// own returns branch i and its leaf j, which may be changed.
func (t *tree) own(i, j int) (*branch, *leaf) {
	b := t.branches[i]
	if b.gen != t.gen {
		b = &branch{gen: t.gen, leaves: slices.Clone(b.leaves), low: slices.Clone(b.low)}
		t.branches[i] = b
	}
	l := b.leaves[j]
	if l.gen != t.gen {
		c := *l
		c.gen, c.bytes = t.gen, roomy(l.bytes, 0)
		b.leaves[j] = &c
		l = &c
	}
	return b, l
}

// roomy returns a copy of keys with room for more bytes, and some slack.
func roomy(keys []byte, more int) []byte {
	return append(make([]byte, 0, len(keys)+more+len(keys)/16+keySlack), keys...)
}

// set puts key at place, and returns the place that it had.
func (t *tree) set(key []byte, place loc) (old loc, was bool) { return t.put(key, place, false) }

// put is set; with newest a key stays where it is if that is newer.
func (t *tree) put(key []byte, place loc, newest bool) (old loc, was bool) {
	if len(t.branches) == 0 {
		l := &leaf{gen: t.gen}
		t.branches = []*branch{{gen: t.gen, leaves: []*leaf{l}, low: []uint64{head(key)}}}
		t.low = []uint64{head(key)}
	}
	i := t.child(key)
	j := t.branches[i].child(key)
	b, l := t.own(i, j)
	at, found := l.find(key)
	if found {
		if old = l.locs[at]; !newest || place.newer(&old) {
			l.locs[at] = place
		}
		return old, true
	}
	if l.n == leafKeys {
		t.split(i, j, at)
		return t.put(key, place, newest)
	}
	l.insert(at, key, place)
	t.keys++
	t.bytes += len(key)
	if at == 0 {
		b.low[j] = head(key)
		if j == 0 {
			t.low[i] = b.low[0]
		}
	}
	return loc{}, false
}

func (l *leaf) insert(at int, key []byte, place loc) {
	n := int(l.n)
	start := 0
	if at > 0 {
		start = int(l.ends[at-1])
	}
	if len(l.bytes)+len(key) > cap(l.bytes) {
		l.bytes = roomy(l.bytes, len(key))
	}
	used := len(l.bytes)
	l.bytes = l.bytes[:used+len(key)]
	copy(l.bytes[start+len(key):], l.bytes[start:used])
	copy(l.bytes[start:], key)
	copy(l.locs[at+1:n+1], l.locs[at:n])
	copy(l.heads[at+1:n+1], l.heads[at:n])
	for k := n; k > at; k-- {
		l.ends[k] = l.ends[k-1] + uint32(len(key))
	}
	l.heads[at], l.ends[at], l.locs[at] = shortHead(key), uint32(start+len(key)), place
	l.n++
}

// split makes two leaves of leaf j of branch i. The second begins in the middle,
// or with the key that goes to `at` if that is the end: keys that come in order
// leave full leaves behind.
func (t *tree) split(i, j, at int) {
	b, l := t.own(i, j)
	mid := leafKeys / 2
	if at == leafKeys {
		mid = leafKeys - 2
	}
	cut := l.ends[mid-1]
	r := &leaf{gen: t.gen, n: leafKeys - uint32(mid)}
	r.bytes = roomy(l.bytes[cut:], 0)
	copy(r.locs[:], l.locs[mid:])
	copy(r.heads[:], l.heads[mid:])
	for k := range int(r.n) {
		r.ends[k] = l.ends[mid+k] - cut
	}
	l.n = uint32(mid)
	l.bytes = roomy(l.bytes[:cut], 0)
	b.leaves = slices.Insert(b.leaves, j+1, r)
	b.low = slices.Insert(b.low, j+1, head(r.key(0)))
	if len(b.leaves) <= branchLeaves {
		return
	}
	half := branchLeaves / 2
	if j == branchLeaves-1 {
		half = branchLeaves - 2
	}
	nb := &branch{gen: t.gen, leaves: slices.Clone(b.leaves[half:]), low: slices.Clone(b.low[half:])}
	clear(b.leaves[half:])
	b.leaves, b.low = b.leaves[:half], b.low[:half]
	t.branches = slices.Insert(t.branches, i+1, nb)
	t.low = slices.Insert(t.low, i+1, nb.low[0])
}

// remove takes key out, and returns the place that it had.
func (t *tree) remove(key []byte) (old loc, was bool) {
	if len(t.branches) == 0 {
		return loc{}, false
	}
	i := t.child(key)
	j := t.branches[i].child(key)
	at, found := t.branches[i].leaves[j].find(key)
	if !found {
		return loc{}, false
	}
	b, l := t.own(i, j)
	old = l.locs[at]
	t.bytes -= l.cut(at, at+1)
	t.keys--
	t.fix(i, j, b, l)
	return old, true
}

// cut takes the keys from `at` up to `to` out, and returns their bytes.
func (l *leaf) cut(at, to int) int {
	n := int(l.n)
	start := uint32(0)
	if at > 0 {
		start = l.ends[at-1]
	}
	gone := l.ends[to-1] - start
	l.bytes = append(l.bytes[:start], l.bytes[l.ends[to-1]:]...)
	copy(l.locs[at:], l.locs[to:n])
	copy(l.heads[at:], l.heads[to:n])
	for k := to; k < n; k++ {
		l.ends[k-(to-at)] = l.ends[k] - gone
	}
	l.n -= uint32(to - at)
	return int(gone)
}

// fix keeps the invariants after keys were taken out of leaf j of branch i: an
// empty leaf goes, and a small one is joined with the next.
func (t *tree) fix(i, j int, b *branch, l *leaf) {
	switch {
	case l.n == 0:
		b.leaves = slices.Delete(b.leaves, j, j+1)
		b.low = slices.Delete(b.low, j, j+1)
	default:
		b.low[j] = head(l.key(0))
		if j+1 < len(b.leaves) && l.n+b.leaves[j+1].n <= leafKeys/2 {
			b.join(j)
		}
	}
	if len(b.leaves) == 0 {
		t.branches = slices.Delete(t.branches, i, i+1)
		t.low = slices.Delete(t.low, i, i+1)
		return
	}
	t.low[i] = b.low[0]
}

// join moves the keys of leaf j+1 into leaf j.
func (b *branch) join(j int) {
	l, r := b.leaves[j], b.leaves[j+1]
	base := uint32(len(l.bytes))
	if len(l.bytes)+len(r.bytes) > cap(l.bytes) {
		l.bytes = roomy(l.bytes, len(r.bytes))
	}
	l.bytes = append(l.bytes, r.bytes...)
	copy(l.locs[l.n:], r.locs[:r.n])
	copy(l.heads[l.n:], r.heads[:r.n])
	for k := range r.n {
		l.ends[l.n+k] = base + r.ends[k]
	}
	l.n += r.n
	b.leaves = slices.Delete(b.leaves, j+1, j+2)
	b.low = slices.Delete(b.low, j+1, j+2)
}
