// Package vclock holds what versions are made of: actors, dots and vector
// clocks (§4.4), in the form of dotted version vectors; and the floors that let
// clocks be short.
//
// A clock is kept, sent and compared as bytes; there is no second, decoded
// form. Its entries have a fixed size and are sorted by actor, so equal clocks
// are equal bytes, two clocks compare in one walk without allocation, and an
// entry is found by bisection.
package vclock

import (
	"bytes"
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Actor is one uninterrupted local history of one record on one node: the node
// and the sequence number at which that history was born. An actor whose
// history may have been lost, in whole or in part, is never used again (see
// Issue).
type Actor struct {
	Node  kv.NodeID
	Birth uint64
}

// Dot names one write: the n-th of an actor, counted from 1. No dot is issued
// twice.
type Dot struct {
	Actor
	Counter uint64
}

// Entry is one actor's part of a clock: the clock covers the actor's dots from
// 1 to Counter. Seq is the greatest node sequence of their writes, so that a
// floor which covers Seq covers them all; Wall is the coordinator's time at the
// last of them.
type Entry struct {
	Dot
	Seq  uint64
	Wall kv.Time
}

// Sizes of the encoded forms, in bytes.
const (
	ActorSize = 16
	DotSize   = ActorSize + 8
	EntrySize = DotSize + 16
)

// Clock is an encoded vector clock: entries of EntrySize bytes, strictly
// ascending by actor. It is read-only; nil is the clock that covers nothing.
type Clock []byte

// Order is how two clocks relate.
type Order uint8

const (
	// Equal: both cover the same dots.
	Equal Order = iota
	// Before: the second covers all that the first does, and more.
	Before
	// After: the first covers all that the second does, and more.
	After
	// Concurrent: each covers something that the other does not.
	Concurrent
)

// Parse checks that b is a clock of n entries and returns it as one; it is not
// copied. The error is of KindInvalid.
func Parse(b []byte, n int) (Clock, error) {
	if len(b) != n*EntrySize {
		return nil, kv.Errorf(kv.KindInvalid, "parse clock", "%d bytes for %d entries", len(b), n)
	}
	c := Clock(b)
	for i := range n {
		e := c.At(i)
		if e.Node == 0 || e.Counter == 0 {
			return nil, kv.Errorf(kv.KindInvalid, "parse clock", "entry %d has no node or no counter", i)
		}
		if i > 0 && bytes.Compare(c.actor(i-1), c.actor(i)) >= 0 {
			return nil, kv.Errorf(kv.KindInvalid, "parse clock", "entry %d is not in order", i)
		}
	}
	return c, nil
}

// Len returns the number of entries.
func (c Clock) Len() int { return len(c) / EntrySize }

// At returns entry i.
func (c Clock) At(i int) Entry { return decodeEntry(c[i*EntrySize:]) }

// Counter returns the highest counter of a that c covers, 0 for none.
func (c Clock) Counter(a Actor) uint64 {
	i, ok := c.find(a)
	if !ok {
		return 0
	}
	return binary.BigEndian.Uint64(c[i*EntrySize+ActorSize:])
}

// Seq returns the sequence number of a's entry, 0 for none.
func (c Clock) Seq(a Actor) uint64 {
	i, ok := c.find(a)
	if !ok {
		return 0
	}
	return binary.BigEndian.Uint64(c[i*EntrySize+DotSize:])
}

// Covers tells whether c covers d.
func (c Clock) Covers(d Dot) bool { return c.Counter(d.Actor) >= d.Counter }

// Compare relates c to o, by what they cover. Of two encodings of one dot that
// differ, which only a defect could produce, the greater bytes cover the other,
// so that the clock which is not Before is what AppendMerge would make.
func (c Clock) Compare(o Clock) Order {
	if bytes.Equal(c, o) {
		return Equal
	}
	var before, after bool
	for len(c) > 0 && len(o) > 0 && !(before && after) {
		switch bytes.Compare(c[:ActorSize], o[:ActorSize]) {
		case -1:
			after, c = true, c[EntrySize:]
		case 1:
			before, o = true, o[EntrySize:]
		default:
			order := bytes.Compare(c[ActorSize:EntrySize], o[ActorSize:EntrySize])
			after, before = after || order > 0, before || order < 0
			c, o = c[EntrySize:], o[EntrySize:]
		}
	}
	after, before = after || len(c) > 0, before || len(o) > 0
	switch {
	case before && after:
		return Concurrent
	case before:
		return Before
	case after:
		return After
	}
	return Equal
}

// AppendMerge appends the least clock that covers what a and b cover to dst.
func AppendMerge(dst []byte, a, b Clock) []byte {
	for len(a) > 0 && len(b) > 0 {
		switch bytes.Compare(a[:ActorSize], b[:ActorSize]) {
		case -1:
			dst, a = append(dst, a[:EntrySize]...), a[EntrySize:]
		case 1:
			dst, b = append(dst, b[:EntrySize]...), b[EntrySize:]
		default:
			greater := a
			if bytes.Compare(a[ActorSize:EntrySize], b[ActorSize:EntrySize]) < 0 {
				greater = b
			}
			dst = append(dst, greater[:EntrySize]...)
			a, b = a[EntrySize:], b[EntrySize:]
		}
	}
	dst = append(dst, a...)
	return append(dst, b...)
}

// AppendEntry appends the encoding of e, a clock of one entry, to dst.
func AppendEntry(dst []byte, e Entry) []byte {
	dst = AppendDot(dst, e.Dot)
	dst = binary.BigEndian.AppendUint64(dst, e.Seq)
	return binary.BigEndian.AppendUint64(dst, uint64(e.Wall))
}

// AppendDot appends the DotSize bytes of d to dst; their order is that of the
// dots.
func AppendDot(dst []byte, d Dot) []byte {
	dst = AppendActor(dst, d.Actor)
	return binary.BigEndian.AppendUint64(dst, d.Counter)
}

// AppendActor appends the ActorSize bytes of a to dst.
func AppendActor(dst []byte, a Actor) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.Node))
	return binary.BigEndian.AppendUint64(dst, a.Birth)
}

