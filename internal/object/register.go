package object

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// tag is the place of an lww write in the order of all of them: by hybrid time,
// then by dot. The zero tag is before every write.
type tag struct {
	time kv.Time
	dot  vclock.Dot
	// seq is the sequence number of the write's mint, by which floors cover it.
	seq uint64
}

const tagSize = 8 + vclock.DotSize + 8

// after orders tags. One dot has one sequence number; should a defect bring two,
// every node picks the same.
func (t tag) after(o tag) bool {
	switch {
	case t.time != o.time:
		return t.time > o.time
	case t.dot != o.dot:
		return less(o.dot, t.dot)
	}
	return t.seq > o.seq
}

func (t tag) coveredBy(f vclock.Floor) bool { return f.Covers(t.dot.Node, t.seq) }

func appendTag(dst []byte, t tag) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.time))
	dst = vclock.AppendDot(dst, t.dot)
	return binary.BigEndian.AppendUint64(dst, t.seq)
}

func decodeTag(b []byte) tag {
	return tag{
		time: kv.Time(binary.BigEndian.Uint64(b)),
		dot:  vclock.DecodeDot(b[8:]),
		seq:  binary.BigEndian.Uint64(b[8+vclock.DotSize:]),
	}
}

func (s *Sibling) tag() tag { return tag{time: s.Time, dot: s.Dot, seq: s.Seq} }

// register is the part of an object that lww writes set: the greatest tag that
// it has seen, and what became of that write. The zero register has seen no lww
// write.
type register struct {
	tag  tag
	fate fate
	// expires is when a live one does, 0 for never.
	expires kv.Expiry
}

// fate is what became of an lww write. Of two copies the one with the greater
// fate knows more.
type fate uint8

const (
	// live: it is the object's lww sibling.
	live fate = iota
	// tombstone: it is that sibling, and a delete.
	tombstone
	// dead: it was superseded, and its tag is the object's horizon.
	dead
)

// max returns the later of two registers: the greater tag, and of equal ones
// that which knows more.
func (r register) max(o register) register {
	if o.tag.after(r.tag) || o.tag == r.tag && (o.fate > r.fate || o.fate == r.fate && o.expires > r.expires) {
		return o
	}
	return r
}

// join returns the register of the merge of two copies, whose holders have the
// floors f and fo. Without floors it is the later one.
//
// With them, a live write that one copy lacks though its floor covers it was
// superseded there. It goes on as a horizon, so that the other copy, which may
// yet meet it again, remembers. And a register that is idle makes way for one
// that is not, whatever their tags: where it was dropped it could not have
// superseded the other either.
func (r register) join(o register, f, fo vclock.Floor) register {
	if r.tag == o.tag || len(f) == 0 && len(fo) == 0 {
		return r.max(o)
	}
	if r.fate == live && r.tag.coveredBy(fo) {
		r = register{tag: r.tag, fate: dead}
	}
	if o.fate == live && o.tag.coveredBy(f) {
		o = register{tag: o.tag, fate: dead}
	}
	switch idle, idleO := r.idle(f, fo), o.idle(f, fo); {
	case idle && !idleO:
		return o
	case idleO && !idle:
		return r
	}
	return r.max(o)
}

// idle tells whether one of two copies with the floors f and fo may have dropped
// r, as one that has nothing to show.
func (r register) idle(f, fo vclock.Floor) bool {
	return r.tag == tag{} || r.idleUnder(f) || r.idleUnder(fo)
}

// idleUnder tells whether a copy with the floor f may have dropped r. A live one
// that has expired is dropped as a tombstone is.
func (r register) idleUnder(f vclock.Floor) bool {
	over := r.fate != live || r.expires != 0 && r.expires <= f.Expiry()
	return over && r.tag.coveredBy(f)
}

// keeps tells whether s, a sibling, is an lww write that r supersedes or not.
func (r register) keeps(s *Sibling) bool { return r.fate != dead && r.tag == s.tag() }

// register returns the register that s, an lww sibling, sets.
func (s *Sibling) register() register {
	r := register{tag: s.tag(), expires: s.Expires}
	if s.Deleted {
		r.fate = tombstone
	}
	return r
}

// register returns o's register.
func (o *Object) register() register {
	if len(o.horizon) > 0 {
		return register{tag: decodeTag(o.horizon), fate: dead}
	}
	for rest := o.sibs; len(rest) > 0; rest = rest[encodedSize(rest):] {
		if rest[flagsAt]&flagLWW != 0 {
			s := decodeSibling(rest)
			return s.register()
		}
	}
	return register{}
}

func less(a, b vclock.Dot) bool {
	switch {
	case a.Node != b.Node:
		return a.Node < b.Node
	case a.Birth != b.Birth:
		return a.Birth < b.Birth
	}
	return a.Counter < b.Counter
}
