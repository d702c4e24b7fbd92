// Package object holds what a key's record means: an object is a clock and the
// siblings that no other write superseded (§4.4). It reconciles copies, applies
// puts and deletes, and makes the context that goes through a client's hands.
//
// An object is kept, sent and compared as bytes, canonical: equal objects are
// equal bytes.
//
//	offset  size
//	     0     1  format version
//	     1     1  flags
//	     2     2  clock entries
//	     4     2  siblings
//	     6  40 n  the clock (package vclock)
//	           40  the horizon: time, dot, sequence number (with flagHorizon only)
//	            m  siblings, strictly ascending by dot, each:
//	                 24  dot
//	                  8  sequence number of its mint
//	                  8  time of the write, microseconds
//	                  1  flags
//	                  1  length of the content type
//	                  4  length of the value
//	                     content type, value
//
// The clock and the siblings that it covers are a dotted version vector. Beside
// it stands a register for the writes of lww buckets: of these only the one with
// the greatest tag (time, dot) is kept, as a sibling with flagLWW or, once a
// causal write superseded it, as the horizon, which keeps older lww writes from
// coming back. The clock says nothing of lww writes: an object of an lww bucket
// is one sibling and an empty clock. An object has both parts only when its
// bucket's merge was changed.
//
// An lww write supersedes all that its coordinator's copy and its client have
// seen, as well as every lww write with a lesser tag; a causal write supersedes
// what its client has seen. No object holds a write that another write which it
// has seen superseded, whatever the order in which copies were merged.
package object

