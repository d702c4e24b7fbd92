package ring

import "slices"

// place gives every slot an owner and every node its target. It reports whether
// it succeeded; that it always does is argued at settle.
//
// Simple moves come first, each from a vacancy or a node with too much to one
// with too little. What they do not reach settle brings about.
func (d *draft) place() bool {
	needy := make([][]int, len(d.zones.names))
	for v, z := range d.zones.of {
		if d.need(v) > 0 {
			needy[z] = append(needy[z], v)
		}
	}
	d.pass(needy, func(slot int) bool { return d.slots[slot] == vacant })
	rich := func(u int) bool { return u != vacant && d.need(u) < 0 }
	d.pass(needy, func(slot int) bool { return rich(d.slots[slot]) && !d.gave(slot/d.width) })
	d.pass(needy, func(slot int) bool { return rich(d.slots[slot]) })
	return d.settle()
}

// gave tells whether an owner of before has given its slot of partition p to
// another node.
func (d *draft) gave(p int) bool {
	list := d.list(p)
	for i, u := range d.owned(p) {
		if u != vacant && list[i] != u {
			return true
		}
	}
	return false
}

// pass offers to the needy, who are listed by zone, each slot that gives says.
func (d *draft) pass(needy [][]int, gives func(slot int) bool) {
	for _, p := range shuffled(d.q, d.epoch) {
		salt := mix(mix(d.epoch) ^ uint64(p))
		turn := int(salt >> 32 % uint64(d.width))
		for i := range d.width {
			slot := p*d.width + (turn+i)%d.width
			if !gives(slot) {
				continue
			}
			v := d.choose(slot, needy, mix(salt+uint64(i)))
			if v == vacant {
				continue
			}
			d.put(slot, v)
			if z := d.zones.of[v]; d.need(v) == 0 {
				at := slices.Index(needy[z], v)
				needy[z] = slices.Delete(needy[z], at, at+1)
			}
		}
	}
}

// choose returns the needy node that is to take slot, or vacant when none may:
// from the zone that lacks most, by lack times a random factor of 1 to 1.25,
// the node that needs most, by need times one of 1 to 2. Who needs much goes
// first, while those who are alike come in ever new company.
func (d *draft) choose(slot int, needy [][]int, salt uint64) int {
	d.open(slot)
	best, most := vacant, uint64(0)
	for z, list := range needy {
		score := uint64(1+max(0, d.lack[z])) * (4<<16 + jitter(salt, uint64(z)))
		if score <= most || !d.admits(z) {
			continue
		}
		if v := d.neediest(list, salt); v != vacant {
			best, most = v, score
		}
	}
	return best
}

// neediest chooses from nodes of one zone, which the slot opened last admits,
// or returns vacant when that slot's list has them all.
func (d *draft) neediest(nodes []int, salt uint64) int {
	best, most := vacant, uint64(0)
	for _, v := range nodes {
		need := uint64(d.need(v))
		if need<<17 <= most {
			continue
		}
		score := need * (1<<16 + jitter(salt, uint64(d.nodes[v].ID)))
		if score > most && !d.lists(v) {
			best, most = v, score
		}
	}
	return best
}
