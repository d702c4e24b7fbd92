package ring

import (
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// way lays the steps of a transition, partition by partition. It is used once.
type way struct {
	params Params
	zones  map[kv.NodeID]int
	steps  []Step

	// lost and gained are what the partition at hand has yet to drop and to add,
	// span the zones that its owners cover all the way.
	lost, gained []kv.NodeID
	span         int
	// seen and free are scratch space: zones counted, and room for lists.
	seen []int
	free []kv.NodeID
}

func newWay(from, to *Ring) *way {
	w := &way{params: from.params, zones: map[kv.NodeID]int{}}
	number := map[string]int{}
	for _, r := range []*Ring{from, to} {
		for _, n := range r.nodes {
			z, known := number[n.Zone]
			if !known {
				z = len(number)
				number[n.Zone] = z
			}
			w.zones[n.ID] = z
		}
	}
	w.steps = make([]Step, 0, w.count(from, to))
	return w
}

// count returns the number of all steps.
func (w *way) count(from, to *Ring) int {
	total := 0
	for p := range from.params.Q {
		w.differ(from.Owners(kv.Partition(p)), to.Owners(kv.Partition(p)))
		total += max(len(w.lost), len(w.gained))
	}
	return total
}

// differ sets lost and gained.
func (w *way) differ(from, to []kv.NodeID) {
	w.lost, w.gained = without(w.lost[:0], from, to), without(w.gained[:0], to, from)
}

// walk appends the steps from one list of owners to another: first those that
// replace an owner, then those that add or drop one. The owners span at every
// step as many zones as at that end which spans fewer.
//
// That an heir is always found is the exchange property of matroids: the lists of
// one length that span enough zones are the bases of one, so that for each owner
// that one basis lacks it has another to put in its place. Where the ends differ
// in length, what is added last or dropped last makes them alike.
func (w *way) walk(from, to []kv.NodeID) {
	w.differ(from, to)
	if len(w.lost)+len(w.gained) == 0 {
		return
	}
	w.span = min(w.covered(from, -1, 0), w.covered(to, -1, 0))
	for now := from; len(w.lost)+len(w.gained) > 0; {
		now = w.step(now, to)
	}
}

// step appends the next step on the way from the owners now, and returns those
// after it.
func (w *way) step(now, to []kv.NodeID) []kv.NodeID {
	union, next := now, now
	switch {
	case len(w.gained) == 0:
		at := slices.Index(now, w.lost[0])
		next = slices.Clip(slices.Delete(w.list(now), at, at+1))
		w.lost = slices.Delete(w.lost, 0, 1)
	case len(w.lost) == 0:
		union = w.list(now, w.gained[0])
		next, w.gained = union, slices.Delete(w.gained, 0, 1)
	default:
		at := slices.Index(now, w.lost[0])
		heir := w.heir(now, at)
		union = w.list(now, w.gained[heir])
		next = w.list(now)
		next[at] = w.gained[heir]
		w.lost, w.gained = slices.Delete(w.lost, 0, 1), slices.Delete(w.gained, heir, heir+1)
	}
	if len(w.lost)+len(w.gained) == 0 {
		next = to // the same owners, in the order of the ring to come
	}
	w.steps = append(w.steps, newStep(w.params, now, next, union))
	return next
}

// heir returns which of those gained takes the place of now[at]: one of its zone,
// if there is one, else the first with whom the zones suffice.
func (w *way) heir(now []kv.NodeID, at int) int {
	if len(w.gained) == 1 {
		return 0
	}
	zone := w.zones[now[at]]
	if i := slices.IndexFunc(w.gained, func(id kv.NodeID) bool { return w.zones[id] == zone }); i >= 0 {
		return i
	}
	return max(0, slices.IndexFunc(w.gained, func(id kv.NodeID) bool { return w.covered(now, at, id) >= w.span }))
}

// covered counts the zones of owners, with heir in the place at, if there is one.
func (w *way) covered(owners []kv.NodeID, at int, heir kv.NodeID) int {
	w.seen = w.seen[:0]
	for i, id := range owners {
		if i == at {
			id = heir
		}
		if z := w.zones[id]; !slices.Contains(w.seen, z) {
			w.seen = append(w.seen, z)
		}
	}
	return len(w.seen)
}

// list returns a list of ids and more that nobody else has. Many lists share an
// allocation.
func (w *way) list(ids []kv.NodeID, more ...kv.NodeID) []kv.NodeID {
	const room = 1 << 12
	if len(w.free) < len(ids)+len(more) {
		w.free = make([]kv.NodeID, room)
	}
	n := copy(w.free, ids)
	n += copy(w.free[n:], more)
	out := w.free[:n:n]
	w.free = w.free[n:]
	return out
}

// without appends to dst the ids of a that are not in b.
func without(dst, a, b []kv.NodeID) []kv.NodeID {
	for _, id := range a {
		if !slices.Contains(b, id) {
			dst = append(dst, id)
		}
	}
	return dst
}
