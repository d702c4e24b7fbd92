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
	m := mixing{a: a, b: b}
	return m.merge(dst)
}

// MergeUnder is Merge of copies whose holders have the floors fa and fb, under
// which they may have dropped parts of them (see Prune), the zero Object
// included: a side has seen what its clock or its floor covers. The copies of a
// message have the floor that the sender had; what is known of none has nil.
//
// It is commutative, floors taken along, and idempotent: merging the result
// with a or b again, under the floor of either, changes nothing. Whether a side
// had pruned its copy makes no difference to the result's Digest under both
// floors. The result may hold what the caller's own floor lets it drop, down to
// nothing but covered clock entries: the caller prunes.
func MergeUnder(dst []byte, a, b Object, fa, fb vclock.Floor) (Object, []byte, Outcome, error) {
	switch {
	case b.raw == nil && len(fb) == 0 || bytes.Equal(a.raw, b.raw):
		return a, dst, First, nil
	case a.raw == nil && len(fa) == 0:
		return b, dst, Second, nil
	}
	m := mixing{a: a, b: b, fa: fa, fb: fb}
	return m.merge(dst)
}

// mixing is a merge of two objects, under the floors of their holders.
type mixing struct {
	a, b   Object
	fa, fb vclock.Floor
	// The registers of both, and of the result.
	regA, regB, reg register
}

func (m *mixing) merge(dst []byte) (Object, []byte, Outcome, error) {
	m.registers()
	switch isA, isB := m.outcome(); {
	case isA:
		return m.a, dst, First, nil
	case isB:
		return m.b, dst, Second, nil
	}
	o, dst, err := m.appendTo(dst)
	return o, dst, Mixed, err
}

func (m *mixing) registers() {
	m.regA, m.regB = m.a.register(), m.b.register()
	m.reg = m.regA.join(m.regB, m.fa, m.fb)
}

// outcome tells whether the result is a, and whether it is b.
func (m *mixing) outcome() (isA, isB bool) { return m.sides(bytes.Equal) }

// sides is outcome, of objects whose siblings are the same where same tells so of
// the result's encoding, if it has the sibling, and a side's.
func (m *mixing) sides(same func(s, in []byte) bool) (isA, isB bool) {
	order := m.a.clock.Compare(m.b.clock)
	isA = (order == vclock.After || order == vclock.Equal) && m.regA == m.reg
	isB = (order == vclock.Before || order == vclock.Equal) && m.regB == m.reg
	for p := m.pairs(); (isA || isB) && p.next(); {
		s := m.survivor(&p)
		isA, isB = isA && same(s, p.inA), isB && same(s, p.inB)
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
	if inA != nil && !m.keeps(inA, p.inB, m.b.clock, m.fb) {
		inA = nil
	}
	if inB != nil && !m.keeps(inB, p.inA, m.a.clock, m.fa) {
		inB = nil
	}
	if bytes.Compare(inA, inB) < 0 {
		return inB
	}
	return inA
}

// keeps tells whether s, an encoded sibling of one object, survives the other,
// which has it as inOther, or not at all, and has seen what clock and floor
// cover.
func (m *mixing) keeps(s, inOther []byte, clock vclock.Clock, floor vclock.Floor) bool {
	if s[flagsAt]&flagLWW != 0 {
		s := decodeSibling(s)
		return m.reg.keeps(&s)
	}
	if inOther != nil {
		return true
	}
	d := vclock.DecodeDot(s)
	return !clock.Covers(d) && !floor.Covers(d.Node, decodeSeq(s))
}

// pairs walks the siblings of two objects side by side, in the order of their
// dots.
type pairs struct {
	// restA and restB begin with the present sibling where that object has it.
	restA, restB []byte
	// inA and inB are the encodings of the present sibling, nil in an object
	// that has it not.
	inA, inB []byte
}

func (m *mixing) pairs() pairs { return pairs{restA: m.a.sibs, restB: m.b.sibs} }

// next moves to the next sibling and tells whether there is one.
func (p *pairs) next() bool {
	p.restA, p.restB = p.restA[len(p.inA):], p.restB[len(p.inB):]
	p.inA, p.inB = nil, nil
	order := 0
	switch {
	case len(p.restA) > 0 && len(p.restB) > 0:
		order = bytes.Compare(p.restA[:vclock.DotSize], p.restB[:vclock.DotSize])
	case len(p.restA) > 0:
		order = -1
	case len(p.restB) > 0:
		order = 1
	default:
		return false
	}
	if order <= 0 {
		p.inA = p.restA[:encodedSize(p.restA)]
	}
	if order >= 0 {
		p.inB = p.restB[:encodedSize(p.restB)]
	}
	return true
}
