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
// for good with all that they had: they count as at stage 2 and done, and nobody
// waits to be filled from them. The steps are the same whoever is lost. The error
// is of KindInvalid.
func NewTransition(from, to *Ring, lost []kv.NodeID) (*Transition, error) {
	const op = "check transition"
	switch {
	case from.params != to.params:
		return nil, kv.Errorf(kv.KindInvalid, op, "the parameters differ: %+v, %+v", from.params, to.params)
	case to.epoch != from.epoch+1:
		return nil, kv.Errorf(kv.KindInvalid, op, "epoch %d does not follow epoch %d", to.epoch, from.epoch)
	case to.epoch > kv.MaxEpoch:
		return nil, kv.Errorf(kv.KindInvalid, op, "epoch %d is past the last, %d", to.epoch, uint64(kv.MaxEpoch))
	}
	for i := 1; i < len(lost); i++ {
		if lost[i] <= lost[i-1] {
			return nil, kv.Errorf(kv.KindInvalid, op, "the lost nodes are not ascending: %v, %v", lost[i-1], lost[i])
		}
	}
	t := &Transition{from: from, to: to, lost: slices.Clone(lost), first: make([]uint32, 0, from.params.Q+1)}
	w := newWay(from, to)
	for p := range from.params.Q {
		t.first = append(t.first, uint32(len(w.steps)))
		w.walk(from.Owners(kv.Partition(p)), to.Owners(kv.Partition(p)))
	}
	t.first = append(t.first, uint32(len(w.steps)))
	t.steps = w.steps
	for i := range t.steps {
		s := &t.steps[i]
		s.Sources = min(s.Sources, len(s.Old)-t.gone(s.Old))
	}
	t.id = t.hash()
	return t, nil
}

// gone counts the lost nodes among ids.
func (t *Transition) gone(ids []kv.NodeID) int {
	n := 0
	for _, id := range ids {
		if _, is := slices.BinarySearch(t.lost, id); is {
			n++
		}
	}
	return n
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

// Lapsed returns the partitions that have lost so many owners, W of one set, that
// they may have lost what was acknowledged: ascending, in a slice of the caller's.
func (t *Transition) Lapsed() []kv.Partition {
	var out []kv.Partition
	for p := range t.from.params.Q {
		part := kv.Partition(p)
		lapsed := t.lapsed(t.from.Owners(part))
		for _, s := range t.Steps(part) {
			lapsed = lapsed || t.lapsed(s.New)
		}
		if lapsed {
			out = append(out, part)
		}
	}
	return out
}

func (t *Transition) lapsed(owners []kv.NodeID) bool {
	return t.gone(owners) >= min(t.from.params.W, len(owners))
}

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
