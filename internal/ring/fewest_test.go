package ring

import "github.com/ringtaildb/ringtail/internal/kv"

// fewest returns the least number of moves from prev to any ring with the
// nodes of next, whose owners span as many zones and whose loads are the same
// fair shares, rounded down or up. It is the judge of Claim's thrift and, but
// for what an owner list may be, shares no code with it: beginning at next it
// cancels cycles of exchanges that save moves until none is left, which is
// when a flow is cheapest.
func fewest(prev, next *Ring) int {
	e := newExchanges(prev, next)
	for e.cancel() {
	}
	moves := 0
	for slot, v := range e.slots {
		moves += e.gain(slot, v)
	}
	return moves
}

// exchanges is a graph of the nodes of a draft, and one more, slack: an edge
// from u to v gives a slot of u's to v, at a cost of -1 to 1 moves; slack
// stands between those who may lose a slot and those who may get one.
type exchanges struct {
	*draft
	slack int
	// bounds counts slots beside fair shares.
	bounds tally
	// before tells by partition and node who owned what.
	before [][]bool
	// cost and via hold the cheapest slot of each edge.
	cost, via [][]int
}

const noEdge = 1 << 20

func newExchanges(prev, next *Ring) *exchanges {
	d := newDraft(nil, next.params, next.epoch, next.nodes)
	for slot, v := range next.owners {
		d.put(slot, int(v))
	}
	e := &exchanges{draft: d, slack: len(d.nodes), bounds: newTally(fairShares(d.nodes, d.zones, d.q, d.width))}
	e.bounds.count = d.load
	for p := range d.q {
		e.before = append(e.before, make([]bool, len(d.nodes)))
		for v, n := range d.nodes {
			e.before[p][v] = prev.Owns(kv.Partition(p), n.ID)
		}
	}
	for range e.slack + 1 {
		e.cost = append(e.cost, make([]int, e.slack+1))
		e.via = append(e.via, make([]int, e.slack+1))
	}
	return e
}

// gain is 1 when slot held by v is a move, else 0.
func (e *exchanges) gain(slot, v int) int {
	if e.before[slot/e.width][v] {
		return 0
	}
	return 1
}

// weigh computes all edges anew.
func (e *exchanges) weigh() {
	for u := range e.cost {
		for v := range e.cost {
			e.cost[u][v] = noEdge
		}
	}
	for v := range e.nodes {
		if e.bounds.takes(v) {
			e.cost[v][e.slack] = 0
		}
		if e.bounds.gives(v) {
			e.cost[e.slack][v] = 0
		}
	}
	for slot, u := range e.slots {
		e.open(slot)
		for v := range e.nodes {
			if cost := e.gain(slot, v) - e.gain(slot, u); cost < e.cost[u][v] && e.fits(v) {
				e.cost[u][v], e.via[u][v] = cost, slot
			}
		}
	}
}

// cancel applies one cycle of negative cost, and reports whether there was
// one.
func (e *exchanges) cancel() bool {
	e.weigh()
	from, last := e.cheapest()
	if last < 0 {
		return false
	}
	type give struct{ slot, to int }
	var gives []give
	for v := last; ; {
		u := from[v]
		if u != e.slack && v != e.slack {
			gives = append(gives, give{e.via[u][v], v})
		}
		if v = u; v == last {
			break
		}
	}
	for _, g := range gives {
		e.put(g.slot, g.to)
	}
	return true
}

// cheapest relaxes all edges until nothing changes (Bellman and Ford). If that
// has no end, it returns each node's predecessor and a node on a cycle of
// negative cost, else a negative number.
func (e *exchanges) cheapest() (from []int, last int) {
	dist := make([]int, e.slack+1)
	from = make([]int, e.slack+1)
	for range e.slack + 1 {
		last = -1
		for u := range dist {
			for v := range dist {
				// Among equal costs the fewest edges count.
				if c := dist[u] + e.cost[u][v]*1000 + 1; e.cost[u][v] != noEdge && c < dist[v] {
					dist[v], from[v], last = c, u, v
				}
			}
		}
		if last < 0 {
			return nil, last
		}
	}
	for range dist {
		last = from[last]
	}
	return from, last
}
