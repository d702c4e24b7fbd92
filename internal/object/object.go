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
//	                  4  length of what follows the content type
//	                     content type, value
//	                     meta, and its length in 4 bytes (with flagMeta only)
//	                  8  expiry, milliseconds (with flagExpires only)
//
// There are two versions of the format. Version 2 knows neither expiry nor meta.
// An object is encoded in version 3 if a sibling of it has one of them, and in
// version 2 otherwise (docs/adr/0014-ttl-and-metadata.md).
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

// Version is the newest of the format's versions, versionPlain that of objects
// without expiry and meta.
const (
	Version      = 3
	versionPlain = 2
)

const (
	headerSize = 6

	flagHorizon = 1
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

// Parse checks that b is an object in canonical form and returns it; b is not
// copied. An error is of KindInvalid, or KindWrongVersion.
func Parse(b []byte) (Object, error) {
	if len(b) < headerSize {
		return Object{}, invalid("%d bytes are too few", len(b))
	}
	if b[0] != versionPlain && b[0] != Version {
		return Object{}, kv.Errorf(kv.KindWrongVersion, "parse object", "format version %d, this node knows %d and %d", b[0], versionPlain, Version)
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
// most one lww, no value in a tombstone, a horizon only without an lww sibling,
// and the version that they need.
func (o Object) checkSiblings() error {
	rest, lww, all := o.sibs, 0, byte(0)
	known := flagsOf(o.raw[0])
	var last []byte
	var s Sibling
	for range o.n {
		size, err := s.checked(rest, known)
		switch {
		case err != nil:
			return err
		case last != nil && bytes.Compare(last, rest[:vclock.DotSize]) >= 0:
			return invalid("siblings out of order")
		case !s.LWW && !o.clock.Covers(s.Dot):
			return invalid("a sibling that the clock does not cover")
		}
		if s.LWW {
			lww++
		}
		all |= rest[flagsAt]
		last, rest = rest[:vclock.DotSize], rest[size:]
	}
	switch {
	case len(rest) > 0:
		return invalid("%d bytes too many", len(rest))
	case lww > 1 || lww == 1 && len(o.horizon) > 0:
		return invalid("more than one lww register")
	case (all&flagsExtended != 0) != o.extended():
		return invalid("format version %d, and no sibling that needs it", o.raw[0])
	}
	return nil
}

// extended tells whether a sibling has an expiry or meta.
func (o *Object) extended() bool { return len(o.raw) > 0 && o.raw[0] == Version }

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
	c.Sibling.decode(c.rest)
	c.raw, c.rest = c.rest[:size], c.rest[size:]
	return true
}

func invalid(format string, args ...any) error {
	return kv.Errorf(kv.KindInvalid, "parse object", format, args...)
}
