package object

import (
	"bytes"

	"github.com/ringtaildb/ringtail/internal/vclock"
)

// Outcome tells which of the two objects a merge came out as.
type Outcome uint8

const (
	// First: the merge equals the first object; the second brought nothing.
	First Outcome = iota
	// Second: the merge equals the second object.
	Second
	// Mixed: the merge is a new object.
	Mixed
)

// Merge reconciles two copies of one key's object: a sibling survives if both
// have it, or if the side without it has not seen it; of lww siblings only the
// greatest survives; clocks merge by maximum. It is commutative, associative
// and idempotent.
//
// A new object is appended to dst; where the result equals a or b, that one is
// returned and dst is untouched, without allocation. The buffer returned is
// dst, grown or not. The error is of KindTooManySiblings, when the result
// exceeds the format.
func Merge(dst []byte, a, b Object) (Object, []byte, Outcome, error) {
	switch {
	case b.raw == nil || bytes.Equal(a.raw, b.raw):
		return a, dst, First, nil
	case a.raw == nil:
		return b, dst, Second, nil
	}
	var ta, tb [horizonSize]byte
	tag := greaterTag(a.lww(&ta), b.lww(&tb))
	switch order := a.clock.Compare(b.clock); {
	case order != vclock.Before && result(b, a, tag):
		return a, dst, First, nil
	case order != vclock.After && result(a, b, tag):
		return b, dst, Second, nil
	}
	o, dst, err := mix(dst, a, b, tag)
	return o, dst, Mixed, err
}

// result tells whether the merge of old and o, whose clock covers old's, is o
// itself: each of o's siblings survives old, and none of old's survives o.
func result(old, o Object, tag []byte) bool {
	if !sameEntries(old, o) {
		return false
	}
	for c := o.Siblings(); c.Next(); {
		if !survives(c.Sibling, old, tag) {
			return false
		}
		if same := old.find(c.Dot); same != nil && !bytes.Equal(same, c.raw) {
			return false
		}
	}
	for c := old.Siblings(); c.Next(); {
		if o.find(c.Dot) == nil && survives(c.Sibling, o, tag) {
			return false
		}
	}
	var t [horizonSize]byte
	return bytes.Equal(o.lww(&t), tag)
}

// sameEntries tells whether every entry that old and o share at one counter is
// the same to the byte. It is false only after a defect; then mix decides, by
// the bytes, so that all copies come out alike.
func sameEntries(old, o Object) bool {
	a, b := old.clock, o.clock
	for len(a) > 0 && len(b) > 0 {
		switch bytes.Compare(a[:vclock.DotSize], b[:vclock.DotSize]) {
		case -1:
			a = a[vclock.EntrySize:]
		case 1:
			b = b[vclock.EntrySize:]
		default:
			if !bytes.Equal(a[:vclock.EntrySize], b[:vclock.EntrySize]) {
				return false
			}
			a, b = a[vclock.EntrySize:], b[vclock.EntrySize:]
		}
	}
	return true
}

// survives tells whether s, of one object, is part of the merge with other.
func survives(s Sibling, other Object, tag []byte) bool {
	if s.LWW {
		var t [horizonSize]byte
		if !bytes.Equal(appendTag(t[:0], s.Time, s.Dot), tag) {
			return false
		}
	}
	return !other.clock.Covers(s.Dot) || other.find(s.Dot) != nil
}

func mix(dst []byte, a, b Object, tag []byte) (Object, []byte, error) {
	w := begin(dst)
	w.b = vclock.AppendMerge(w.b, a.clock, b.clock)
	w.endClock()
	if len(tag) > 0 && !lwwSurvives(a, b, tag) && !lwwSurvives(b, a, tag) {
		w.horizon(tag)
	}
	ca, cb := a.Siblings(), b.Siblings()
	moreA, moreB := ca.Next(), cb.Next()
	for moreA || moreB {
		order := -1
		switch {
		case !moreA:
			order = 1
		case moreB:
			order = bytes.Compare(ca.raw[:vclock.DotSize], cb.raw[:vclock.DotSize])
		}
		if order < 0 && survives(ca.Sibling, b, tag) {
			w.raw(ca.raw)
		}
		if order > 0 && survives(cb.Sibling, a, tag) {
			w.raw(cb.raw)
		}
		if order == 0 && survives(ca.Sibling, b, tag) {
			w.raw(greaterBytes(ca.raw, cb.raw))
		}
		if order <= 0 {
			moreA = ca.Next()
		}
		if order >= 0 {
			moreB = cb.Next()
		}
	}
	if n := max(w.n, w.clockN); n > maxCount {
		return Object{}, dst, tooMany(n)
	}
	o, buf := w.end()
	return o, buf, nil
}

// lwwSurvives tells whether o's lww sibling is part of the merge with other.
func lwwSurvives(o, other Object, tag []byte) bool {
	for c := o.Siblings(); c.Next(); {
		if c.LWW {
			return survives(c.Sibling, other, tag)
		}
	}
	return false
}

func greaterTag(a, b []byte) []byte {
	if bytes.Compare(a, b) >= 0 {
		return a
	}
	return b
}

// greaterBytes picks one of two encodings of one sibling; they differ only
// after a defect, and then every node picks the same.
func greaterBytes(a, b []byte) []byte { return greaterTag(a, b) }