import (
	"bytes"
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// Version is the format's version.
const Version = 2

const (
	headerSize  = 6
	flagsAt     = vclock.DotSize + 8 + 8
	siblingSize = flagsAt + 1 + 1 + 4

	flagHorizon = 1

	flagDeleted = 1
	flagLWW     = 2
)

// Object is a parsed, encoded object; it refers to the bytes it was parsed from
// and is read-only. Its zero value is the object that has seen nothing.
type Object struct {
	raw   []byte
	clock vclock.Clock
	// horizon is empty or tagSize bytes.
	horizon []byte
	// sibs is the encoded siblings, n their number.
	sibs []byte
	n    int
}

// Sibling is one value of an object. Its slices are parts of the object's
// bytes.
type Sibling struct {
	vclock.Dot
	// Seq is the sequence number of the write at the node that coordinated it.
	Seq uint64
	// Time is the write's hybrid time.
	Time kv.Time
	// Deleted marks a tombstone, which has no value.
	Deleted bool
	// LWW marks a write under the merge rule lww.
	LWW         bool
	ContentType []byte
	Value       []byte
}

// Parse checks that b is an object in canonical form and returns it; b is not
// copied. An error is of KindInvalid, or KindWrongVersion.
func Parse(b []byte) (Object, error) {
	if len(b) < headerSize {
		return Object{}, invalid("%d bytes are too few", len(b))
	}
	if b[0] != Version {
		return Object{}, kv.Errorf(kv.KindWrongVersion, "parse object", "format version %d, this node knows %d", b[0], Version)
	}
	if b[1]&^flagHorizon != 0 {
		return Object{}, invalid("unknown flags %#x", b[1])
	}
	nc, ns := int(binary.BigEndian.Uint16(b[2:])), int(binary.BigEndian.Uint16(b[4:]))
	rest := b[headerSize:]
	if len(rest) < nc*vclock.EntrySize {
		return Object{}, invalid("cut within the clock")
	}
	c, err := vclock.Parse(rest[:nc*vclock.EntrySize], nc)
	if err != nil {
		return Object{}, err
	}
	rest = rest[nc*vclock.EntrySize:]
	o := Object{raw: b, clock: c, n: ns}
	if b[1]&flagHorizon != 0 {
		if len(rest) < tagSize {
			return Object{}, invalid("cut within the horizon")
		}
		o.horizon, rest = rest[:tagSize], rest[tagSize:]
		if d := o.register().tag.dot; d.Node == 0 || d.Counter == 0 {
			return Object{}, invalid("a horizon without a dot")
		}
	}
	if len(b) == headerSize {
		return Object{}, invalid("it has seen nothing")
	}
	o.sibs = rest
	if err := o.checkSiblings(); err != nil {
		return Object{}, err
	}
	return o, nil
}

// checkSiblings walks the siblings and checks the invariants that Parse
// promises: complete, in order, each covered by the clock unless it is lww, at
// most one lww, no value in a tombstone, and a horizon only without an lww
// sibling.
func (o Object) checkSiblings() error {
	rest, lww := o.sibs, 0
	var last []byte
	for range o.n {
		if len(rest) < siblingSize {
			return invalid("cut within a sibling")
		}
		size := encodedSize(rest)
		if len(rest) < size {
			return invalid("cut within a value")
		}
		s := decodeSibling(rest)
		switch {
		case last != nil && bytes.Compare(last, rest[:vclock.DotSize]) >= 0:
			return invalid("siblings out of order")
		case s.Node == 0 || s.Counter == 0:
			return invalid("a sibling without a dot")
		case rest[flagsAt]&^(flagDeleted|flagLWW) != 0:
			return invalid("unknown sibling flags")
		case s.Deleted && len(s.Value)+len(s.ContentType) > 0:
			return invalid("a tombstone with a value")
		case len(s.Value) > kv.MaxValue:
			return invalid("a value of %d bytes", len(s.Value))
		case !s.LWW && !o.clock.Covers(s.Dot):
			return invalid("a sibling that the clock does not cover")
		}
		if s.LWW {
			lww++
		}
		last, rest = rest[:vclock.DotSize], rest[size:]
	}
	if len(rest) > 0 {
		return invalid("%d bytes too many", len(rest))
	}
	if lww > 1 || lww == 1 && len(o.horizon) > 0 {
		return invalid("more than one lww register")
	}
	return nil
}

// Bytes returns the encoded object, nil for the zero Object.
func (o Object) Bytes() []byte { return o.raw }

// Clock returns what the object has seen.
func (o Object) Clock() vclock.Clock { return o.clock }

// Len returns the number of siblings, tombstones included.
func (o Object) Len() int { return o.n }

// Siblings returns a cursor before the first sibling.
func (o Object) Siblings() Cursor { return Cursor{rest: o.sibs} }

// Live returns the number of siblings that are no tombstones.
func (o Object) Live() int {
	live := 0
	for c := o.Siblings(); c.Next(); {
		if !c.Deleted {
			live++
		}
	}
	return live
}

// Cursor walks the siblings of an object, in the order of their dots, without
// allocation: for c := o.Siblings(); c.Next(); { use c.Sibling }.
type Cursor struct {
	Sibling
	raw, rest []byte
}

// Next moves to the next sibling and tells whether there is one.
func (c *Cursor) Next() bool {
	if len(c.rest) == 0 {
		return false
	}
	size := encodedSize(c.rest)
	c.Sibling = decodeSibling(c.rest)
	c.raw, c.rest = c.rest[:size], c.rest[size:]
	return true
}

func encodedSize(b []byte) int {
	return siblingSize + int(b[siblingSize-5]) + int(binary.BigEndian.Uint32(b[siblingSize-4:]))
}

// decodeSeq reads the sequence number of an encoded sibling.
func decodeSeq(b []byte) uint64 { return binary.BigEndian.Uint64(b[vclock.DotSize:]) }

func decodeSibling(b []byte) Sibling {
	s := Sibling{
		Dot:  vclock.DecodeDot(b),
		Seq:  decodeSeq(b),
		Time: kv.Time(binary.BigEndian.Uint64(b[vclock.DotSize+8:])),
	}
	flags := b[flagsAt]
	s.Deleted, s.LWW = flags&flagDeleted != 0, flags&flagLWW != 0
	ct := int(b[siblingSize-5])
	s.ContentType = b[siblingSize : siblingSize+ct]
	s.Value = b[siblingSize+ct : encodedSize(b)]
	return s
}

func appendSibling(dst []byte, s Sibling) []byte {
	dst = vclock.AppendDot(dst, s.Dot)
	dst = binary.BigEndian.AppendUint64(dst, s.Seq)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.Time))
	var flags byte
	if s.Deleted {
		flags |= flagDeleted
	}
	if s.LWW {
		flags |= flagLWW
	}
	dst = append(dst, flags, byte(len(s.ContentType)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s.Value)))
	dst = append(dst, s.ContentType...)
	return append(dst, s.Value...)
}

func invalid(format string, args ...any) error {
	return kv.Errorf(kv.KindInvalid, "parse object", format, args...)
}
