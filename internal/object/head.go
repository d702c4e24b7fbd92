package object

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/vclock"
)

// A head is an object without its values: all that it takes to tell whether
// another object, or a write, supersedes it. It is an Object like any other, but
// for its siblings' empty values, and is never stored, sent or shown.

// AppendHead appends the head of o to dst.
func AppendHead(dst []byte, o Object) []byte {
	dst = append(dst, o.raw[:len(o.raw)-len(o.sibs)]...)
	for c := o.Siblings(); c.Next(); {
		start, value := len(dst), siblingSize+len(c.ContentType)
		dst = append(dst, c.raw[:value]...)
		dst = append(dst, c.raw[value+len(c.Value):]...)
		body := len(dst) - start - value
		binary.BigEndian.PutUint32(dst[start+siblingSize-4:], uint32(body))
	}
	return dst
}

// HeadSize returns the length of o's head.
func HeadSize(o Object) int {
	size := len(o.raw)
	for c := o.Siblings(); c.Next(); {
		size -= len(c.Value)
	}
	return size
}

// Supersedes tells whether a Put of w to the object of that head leaves none of
// its siblings, so that its values are not needed for it.
func Supersedes(w Write, head Object) bool {
	p := newPutting(head, w)
	for c := head.Siblings(); c.Next(); {
		if p.keeps(&c.Sibling) {
			return false
		}
	}
	return true
}

// CompareHead tells what MergeUnder of the object of that head with b would come
// out as. After Mixed, and where a result of First is to be used, the object
// itself is needed.
func CompareHead(head, b Object, fh, fb vclock.Floor) Outcome {
	if b.raw == nil && len(fb) == 0 {
		return First
	}
	m := mixing{a: head, b: b, fa: fh, fb: fb}
	m.registers()
	isA, isB := m.sides(func(s, in []byte) bool { return (s == nil) == (in == nil) })
	switch {
	case isA:
		return First
	case isB:
		return Second
	}
	return Mixed
}
