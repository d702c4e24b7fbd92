package antientropy

import (
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// A step ends without a new owner that did not answer for long, and so may the
// whole change. That one owns a copy then which lacks about everything. It fetches
// it late, as it would have done in the step: from one other owner, at the pace of
// fills. Until then the copy is closed to all that would bring it data besides,
// the slow cycle, sweeps and former owners: they know nothing of that pace, and
// would all send the same. The node that lacks it decides that, for nobody knows
// better; its word holds in whatever phase the others believe the step to be.
//
// That a copy is to be filled is durable from when its step is first seen. A node
// that was down during all of it finds a copy that is empty when another owner's
// is not.

// late stands for the step of a fill that belongs to none.
const late = -1

// unfilled tells that a fill was begun and not ended.
func unfilled(f replica.Fill) bool { return f.Level != 0 && !f.Done }

// isLate tells whether this node's copy of p is kept equal with others, and was
// not filled when it was to be.
func (m *mover) isLate(p kv.Partition) bool {
	return unfilled(m.k.Stages.Fill(p)) && m.k.keeps(m.cur, p)
}

// openAllLate opens the fills that are missing when a change is over.
func (m *mover) openAllLate() {
	for _, p := range m.cur.Ring.Partitions(m.k.Self) {
		if m.isLate(p) {
			mv := &moving{p: p}
			mv.fills = []*filling{m.openLate(mv)}
			m.parts = append(m.parts, mv)
			m.fills = append(m.fills, mv.fills...)
		}
	}
}

// missed opens the fill of p, of which another owner's copy is another, if this
// node's is empty and was never filled: it has missed the whole change.
func (m *mover) missed(p kv.Partition) bool {
	i, found := slices.BinarySearchFunc(m.parts, p, comparePart)
	was := m.k.Stages.Fill(p)
	keys, _, _ := m.k.Floors.Usage(p)
	switch c := m.cur; {
	case found || keys > 0 || was.Level != 0 || c == nil:
		return false
	case c.Progress != nil || c.Ring.Epoch() == 1 || !m.k.keeps(c, p) || !m.k.built(p):
		return false // of the first ring all owners had nothing
	}
	mv := &moving{p: p}
	f := m.openLate(mv)
	mv.fills = []*filling{f}
	m.parts = slices.Insert(m.parts, i, mv)
	// If the disk does not take it, it is late only as long as this process lasts.
	_ = m.settle(map[kv.Partition]replica.Fill{p: m.fillOf(f)})
	return true
}

// openLate returns the late fill of a partition: one other owner is enough, and
// the exchanges of every day do the rest.
func (m *mover) openLate(mv *moving) *filling {
	owners := m.cur.View(mv.p).Newest()
	s := &ring.Step{New: owners}
	for _, id := range owners {
		if id != m.k.Self {
			s.Old = append(s.Old, id)
		}
	}
	s.Sources = min(1, len(s.Old))
	return &filling{mv: mv, k: late, step: s, losses: m.k.Stages.Fill(mv.p).Losses, short: true}
}

// stillLate returns the late fill of a partition of which no step is under way in
// which this node is filled; was are its fills up to now.
func (m *mover) stillLate(mv *moving, was []*filling) []*filling {
	if !m.isLate(mv.p) {
		return nil
	}
	if i := slices.IndexFunc(was, func(f *filling) bool { return f.k == late }); i >= 0 {
		return was[i : i+1]
	}
	return []*filling{m.openLate(mv)}
}

// lacksAny tells whether something is to be fetched for a partition.
func (m *mover) lacksAny(mv *moving) bool {
	return slices.ContainsFunc(mv.fills, func(f *filling) bool { return f.first() && !f.done })
}

// lacks tells whether this node's copy of p is closed: all that it is to have it is
// being filled with, or will be, as there is a node to do that from.
func (m *mover) lacks(p kv.Partition) bool {
	i, found := slices.BinarySearchFunc(m.parts, p, comparePart)
	if !found {
		return false
	}
	return slices.ContainsFunc(m.parts[i].fills, func(f *filling) bool {
		return f.first() && !f.done && (f.busy || m.hopes(f))
	})
}

// hopes tells whether some owner may be a source: one that answers, and has not
// been asked again and again in vain. It may be no better off itself.
func (m *mover) hopes(f *filling) bool {
	return slices.ContainsFunc(f.step.Old, func(id kv.NodeID) bool {
		i := slices.IndexFunc(f.shut, func(c shutSource) bool { return c.id == id })
		return id != m.k.Self && !m.lost(id) && m.k.Peers.Up(id) && (i < 0 || f.shut[i].pause < m.k.cfg.Retry)
	})
}

func comparePart(mv *moving, p kv.Partition) int { return int(mv.p) - int(p) }
