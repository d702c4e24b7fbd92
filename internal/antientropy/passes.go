package antientropy

import (
	"cmp"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// passes is the exchange of a sweep: of partitions of which this node is the
// first owner, with all their other owners, twice. The first pass brings here
// what any of them has, the second brings it to all.
type passes struct {
	parts []kv.Partition
	// damages are how often each copy was damaged before the first pass.
	damages []uint64
	// first tells that this is the first pass.
	first bool
	// legs are those of this pass, ascending by node.
	legs []*leg
}

// leg is a pass's exchange with one node. A nil leg has nothing to do.
type leg struct {
	peer kv.NodeID
	// left are the partitions that are still to be exchanged, ascending.
	left  []kv.Partition
	tries int
}

// maxTries is how often a leg is tried: what was not exchanged by then is left
// out of the sweep.
const maxTries = 3

// todo returns what a leg still has to exchange.
func (l *leg) todo() []kv.Partition {
	if l == nil {
		return nil
	}
	return l.left
}

// exchange begins the exchange of parts, if it has not begun, and returns those
// that are exchanged, and whether it is over.
func (m *member) exchange(r *ring.Ring, parts []kv.Partition) ([]kv.Partition, bool) {
	k := m.k
	if m.passes == nil {
		m.passes = &passes{first: true}
		for _, p := range parts {
			if int(p) < r.Params().Q && r.Owners(p)[0] == k.Self {
				m.passes.parts = append(m.passes.parts, p)
				m.passes.damages = append(m.passes.damages, k.Damage.Damages(p))
			}
		}
		m.passes.begin(r, k.Self)
		k.goOn()
	}
	e := m.passes
	if len(e.legs) > 0 {
		return nil, false
	}
	// What this copy lost meanwhile it did not give to the others.
	var out []kv.Partition
	marked := k.Damage.Damaged()
	for i, p := range e.parts {
		if k.Damage.Damages(p) == e.damages[i] && k.sound(p, marked) {
			out = append(out, p)
		}
	}
	return out, true
}

// begin makes the legs of a pass.
func (e *passes) begin(r *ring.Ring, self kv.NodeID) {
	e.legs = nil
	for _, p := range e.parts {
		for _, id := range r.Owners(p) {
			if id == self {
				continue
			}
			i, found := slices.BinarySearchFunc(e.legs, id, func(l *leg, id kv.NodeID) int { return cmp.Compare(l.peer, id) })
			if !found {
				e.legs = slices.Insert(e.legs, i, &leg{peer: id})
			}
			e.legs[i].left = append(e.legs[i].left, p)
		}
	}
}

// wanted returns the leg with peer, nil when there is none now.
func (m *member) wanted(peer kv.NodeID) *leg {
	if m.passes == nil || m.over {
		return nil
	}
	for _, l := range m.passes.legs {
		if l.peer == peer {
			return l
		}
	}
	return nil
}

// exchanged takes the outcome of a leg's exchange.
func (m *member) exchanged(x *exchange) {
	e := m.passes
	if e == nil || !slices.Contains(e.legs, x.leg) {
		return // of an earlier round
	}
	l := x.leg
	l.left = minus(l.left, x.outcome())
	if l.tries++; len(l.left) > 0 && l.tries < maxTries {
		return
	}
	for i := len(e.parts) - 1; i >= 0; i-- {
		if _, failed := slices.BinarySearch(l.left, e.parts[i]); failed {
			e.parts, e.damages = slices.Delete(e.parts, i, i+1), slices.Delete(e.damages, i, i+1)
		}
	}
	e.legs = slices.DeleteFunc(e.legs, func(o *leg) bool { return o == l })
	c := m.k.Cluster.Current()
	if len(e.legs) == 0 && e.first && eraOf(c) == x.era && !m.k.cfg.omits(OmitReturn) {
		e.first = false
		e.begin(c.Ring, m.k.Self)
	}
}
