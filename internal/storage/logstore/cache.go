package logstore

import (
	"sync"
)

// cache keeps values that were read of late, in memory of a fixed size.
//
// A value is known by the number of its record, which no other record of the engine
// has, and which it keeps when a merge copies it. So what is in the cache never has
// to be taken out because something has changed: of a key that is written again
// nobody asks for the old number. But whose value was read is likely to be read
// again, so a key that the cache has stays in it: a new value takes the room of the
// old one, and its age.
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
	// cacheWays is how many keys share a set of a shard's table, which is a cache
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
	seq   uint64
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

// shard returns the shard of a key, and what chooses its set.
func (c *cache) shard(key []byte) (s *cacheShard, set uint64) {
	hash := uint64(sum(key)) * 0x9e3779b97f4a7c15
	return &c.shards[hash>>58], hash << 6 >> 6
}

// get appends the value of n bytes of the record with a number to dst, if it has it.
func (c *cache) get(key []byte, seq uint64, n int, dst []byte) ([]byte, bool) {
	s, set := c.shard(key)
	if s.size == 0 {
		return dst, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := s.find(set, seq)
	if slot == nil {
		return dst, false
	}
	at := len(dst)
	from := int(slot.start % uint64(s.size))
	dst = append(dst, s.mu.ring[from:from+n]...)
	if s.mu.end-slot.start > uint64(s.size/2) {
		slot.start = s.write(dst[at:])
	}
	return dst, true
}

// put keeps the value of the record with a number, which was read. It copies value.
func (c *cache) put(key []byte, seq uint64, value []byte) {
	s, set := c.shard(key)
	if !s.takes(len(value)) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.ring == nil {
		s.mu.ring = make([]byte, s.size)
		s.mu.table = make([][cacheWays]cacheSlot, max(1, s.size/cachePerSlot/cacheWays))
		s.mu.end = uint64(s.size) // so that no slot is held by its zero value
	}
	if s.find(set, seq) != nil {
		return
	}
	slots := s.set(set)
	victim := &slots[0]
	for i := range slots {
		if slot := &slots[i]; slot.start < victim.start {
			victim = slot
		}
	}
	*victim = cacheSlot{seq: seq, start: s.write(value)}
}

// renew keeps the value of a record that supersedes one whose value has was bytes,
// if it has that. It copies value.
func (c *cache) renew(key []byte, old uint64, was int, seq uint64, value []byte) {
	s, set := c.shard(key)
	if s.size == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := s.find(set, old)
	switch {
	case slot == nil:
	case !s.takes(len(value)):
		*slot = cacheSlot{}
	case len(value) <= was:
		slot.seq = seq
		copy(s.mu.ring[slot.start%uint64(s.size):], value)
	default:
		*slot = cacheSlot{seq: seq, start: s.write(value)}
	}
}

// takes tells whether a value of n bytes is kept.
func (s *cacheShard) takes(n int) bool { return n > 0 && n <= s.size/cacheShare }

// find returns the slot of a record, nil without one.
func (s *cacheShard) find(set, seq uint64) *cacheSlot {
	if s.mu.ring == nil {
		return nil
	}
	slots := s.set(set)
	for i := range slots {
		if slot := &slots[i]; slot.seq == seq && s.holds(slot) {
			return slot
		}
	}
	return nil
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
