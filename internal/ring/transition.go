package ring

import (
	"hash/fnv"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Transition is the way from one epoch's ring to the next: for each partition
// whose owners change, a list of steps, each of which changes one owner. It is
// a pure function of the two rings, so that every node takes the same steps.
// Immutable.
type Transition struct {
	from, to *Ring
	lost     []kv.NodeID
	id       uint64
	// first has, for each partition and for one past the last, the number of its
	// first step in steps.
	first []uint32
	steps []Step
}

// NewTransition returns the transition between two rings of one cluster, the
// second of the epoch after the first's. The nodes in lost, ascending, are gone
// for good with all that they had: they count as sealed, empty, at stage 2 and
// done. The error is of KindInvalid.
func NewTransition(from, to *Ring, lost []kv.NodeID) (*Transition, error) {
	const op = "check transition"
	switch {
	case from.params != to.params:
		return nil, kv.Errorf(kv.KindInvalid, op, "the parameters differ: %+v, %+v", from.params, to.params)
	case to.epoch != from.epoch+1:
		return nil, kv.Errorf(kv.KindInvalid, op, "epoch %d does not follow epoch %d", to.epoch, from.epoch)
	case !slices.IsSorted(lost):
		return nil, kv.Errorf(kv.KindInvalid, op, "the lost nodes are not ascending")
	}
	t := &Transition{from: from, to: to, lost: lost, first: make([]uint32, from.params.Q+1)}
	zones := zonesOf(from, to)
	for p := range from.params.Q {
		t.first[p] = uint32(len(t.steps))
		t.addSteps(from.Owners(kv.Partition(p)), to.Owners(kv.Partition(p)), zones)
	}
	t.first[from.params.Q] = uint32(len(t.steps))
	t.id = t.hash()
	return t, nil
}

func zonesOf(rings ...*Ring) map[kv.NodeID]string {
	zones := map[kv.NodeID]string{}
	for _, r := range rings {
		for _, n := range r.nodes {
			zones[n.ID] = n.Zone
		}
	}
	return zones
}

// addSteps appends the steps from one list of owners to another: first those
// that replace an owner, if possible by one of its zone, then those that add or
// drop one.
func (t *Transition) addSteps(from, to []kv.NodeID, zones map[kv.NodeID]string) {
	lost, gained := without(from, to), without(to, from)
	if len(lost)+len(gained) == 0 {
		return
	}
	slices.SortStableFunc(gained, func(a, b kv.NodeID) int { return rank(lost, a, zones) - rank(lost, b, zones) })
	now := from
	for i := range max(len(lost), len(gained)) {
		next := slices.Clone(now)
		switch {
		case i >= len(gained):
			next = slices.DeleteFunc(next, func(id kv.NodeID) bool { return id == lost[i] })
		case i >= len(lost):
			next = append(next, gained[i])
		default:
			next[slices.Index(next, lost[i])] = gained[i]
		}
		if i == max(len(lost), len(gained))-1 {
			next = to // the same owners, in the order of the ring to come
		}
		t.steps = append(t.steps, newStep(t.from.params, now, next))
		now = next
	}
}

// rank orders those gained as those lost whose zone they share.
func rank(lost []kv.NodeID, gained kv.NodeID, zones map[kv.NodeID]string) int {
	i := slices.IndexFunc(lost, func(id kv.NodeID) bool { return zones[id] == zones[gained] })
	if i < 0 {
		return len(lost)
	}
	return i
}

// without returns the ids of a that are not in b.
func without(a, b []kv.NodeID) []kv.NodeID {
	var out []kv.NodeID
	for _, id := range a {
		if !slices.Contains(b, id) {
			out = append(out, id)
		}
	}
	return out
}

func (t *Transition) hash() uint64 {
	h := fnv.New64a()
	b := t.from.AppendTo(nil)
	b = t.to.AppendTo(b)
	for _, id := range t.lost {
		b = append(b, id.String()...)
	}
	_, _ = h.Write(b) // it never fails
	return h.Sum64()
}

// From returns the ring before, To the ring after the transition.
func (t *Transition) From() *Ring { return t.from }

// To returns the ring after the transition.
func (t *Transition) To() *Ring { return t.to }

// Lost returns the nodes that are gone for good, ascending: shared, read-only.
func (t *Transition) Lost() []kv.NodeID { return t.lost }

// ID tells two transitions apart.
func (t *Transition) ID() uint64 { return t.id }

// Len returns the number of steps of all partitions.
func (t *Transition) Len() int { return len(t.steps) }

// Steps returns the steps of p, in their order: shared, read-only.
func (t *Transition) Steps(p kv.Partition) []Step { return t.steps[t.first[p]:t.first[p+1]] }

// Index returns the number of step k of p among those of all partitions.
func (t *Transition) Index(p kv.Partition, k int) int { return int(t.first[p]) + k }

// Level returns the level of a phase of step k of any partition.
func (t *Transition) Level(k, phase int) kv.Level { return kv.LevelOf(t.from.epoch).At(k, phase) }