// DecodeDot reads what AppendDot wrote; b has at least DotSize bytes.
func DecodeDot(b []byte) Dot {
	return Dot{Actor: DecodeActor(b), Counter: binary.BigEndian.Uint64(b[ActorSize:])}
}

// DecodeActor reads what AppendActor wrote; b has at least ActorSize bytes.
func DecodeActor(b []byte) Actor {
	return Actor{Node: kv.NodeID(binary.BigEndian.Uint64(b)), Birth: binary.BigEndian.Uint64(b[8:])}
}

// Truncate drops the entries with the oldest wall time from c until at most
// limit are left, never one for which live holds (§4.4), and returns the rest
// and how many went. It works in place: c must be the caller's own. Equal
// times go by actor, so that every node drops the same.
func Truncate(c Clock, limit int, live func(Actor) bool) (Clock, int) {
	dropped := 0
	for c.Len() > limit {
		oldest := -1
		for i := range c.Len() {
			e := c.At(i)
			if live(e.Actor) || oldest >= 0 && e.Wall >= c.At(oldest).Wall {
				continue
			}
			oldest = i
		}
		if oldest < 0 {
			break
		}
		c = append(c[:oldest*EntrySize], c[(oldest+1)*EntrySize:]...)
		dropped++
	}
	return c, dropped
}

func (c Clock) actor(i int) []byte { return c[i*EntrySize : i*EntrySize+ActorSize] }

// find returns where a's entry is, or would be.
func (c Clock) find(a Actor) (int, bool) {
	lo, hi := 0, c.Len()
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		b := c[mid*EntrySize:]
		node, birth := kv.NodeID(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint64(b[8:])
		switch {
		case node == a.Node && birth == a.Birth:
			return mid, true
		case node < a.Node || node == a.Node && birth < a.Birth:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

func decodeEntry(b []byte) Entry {
	return Entry{
		Dot:  DecodeDot(b),
		Seq:  binary.BigEndian.Uint64(b[DotSize:]),
		Wall: kv.Time(binary.BigEndian.Uint64(b[DotSize+8:])),
	}
}
