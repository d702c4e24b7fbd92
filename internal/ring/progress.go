package ring

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Progress is what a node knows of the marks of a transition. Marks only grow,
// and joining two nodes' knowledge is their union, so it does not matter in which
// order, or how often, a node hears of them. Safe for concurrent use.
type Progress struct {
	*Transition
	marks []atomic.Uint64
	// left counts the steps that are not over.
	left atomic.Int64
}

// NewProgress returns a Progress without marks, but for those of lost nodes.
func NewProgress(t *Transition) *Progress {
	g := &Progress{Transition: t, marks: make([]atomic.Uint64, len(t.steps))}
	g.left.Store(int64(len(t.steps)))
	if len(t.lost) > 0 {
		for i := range t.steps {
			g.Add(i, t.steps[i].everyone(t.lost))
		}
	}
	return g
}

// Marks returns what is known of step i of all steps.
func (g *Progress) Marks(i int) Marks { return Marks(g.marks[i].Load()) }

// Add adds marks of step i of all steps, and tells whether any was news. Marks
// that the step's owners cannot set are left out. It panics unless i is below
// Len.
func (g *Progress) Add(i int, m Marks) bool {
	s := &g.steps[i]
	m = s.valid(m)
	was := Marks(g.marks[i].Or(uint64(m)))
	if s.Phase(was) < 3 && s.Phase(was|m) == 3 {
		g.left.Add(-1)
	}
	return was|m != was
}

// At returns the step of p that is under way, or its last one, and the phase in
// which it is; k is -1 for a partition without steps.
func (g *Progress) At(p kv.Partition) (k, phase int) {
	k, phase = -1, 3
	for i := g.first[p]; i < g.first[p+1] && phase == 3; i++ {
		k, phase = k+1, g.steps[i].Phase(g.Marks(int(i)))
	}
	return k, phase
}

// Over tells whether every step is over: each has the evidence for phase 3.
func (g *Progress) Over() bool { return g.left.Load() == 0 }

// AppendTo appends all marks to dst, for Join: of each step that has any, as
// varints, the distance from the one before, and the marks, those at stage 2
// right above those that are done.
func (g *Progress) AppendTo(dst []byte) []byte {
	last := -1
	for i := range g.marks {
		if m := g.Marks(i); m != 0 {
			dst = binary.AppendUvarint(dst, uint64(i-last))
			dst = binary.AppendUvarint(dst, g.steps[i].pack(m))
			last = i
		}
	}
	return dst
}

// Join adds what another node's AppendTo wrote, from hostile bytes, and tells
// whether any of it was news. After an error of KindInvalid some may be added:
// what was read of it is as good as any.
func (g *Progress) Join(b []byte) (news bool, err error) {
	at := -1
	for len(b) > 0 {
		gap, n := binary.Uvarint(b)
		if n <= 0 || gap == 0 || gap > uint64(len(g.marks)-1-at) {
			return news, kv.Errorf(kv.KindInvalid, "read marks", "malformed behind step %d of %d", at, len(g.marks))
		}
		at += int(gap)
		m, k := binary.Uvarint(b[n:])
		if k <= 0 {
			return news, kv.Errorf(kv.KindInvalid, "read marks", "malformed at step %d of %d", at, len(g.marks))
		}
		b = b[n+k:]
		news = g.Add(at, g.steps[at].unpack(m)) || news
	}
	return news, nil
}
