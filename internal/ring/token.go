package ring

import "slices"

// tokens chooses each partition's first owner, who holds its token, and orders
// the others.
type tokens struct {
	*draft
	tally
}

func newTokens(d *draft) *tokens {
	fair := make([]share, len(d.nodes))
	for v, n := range d.nodes {
		fair[v] = share{uint64(d.q) * uint64(n.Weight), d.zones.total()}
	}
	t := &tokens{d, newTally(fair)}
	for p := range d.q {
		t.count[d.list(p)[0]]++
	}
	return t
}

// level moves tokens, as few as it can tell, until each node has its weight's
// share of them, rounded down or up.
//
// A node can only hold tokens of partitions that it owns. Fractionally that is
// enough: each owner takes the same part of its partitions as its weight's
// share of tokens is of its fair share of loads, and in each list these parts
// add up to one. But loads are whole: each differs from its fair share by less
// than one, and so may what the node can take. In rings with hardly more
// partitions than nodes that leaves now and then no way, and a count stays one
// beyond its bounds.
func (t *tokens) level() {
	s := newSearch(len(t.nodes))
	t.exchange(t.over, t.takes)
	t.exchange(t.gives, t.under)
	firsts := t.firsts()
	for t.chain(s, firsts, t.over, t.takes) {
	}
	for t.chain(s, firsts, t.gives, t.under) {
	}
}

// exchange moves tokens within single partitions from nodes that give to such as
// take.
func (t *tokens) exchange(gives, takes func(v int) bool) {
	for p := range t.q {
		list := t.list(p)
		for i := 1; i < len(list) && gives(list[0]); i++ {
			if takes(list[i]) {
				t.pay(p*t.width + i)
			}
		}
	}
}

// chain moves one token along a shortest chain of nodes from one that gives to
// one that takes, and reports whether there was one. It keeps firsts up to date.
func (t *tokens) chain(s *search, firsts [][]int, gives, takes func(v int) bool) bool {
	s.begin(takes)
	s.start(gives)
	found := s.run(func(u int) {
		for _, p := range firsts[u] {
			for i, v := range t.list(p)[1:] {
				s.reach(v, p*t.width+1+i)
			}
		}
	})
	if !found {
		return false
	}
	for v := s.found; s.via[v] != outside; {
		slot := s.via[v]
		p := slot / t.width
		u := t.list(p)[0]
		t.pay(slot)
		at, _ := slices.BinarySearch(firsts[u], p)
		firsts[u] = slices.Delete(firsts[u], at, at+1)
		at, _ = slices.BinarySearch(firsts[v], p)
		firsts[v] = slices.Insert(firsts[v], at, p)
		v = u
	}
	return true
}

// firsts returns the partitions of which each node is the first owner, ascending.
func (t *tokens) firsts() [][]int {
	out := make([][]int, len(t.nodes))
	room := make([]int, t.q)
	for v, n := range t.count {
		out[v], room = room[:0:n], room[n:]
	}
	for p := range t.q {
		first := t.list(p)[0]
		out[first] = append(out[first], p)
	}
	return out
}

// pay hands the token of slot's partition to the owner in slot, who changes
// places with the first.
func (t *tokens) pay(slot int) {
	first := slot - slot%t.width
	t.count[t.slots[first]]--
	t.count[t.slots[slot]]++
	t.slots[first], t.slots[slot] = t.slots[slot], t.slots[first]
}

// spread chooses second owners: when a node is down they coordinate what was
// its own, so that each of its tokens should find another, by weight. Where it
// makes no difference the present order stays.
func (t *tokens) spread() {
	behind := make([]int, len(t.nodes))
	for _, parts := range t.firsts() {
		clear(behind)
		for _, p := range parts {
			list := t.list(p)
			if len(list) < 2 {
				return
			}
			best := 1
			for i := 2; i < len(list); i++ {
				if t.lighter(list[i], list[best], behind) {
					best = i
				}
			}
			list[1], list[best] = list[best], list[1]
			behind[list[1]]++
		}
	}
}

// lighter reports whether u, with one more partition, would have less for its
// weight than v with one more.
func (t *tokens) lighter(u, v int, behind []int) bool {
	return uint64(behind[u]+1)*uint64(t.nodes[v].Weight) < uint64(behind[v]+1)*uint64(t.nodes[u].Weight)
}

// tally counts the tokens that nodes have beside what they are due: a fair
// share, rounded down (low) or up (high).
type tally struct{ count, low, high []int }

func newTally(fair []share) tally {
	t := tally{make([]int, len(fair)), make([]int, len(fair)), make([]int, len(fair))}
	for v, s := range fair {
		t.low[v], t.high[v] = s.floor(), s.floor()
		if s.rest() > 0 {
			t.high[v]++
		}
	}
	return t
}

func (t tally) over(v int) bool  { return t.count[v] > t.high[v] }
func (t tally) under(v int) bool { return t.count[v] < t.low[v] }

// takes and gives tell who can have one more, or one less, and be within
// bounds.
func (t tally) takes(v int) bool { return t.count[v] < t.high[v] }
func (t tally) gives(v int) bool { return t.count[v] > t.low[v] }
