package logstore

import (
	"bytes"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// index is where each key's record stands: a tree for each prefix. The prefixes
// are spread over stripes, each with its lock.
type index struct {
	keys    atomic.Int64
	bytes   atomic.Int64 // of the keys, without their prefixes
	stripes [stripeCount]stripe
}

const stripeCount = 256

type stripe struct {
	mu struct {
		sync.RWMutex
		trees map[storage.Prefix]*tree
	}
}

func newIndex() *index {
	x := new(index)
	for i := range x.stripes {
		x.stripes[i].mu.trees = make(map[storage.Prefix]*tree)
	}
	return x
}

// stripe returns that of p: neighbouring partitions, and the spaces of one
// partition, are in different ones.
func (x *index) stripe(p storage.Prefix) *stripe { return &x.stripes[number(p)] }

func number(p storage.Prefix) uint8 { return p[2] ^ p[1]*29 ^ p[0]*101 }

// rest returns key without its prefix.
func rest(key []byte) []byte { return key[storage.PrefixLen:] }

// get returns the place of key.
func (x *index) get(key []byte) (place loc, found bool) {
	p := storage.PrefixOf(key)
	s := x.stripe(p)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.mu.trees[p]; t != nil {
		if l := t.get(rest(key)); l != nil {
			return *l, true
		}
	}
	return loc{}, false
}

// set puts key at place, with newest only if the index knows no newer one. The
// stripe is locked.
func (x *index) set(key []byte, place loc, newest bool) (old loc, was bool) {
	p := storage.PrefixOf(key)
	s := x.stripe(p)
	t := s.mu.trees[p]
	if t == nil {
		t = new(tree)
		s.mu.trees[p] = t
	}
	if old, was = t.put(rest(key), place, newest); !was {
		x.keys.Add(1)
		x.bytes.Add(int64(len(key) - storage.PrefixLen))
	}
	return old, was
}

// remove takes key out. The stripe is locked.
func (x *index) remove(key []byte) (old loc, was bool) {
	p := storage.PrefixOf(key)
	if t := x.stripe(p).mu.trees[p]; t != nil {
		if old, was = t.remove(rest(key)); was {
			x.keys.Add(-1)
			x.bytes.Add(-int64(len(key) - storage.PrefixLen))
		}
	}
	return old, was
}

// snapshot returns the keys of p as they are now.
func (x *index) snapshot(p storage.Prefix) tree {
	s := x.stripe(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.mu.trees[p]; t != nil {
		return t.snapshot()
	}
	return tree{}
}

// keyBytes is what a key takes in memory beside its bytes, about: a place in a
// leaf that is two thirds full.
const keyBytes = 42

// memory estimates the bytes that the index takes.
func (x *index) memory() int64 {
	return 1<<14 + keyBytes*x.keys.Load() + x.bytes.Load()*5/4
}

// prefixes returns those that have keys, in any order.
func (x *index) prefixes() (all []storage.Prefix) {
	for i := range x.stripes {
		s := &x.stripes[i]
		s.mu.RLock()
		for p := range s.mu.trees {
			all = append(all, p)
		}
		s.mu.RUnlock()
	}
	return all
}

// live returns the offsets in a segment that the index refers to, ascending.
func (x *index) live(number uint32) (offsets []uint32) {
	for i := range x.stripes {
		s := &x.stripes[i]
		s.mu.RLock()
		for _, t := range s.mu.trees {
			t.walk(nil, func(_ []byte, l *loc) bool {
				if l.segment == number {
					offsets = append(offsets, l.offset)
				}
				return true
			})
		}
		s.mu.RUnlock()
	}
	slices.Sort(offsets)
	return offsets
}

// drop takes out the keys in [from, to), a nil to being the end, for which which
// returns true; a nil which is all. The stripes of set are locked, and hold the
// range. It calls gone for each place, of whole prefixes after it has returned:
// the caller calls those that are returned, without the lock.
func (x *index) drop(set stripes, from, to []byte, which func(*loc) bool, gone func(*loc)) (whole []tree) {
	set.each(func(i int) {
		for p, t := range x.stripes[i].mu.trees {
			lo, hi, all, some := within(p, from, to)
			if !some {
				continue
			}
			keys, bytes := t.keys, t.bytes
			if all && which == nil {
				whole = append(whole, *t)
				delete(x.stripes[i].mu.trees, p)
				x.keys.Add(-int64(keys))
				x.bytes.Add(-int64(bytes))
				continue
			}
			t.removeRange(lo, hi, which, gone)
			x.keys.Add(int64(t.keys - keys))
			x.bytes.Add(int64(t.bytes - bytes))
			if t.keys == 0 {
				delete(x.stripes[i].mu.trees, p)
			}
		}
	})
	return whole
}

// within returns the part of [from, to) that p's keys without p are in: none,
// some or all of them.
func within(p storage.Prefix, from, to []byte) (lo, hi []byte, all, some bool) {
	// A bound that is no key of p's, nor p, is before or behind all of them.
	lo, hi, all = from, to, true
	if bytes.HasPrefix(from, p[:]) {
		lo = from[storage.PrefixLen:]
		all = len(lo) == 0
	} else if bytes.Compare(from, p[:]) > 0 {
		return nil, nil, false, false
	} else {
		lo = nil
	}
	if to == nil {
		return lo, nil, all, true
	}
	if bytes.HasPrefix(to, p[:]) {
		hi = to[storage.PrefixLen:]
		return lo, hi, false, len(hi) > 0
	}
	return lo, nil, all, bytes.Compare(to, p[:]) > 0
}

// stripes is a set of them.
type stripes [stripeCount / 64]uint64

var everyStripe = stripes{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}

func (set *stripes) add(p storage.Prefix) {
	i := number(p)
	set[i/64] |= 1 << (i % 64)
}

// each calls fn for the stripes in ascending order.
func (set *stripes) each(fn func(i int)) {
	for w, word := range set {
		for ; word != 0; word &= word - 1 {
			fn(w*64 + bits.TrailingZeros64(word))
		}
	}
}

// lock locks the stripes in ascending order, so that two batches never wait for
// each other.
func (x *index) lock(set *stripes) { set.each(func(i int) { x.stripes[i].mu.Lock() }) }

func (x *index) unlock(set *stripes) { set.each(func(i int) { x.stripes[i].mu.Unlock() }) }

// stripesOf returns those of the keys of ops.
func stripesOf(ops []storage.Op) (set stripes) {
	for i := range ops {
		set.add(storage.PrefixOf(ops[i].Key))
	}
	return set
}

// stripesBetween returns the stripes of the keys in [from, to): all, unless the
// range is within one prefix.
func stripesBetween(from, to []byte) (set stripes) {
	if len(from) < storage.PrefixLen {
		return everyStripe
	}
	p := storage.PrefixOf(from)
	if _, end := p.Range(); end != nil && (to == nil || bytes.Compare(to, end) > 0) {
		return everyStripe
	}
	set.add(p)
	return set
}
