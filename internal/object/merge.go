package object

import (
	"bytes"

	"github.com/ringtaildb/ringtail/internal/kv"
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

// Merge reconciles two copies of one key's object: a causal sibling survives if
// both have it, or if the side without it has not seen it; an lww sibling, if no
// greater one was seen and none superseded it; clocks merge by maximum. It is
// commutative, associative and idempotent, because an object is the product of
// two things that are: a clock with its causal siblings, and a register.
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
	m := newMixing(a, b)
	switch isA, isB := m.outcome(); {
	case isA:
		return a, dst, First, nil
	case isB:
		return b, dst, Second, nil
	}
	o, dst, err := m.appendTo(dst)
	return o, dst, Mixed, err
}

// mixing is a merge of two objects.
type mixing struct {
	a, b       Object
	regA, regB register
	// reg is the register of the result.
	reg register
}

func newMixing(a, b Object) mixing {
	m := mixing{a: a, b: b, regA: a.register(), regB: b.register()}
	m.reg = m.regA.max(m.regB)
	return m
}

// outcome tells whether the result is a, and whether it is b.
func (m *mixing) outcome() (isA, isB bool) {
	order := m.a.clock.Compare(m.b.clock)
	isA = (order == vclock.After || order == vclock.Equal) && m.regA == m.reg
	isB = (order == vclock.Before || order == vclock.Equal) && m.regB == m.reg
	for p := m.pairs(); (isA || isB) && p.next(); {
		s := m.survivor(&p)
		isA, isB = isA && bytes.Equal(s, p.inA), isB && bytes.Equal(s, p.inB)
	}
	return isA, isB
}

func (m *mixing) appendTo(dst []byte) (Object, []byte, error) {
	w := begin(dst)
	w.b = vclock.AppendMerge(w.b, m.a.clock, m.b.clock)
	w.endClock()
	w.horizon(m.reg)
	for p := m.pairs(); p.next(); {
		if s := m.survivor(&p); s != nil {
			w.raw(s)
		}
	}
	if n := max(w.siblings, w.entries()); n > maxCount {
		return Object{}, dst, kv.Errorf(kv.KindTooManySiblings, "merge objects", "%d siblings or clock entries, the format holds %d", n, maxCount)
	}
	o, buf := w.end()
	return o, buf, nil
}

// survivor returns the encoding of p's sibling as the result has it, nil when
// the result has it not. Two encodings of one sibling differ only after a
// defect, and then every node picks the same.
func (m *mixing) survivor(p *pairs) []byte {
	inA, inB := p.inA, p.inB
	if inA != nil && !m.keeps(&p.a.Sibling, p.inB, m.b.clock) {
		inA = nil
	}
	if inB != nil && !m.keeps(&p.b.Sibling, p.inA, m.a.clock) {
		inB = nil
	}
	if bytes.Compare(inA, inB) < 0 {
		return inB
	}
	return inA
}

// keeps tells whether s, of one object, survives the other, which has it as
// inOther, or not at all, and has seen clock.
func (m *mixing) keeps(s *Sibling, inOther []byte, clock vclock.Clock) bool {
	if s.LWW {
		return m.reg.keeps(s)
	}
	return inOther != nil || !clock.Covers(s.Dot)
}

// pairs walks the siblings of two objects side by side, in the order of their
// dots.
type pairs struct {
	a, b         Cursor
	moreA, moreB bool
	// inA and inB are the encodings of the present sibling, nil in an object
	// that has it not.
	inA, inB []byte
}

func (m *mixing) pairs() pairs {
	p := pairs{a: m.a.Siblings(), b: m.b.Siblings()}
	p.moreA, p.moreB = p.a.Next(), p.b.Next()
	return p
}

// next moves to the next sibling and tells whether there is one.
func (p *pairs) next() bool {
	if p.inA != nil {
		p.moreA = p.a.Next()
	}
	if p.inB != nil {
		p.moreB = p.b.Next()
	}
	p.inA, p.inB = nil, nil
	order := 0
	switch {
	case p.moreA && p.moreB:
		order = bytes.Compare(p.a.raw[:vclock.DotSize], p.b.raw[:vclock.DotSize])
	case p.moreA:
		order = -1
	case p.moreB:
		order = 1
	default:
		return false
	}
	if order <= 0 {
		p.inA = p.a.raw
	}
	if order >= 0 {
		p.inB = p.b.raw
	}
	return true
}
