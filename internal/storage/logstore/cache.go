package logstore

import (
	"sync"
)

// cache keeps values that were read of late, in memory of a fixed size.
//
// A value is known by the place of its record. Nothing is ever written to a place
// twice, so what is in the cache never has to be taken out because something has
// changed: a key that is written again has another place, and nobody asks for the
// old one.
//
// Each shard is a ring of bytes, in which the newest value takes the room of the
// oldest ones, and a table that tells where in the ring a value is. A value that is
// asked for when it is about to go is written to the ring once more. There is no
// pointer in it, and no work for the garbage collector.
type cache struct {
	shards [cacheShards]cacheShard
}

const (
	cacheShards = 64
	// cacheWays is how many places share a set of a shard's table, which is a cache
	// line then.
	cacheWays = 4
	// cachePerSlot is how many bytes of the ring there are for each slot of the
	// table.
	cachePerSlot = 256
	// cacheShare bounds a value, as a part of its shard's ring.
	cacheShare = 16
)

type cacheShard struct {
	mu struct {
		sync.Mutex
		ring []byte
		// end counts the bytes that were ever written to the ring, with those left
		// out at its end where a value had no room: byte n is at n modulo its size.
		end   uint64
		table [][cacheWays]cacheSlot
	}
	// size is that of the ring, which is made when it is first used.
	size int
	_    [32]byte
}

// cacheSlot is where a value is: from which byte of the ring on. A slot whose bytes
// have been taken by others is free.
type cacheSlot struct {
	place uint64
	start uint64
}

// newCache returns a cache of about limit bytes, one of 0 keeps nothing.
func newCache(limit int64) *cache {
	c := new(cache)
	for i := range c.shards {
		c.shards[i].size = int(limit / cacheShards * cachePerSlot / (cachePerSlot + 16))
	}
	return c
}

// shard returns the shard of a place, the name of the place, and its hash.
func (c *cache) shard(l *loc) (s *cacheShard, place, hash uint64) {
	place = uint64(l.segment)<<32 | uint64(l.offset)
	hash = place * 0x9e3779b97f4a7c15
	return &c.shards[hash>>58], place, hash << 6 >> 6
}

// get appends the value of n bytes whose record is at l to dst, if it has it.
func (c *cache) get(l *loc, n int, dst []byte) ([]byte, bool) {
	s, place, hash := c.shard(l)
	if s.size == 0 {
		return dst, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.ring == nil {
		return dst, false
	}
	set := s.set(hash)
	for i := range set {
		slot := &set[i]
		if slot.place != place || !s.holds(slot) {
			continue
		}
		at := len(dst)
		from := int(slot.start % uint64(s.size))
		dst = append(dst, s.mu.ring[from:from+n]...)
		if s.mu.end-slot.start > uint64(s.size/2) {
			slot.start = s.write(dst[at:])
		}
		return dst, true
	}
	return dst, false
}

// put keeps the value whose record is at l. It copies value.
func (c *cache) put(l *loc, value []byte) {
	s, place, hash := c.shard(l)
	if len(value) > s.size/cacheShare || len(value) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.ring == nil {
		s.mu.ring = make([]byte, s.size)
		s.mu.table = make([][cacheWays]cacheSlot, max(1, s.size/cachePerSlot/cacheWays))
		s.mu.end = uint64(s.size) // so that no slot is held by its zero value
	}
	set := s.set(hash)
	victim := &set[0]
	for i := range set {
		slot := &set[i]
		if slot.place == place && s.holds(slot) {
			return
		}
		if slot.start < victim.start {
			victim = slot
		}
	}
	*victim = cacheSlot{place: place, start: s.write(value)}
}

func (s *cacheShard) set(hash uint64) *[cacheWays]cacheSlot {
	return &s.mu.table[hash%uint64(len(s.mu.table))]
}

// holds tells whether the bytes of a slot are still its own.
func (s *cacheShard) holds(slot *cacheSlot) bool {
	return slot.start > 0 && s.mu.end-slot.start <= uint64(s.size)
}

// write puts value into the ring, in one piece, and returns where it begins.
func (s *cacheShard) write(value []byte) (start uint64) {
	from := int(s.mu.end % uint64(s.size))
	if left := s.size - from; left < len(value) {
		s.mu.end += uint64(left)
		from = 0
	}
	start = s.mu.end
	copy(s.mu.ring[from:], value)
	s.mu.end += uint64(len(value))
	return start
}

// bytes returns the memory that is in use.
func (c *cache) bytes() (n int64) {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		n += int64(len(s.mu.ring)) + 16*cacheWays*int64(len(s.mu.table))
		s.mu.Unlock()
	}
	return n
}
