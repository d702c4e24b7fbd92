package ring

import (
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// vacant stands in a slot that has no owner yet.
const vacant = -1

// draft is a ring in the making. Its slots are the owner lists of all
// partitions, width at a time.
//
// Invariant, from the end of keep on: no list repeats a node, and its distinct
// zones and vacancies together are at least span. For each partition such lists
// are the bases of a matroid, which is what makes settle complete.
type draft struct {
	nodes []Node
	zones zoning
	epoch uint64
	q     int
	width int
	// span is the number of zones that each list must cover.
	span  int
	slots []int
	// before holds who had the slots in the ring before, as far as they are
	// still members.
	before []int
	// load counts each node's slots, target those that it ought to have; the
	// targets add up to all slots. lack is the sum of the differences of each
	// zone's nodes, negative when they have too many.
	load, target, lack []int

	// What open found about one slot: nodes and zones marked with mark are in
	// the way, zones only where tight.
	mark               int
	nodeMark, zoneMark []int
	tight              bool
}

func newDraft(prev *Ring, params Params, epoch uint64, nodes []Node) *draft {
	width := min(params.N, len(nodes))
	zones := newZoning(nodes)
	shares := fairShares(nodes, zones, params.Q, width)
	d := &draft{
		nodes: nodes, zones: zones, epoch: epoch, q: params.Q, width: width,
		span:     min(len(zones.names), width),
		slots:    slices.Repeat([]int{vacant}, params.Q*width),
		before:   slices.Repeat([]int{vacant}, params.Q*width),
		load:     make([]int, len(nodes)),
		lack:     make([]int, len(zones.names)),
		nodeMark: make([]int, len(nodes)),
		zoneMark: make([]int, len(zones.names)),
	}
	old := make([]int, len(nodes))
	if prev != nil {
		for v, n := range nodes {
			old[v] = prev.Load(n.ID)
		}
	}
	d.target = targets(shares, zones, params.Q*width, old)
	for v, z := range zones.of {
		d.lack[z] += d.target[v]
	}
	if prev != nil {
		d.keep(prev)
	}
	return d
}

// need returns the slots that v lacks; it is negative for one that has too
// many.
func (d *draft) need(v int) int { return d.target[v] - d.load[v] }

// list returns the slots of partition p.
func (d *draft) list(p int) []int { return d.slots[p*d.width : (p+1)*d.width] }

// owned returns who had the slots of partition p before.
func (d *draft) owned(p int) []int { return d.before[p*d.width : (p+1)*d.width] }

// put gives slot to v, or to nobody when v is vacant.
func (d *draft) put(slot, v int) {
	if u := d.slots[slot]; u != vacant {
		d.load[u]--
		d.lack[d.zones.of[u]]++
	}
	d.slots[slot] = v
	if v != vacant {
		d.load[v]++
		d.lack[d.zones.of[v]]--
	}
}

// keep takes over the owners of prev, each at its place in the list, but for
// nodes that left and such as stand in the way of a new zone: of those that
// share one, the later in the list.
func (d *draft) keep(prev *Ring) {
	now := make([]int, len(prev.nodes))
	for i, n := range prev.nodes {
		now[i] = vacant
		if v, ok := find(d.nodes, n.ID); ok {
			now[i] = v
		}
	}
	for p := range d.q {
		at, end := p*d.width, (p+1)*d.width
		for _, u := range prev.list(kv.Partition(p)) {
			if v := now[u]; v != vacant || prev.width <= d.width {
				d.put(at, v)
				d.before[at] = v
				at++
			}
			if at == end {
				break
			}
		}
	}
	for slot := len(d.slots) - 1; slot >= 0; slot-- {
		if v := d.slots[slot]; v != vacant {
			d.open(slot)
			if !d.admits(d.zones.of[v]) {
				d.put(slot, vacant)
			}
		}
	}
}

// open prepares fits for slot: the owners of its list are marked, and the zones
// of those in other slots. The list is tight when these zones and vacancies
// fall short of span without the slot, which then must take a new zone.
func (d *draft) open(slot int) {
	d.mark++
	covered := 0
	from := slot - slot%d.width
	for s := from; s < from+d.width; s++ {
		v := d.slots[s]
		if v != vacant {
			d.nodeMark[v] = d.mark
		}
		if s == slot {
			continue
		}
		if v == vacant {
			covered++
		} else if z := d.zones.of[v]; d.zoneMark[z] != d.mark {
			d.zoneMark[z] = d.mark
			covered++
		}
	}
	d.tight = covered < d.span
}

// fits reports whether v may take the slot that was opened last from whoever
// holds it.
func (d *draft) fits(v int) bool { return !d.lists(v) && d.admits(d.zones.of[v]) }

// lists reports whether the list opened last has v.
func (d *draft) lists(v int) bool { return d.nodeMark[v] == d.mark }

// admits reports whether the slot opened last may go to a node of zone z.
func (d *draft) admits(z int) bool { return !d.tight || d.zoneMark[z] != d.mark }
