package ring

import "slices"

// settle ends what the simple moves began, by chains: a node takes the slot of
// one with too much, or a vacant one, and gives one of its own to the next, up
// to one that had too little. It reports false if a chain is missing.
//
// None is. The lists that a partition may have are the bases of a matroid, the
// bounds of loads are another, and a chain is an augmenting path of their
// intersection: shortest ones keep every list valid, and are found as long as
// the bounds are not met and can be. They can: lay the nodes out zone by zone,
// each as many times as its fair share, and deal them to the partitions in
// turn.
func (d *draft) settle() bool {
	s := newSettler(d)
	for slot, u := range d.slots {
		if u == vacant && !s.chain(func() { s.follow(slot) }) {
			return false
		}
	}
	for u := range d.nodes {
		for d.need(u) < 0 {
			if !s.chain(func() { s.reach(u, outside) }) {
				return false
			}
		}
	}
	return true
}

// settler searches a draft for chains.
type settler struct {
	*draft
	*search
	// held lists each node's slots.
	held [][]int
	// members lists each zone's nodes, fresh those of them that the present
	// search has not met, left the zones with any.
	members, fresh [][]int
	left           []int
}

func newSettler(d *draft) *settler {
	s := &settler{
		draft:   d,
		search:  newSearch(len(d.nodes)),
		held:    make([][]int, len(d.nodes)),
		members: make([][]int, len(d.zones.names)),
		fresh:   make([][]int, len(d.zones.names)),
	}
	for v, z := range d.zones.of {
		s.members[z] = append(s.members[z], v)
	}
	for slot, v := range d.slots {
		if v != vacant {
			s.held[v] = append(s.held[v], slot)
		}
	}
	return s
}

// chain applies a shortest chain from what start reaches to a node in need,
// and reports whether there is one. It prefers a thrifty one, which moves no
// more than a simple move would.
func (s *settler) chain(start func()) bool {
	if !s.find(start, s.thrifty) && !s.find(start, s.follow) {
		return false
	}
	for v := s.found; ; {
		slot := s.via[v]
		u := s.slots[slot]
		s.put(slot, v)
		s.held[v] = append(s.held[v], slot)
		if u == vacant {
			return true
		}
		at := slices.Index(s.held[u], slot)
		s.held[u] = slices.Delete(s.held[u], at, at+1)
		if s.via[u] == outside {
			return true
		}
		v = u
	}
}

// find searches for a chain in which each node gives slots to those that
// follow reaches.
func (s *settler) find(start func(), follow func(slot int)) bool {
	s.begin(func(v int) bool { return s.need(v) > 0 })
	s.left = s.left[:0]
	for z, list := range s.members {
		s.fresh[z] = append(s.fresh[z][:0], list...)
		s.left = append(s.left, z)
	}
	start()
	return s.run(func(u int) {
		for _, slot := range s.held[u] {
			follow(slot)
		}
	})
}

// thrifty is follow for what moves nothing: slots that were gained in this
// claim may go to anyone, others only back to an owner of before. The first
// node of a chain gives freely. A chain that visits a partition twice is left
// to follow, where being shortest makes it sound.
func (s *settler) thrifty(slot int) {
	u, p := s.slots[slot], slot/s.width
	for v := u; v != vacant && s.via[v] != outside; v = s.slots[s.via[v]] {
		if s.via[v]/s.width == p {
			return
		}
	}
	if s.via[u] == outside || !slices.Contains(s.owned(p), u) {
		s.follow(slot)
		return
	}
	s.open(slot)
	for _, v := range s.owned(p) {
		if v != vacant && s.fits(v) {
			s.reach(v, slot)
		}
	}
}

// follow reaches the nodes that may take slot. It looks only at zones with
// fresh nodes: in a wide ring most slots lead nowhere new.
func (s *settler) follow(slot int) {
	s.open(slot)
	left := s.left[:0]
	for _, z := range s.left {
		if s.admits(z) {
			rest := s.fresh[z][:0]
			for _, v := range s.fresh[z] {
				if s.lists(v) {
					rest = append(rest, v)
				} else {
					s.reach(v, slot)
				}
			}
			s.fresh[z] = rest
		}
		if len(s.fresh[z]) > 0 {
			left = append(left, z)
		}
	}
	s.left = left
}
