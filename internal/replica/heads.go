package replica

import (
	"bytes"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
)

const (
	// headWays is how many records share a set of heads, headRoom the bytes of a
	// key and its head that have room in a slot, which is four cache lines then.
	headWays = 4
	headRoom = 240
	// headBlock is how many sets are made at once, when the first is used.
	headBlock = 64
)

// heads keeps the heads of records that were written of late: what a record is
// without its values (object.AppendHead). Most writes supersede what they find,
// and most reads that come from other nodes ask whether the copy is still that
// of the coordinator: the head answers both, and the engine need not be asked.
//
// Invariant: a head that is found is that of the record which a read of the
// engine would have found at some moment of the search. So a writer takes the
// head away before it writes the record, and puts the new one there after; both
// under the stripe of the key. A reader that went to the engine may only put down
// what it found if no writer has been at the set since. And what drops records
// ends all heads of the partition afterwards (partition.drops).
//
// It is a table of fixed size without a pointer in it; a record whose head has no
// room in a slot is not kept.
type heads struct {
	blocks []atomic.Pointer[[headBlock]headSet]
}

// headSet is the slots of the keys that share a place, behind a line that tells
// which they are.
type headSet struct {
	sync.Mutex
	// version counts the writes to records of the set.
	version uint32
	hand    uint32
	tags    [headWays]uint32
	size    [headWays]uint32
	_       [8]byte
	slots   [headWays]headSlot
}

// headSlot is one record's head. Its size in the set, that of the record with
// its key, is 0 for an empty slot.
type headSlot struct {
	drops           uint32
	partition       kv.Partition
	keyLen, headLen uint16
	used            bool
	_               [5]byte
	bytes           [headRoom]byte
}

// headSpot is where the head of a record is sought.
type headSpot struct {
	part     *partition
	k        kv.Key
	position uint32
	drops    uint32
	version  uint32
}

func headOf(part *partition, k kv.Key) headSpot {
	return headSpot{part: part, k: k, position: merkle.Position(k)}
}

// newHeads returns a table of at most limit bytes; with less than a block's it
// keeps nothing.
func newHeads(limit uint64) heads {
	return heads{make([]atomic.Pointer[[headBlock]headSet], limit/uint64(unsafe.Sizeof([headBlock]headSet{})))}
}

// set returns the set of keys at a position, nil if there is none.
func (h *heads) set(position uint32) *headSet {
	n := uint64(len(h.blocks)) * headBlock
	if n == 0 {
		return nil
	}
	i := uint64(position) * n >> 32
	block := &h.blocks[i/headBlock]
	sets := block.Load()
	if sets == nil {
		block.CompareAndSwap(nil, new([headBlock]headSet))
		sets = block.Load()
	}
	return &sets[i%headBlock]
}

// find appends the head of the record at, with its header, to dst, and returns
// the size of the record with its key, 0 when the head is not kept. It notes in
// at what keep must know.
func (h *heads) find(at *headSpot, dst []byte) ([]byte, uint32) {
	s := h.set(at.position)
	if s == nil {
		return dst, 0
	}
	at.drops = at.part.drops.Load()
	s.Lock()
	defer s.Unlock()
	at.version = s.version
	i := s.index(at)
	if i < 0 {
		return dst, 0
	}
	slot := &s.slots[i]
	if slot.drops != at.drops {
		s.size[i] = 0
		return dst, 0
	}
	slot.used = true
	return append(dst, slot.bytes[slot.keyLen:slot.keyLen+slot.headLen]...), s.size[i]
}

// forget takes the head of the record at away, because it is about to be written.
// The key's stripe is locked.
func (h *heads) forget(at *headSpot) {
	s := h.set(at.position)
	if s == nil {
		return
	}
	at.drops = at.part.drops.Load()
	s.Lock()
	defer s.Unlock()
	s.version++
	at.version = s.version
	if i := s.index(at); i >= 0 {
		s.size[i] = 0
	}
}

// keep puts down the head of rec, the record at, of some size with its key, which
// was written after forget under the same lock, or read from the engine after
// find. It does nothing if others have written records of the set since.
func (h *heads) keep(at *headSpot, rec []byte, o object.Object, size uint64) {
	s := h.set(at.position)
	if s == nil || size > 1<<31 {
		return
	}
	headLen := recordHeader + object.HeadSize(o)
	if len(at.k)+headLen > headRoom {
		return
	}
	s.Lock()
	defer s.Unlock()
	if s.version != at.version {
		return
	}
	i := s.index(at)
	if i < 0 {
		i = s.victim()
	}
	s.tags[i], s.size[i] = at.position, uint32(size)
	slot := &s.slots[i]
	slot.partition, slot.drops, slot.used = at.part.id, at.drops, true
	slot.keyLen, slot.headLen = uint16(len(at.k)), uint16(headLen)
	b := append(append(slot.bytes[:0], at.k...), rec[:recordHeader]...)
	object.AppendHead(b, o)
}

// index returns the slot of the record at, -1 for none.
func (s *headSet) index(at *headSpot) int {
	for i := range s.tags {
		if s.tags[i] != at.position || s.size[i] == 0 {
			continue
		}
		slot := &s.slots[i]
		if slot.partition == at.part.id && bytes.Equal(slot.bytes[:slot.keyLen], at.k) {
			return i
		}
	}
	return -1
}

// victim returns a slot that is free, or else was not found since it was last
// passed by.
func (s *headSet) victim() int {
	for i := range s.size {
		if s.size[i] == 0 {
			return i
		}
	}
	for {
		i := s.hand % headWays
		s.hand++
		if !s.slots[i].used {
			return int(i)
		}
		s.slots[i].used = false
	}
}
