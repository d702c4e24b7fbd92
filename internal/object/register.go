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
}

const tagSize = 8 + vclock.DotSize

func (t tag) after(o tag) bool {
	if t.time != o.time {
		return t.time > o.time
	}
	return less(o.dot, t.dot)
}

func appendTag(dst []byte, t tag) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.time))
	return vclock.AppendDot(dst, t.dot)
}

func decodeTag(b []byte) tag {
	return tag{time: kv.Time(binary.BigEndian.Uint64(b)), dot: vclock.DecodeDot(b[8:])}
}

func (s Sibling) tag() tag { return tag{time: s.Time, dot: s.Dot} }

// register is the part of an object that lww writes set: the greatest tag that
// it has seen, and whether a causal write superseded that one, which is then
// the object's horizon. The zero register has seen no lww write.
type register struct {
	tag  tag
	dead bool
}

// max returns the later of two registers: the greater tag, and of equal ones
// that which knows more, the dead one.
func (r register) max(o register) register {
	if o.tag.after(r.tag) || o.tag == r.tag && o.dead {
		return o
	}
	return r
}

// keeps tells whether s, a sibling, is an lww write that r supersedes or not.
func (r register) keeps(s *Sibling) bool { return !r.dead && r.tag == s.tag() }

// register returns o's register.
func (o Object) register() register {
	if len(o.horizon) > 0 {
		return register{tag: decodeTag(o.horizon), dead: true}
	}
	for rest := o.sibs; len(rest) > 0; rest = rest[encodedSize(rest):] {
		if rest[flagsAt]&flagLWW != 0 {
			s := decodeSibling(rest)
			return register{tag: s.tag()}
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
