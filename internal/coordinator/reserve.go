package coordinator

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/quorum"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// A get that needs R answers asks R owners, this node among them: the nearest. With
// little to do the node asks all, as the paper has it. The others are the get's
// reserve. They are asked one after the other's usual time, as a hedge, and all at
// once when anything is not as it should be: when one fails or refuses, when the
// copies differ, so that all are repaired, or when it takes much too long. While
// the ring changes, and after a get has started again, all are asked from the
// start; and of the others a share, so that read repair goes on for copies that
// are out of the way (docs/adr/0020-hedging.md).

// nearBy is by how much an owner's latency may be above twice that of the nearest
// one while it is asked as if it were no further away. Of those that are alike
// the order of the ring decides: it spreads reads evenly, and does not change with
// every sample.
const nearBy = 250 * time.Microsecond

// share tells whether request number number is among a share of all, evenly.
func share(number uint32, of float64) bool {
	const golden = 2654435769 // 2^32 / the golden ratio
	return float64(number*golden) < of*(1<<32)
}

// mayHold tells whether the get may do with few owners at first: if there are many
// of them, or the disks have to be read for it, as it seems where this node's had to.
func (o *get) mayHold(p *plan) bool {
	busy := p.fetched || o.c.waiting.Load() >= int64(o.c.cfg.ReadFewAt)
	return p.own && busy && p.view.New == nil && p.retries == 0 && p.carried == nil && !share(o.ticket, o.c.cfg.ReadAll)
}

// chooseNear picks those that are asked first, if they are not all. The caller
// holds mu.
func (o *get) chooseNear(need int, first *[maxSlots]int) bool {
	var order [maxSlots]int
	up := o.rank(&order)
	if o.own.err != nil || need > up || need == len(o.owners)-1 {
		return false
	}
	var tail time.Duration
	for i := range o.owners {
		first[i] = nobody
		o.at[i].reserve = i != o.self
	}
	o.reserve = len(o.owners) - 1
	for _, i := range order[:need] {
		o.draw(i)
		first[i] = i
		tail = max(tail, o.c.Peers.Tail(o.owners[i]))
	}
	o.asked = 1 + need
	o.hedgeIn(o.c.Now(), tail)
	return true
}

// rank fills order with the slots of the other owners that are up, the nearest
// first, and returns how many they are.
func (o *get) rank(order *[maxSlots]int) int {
	var far [maxSlots]time.Duration
	n, up, least := len(o.owners), 0, time.Duration(0)
	for k := 1; k < n; k++ {
		i := (o.self + k) % n
		if id := o.owners[i]; o.c.Peers.Up(id) {
			d := o.c.distance(id)
			if order[up], far[up] = i, d; up == 0 || d < least {
				least = d
			}
			up++
		}
	}
	for k := range up {
		d, i := far[k], order[k]
		if d <= 2*least+nearBy {
			d = least
		}
		at := k
		for ; at > 0 && far[at-1] > d; at-- {
			order[at], far[at] = order[at-1], far[at-1]
		}
		order[at], far[at] = i, d
	}
	return up
}

// nextInReserve returns the nearest owner in reserve that is up, or nobody. The
// caller holds mu.
func (o *get) nextInReserve() int {
	if o.reserve == 0 {
		return nobody
	}
	var order [maxSlots]int
	for _, i := range order[:o.rank(&order)] {
		if o.at[i].reserve {
			return i
		}
	}
	return nobody
}

// draw takes owner i out of the reserve, to be asked. The caller holds mu.
func (o *get) draw(i int) {
	o.at[i].reserve = false
	o.reserve--
	o.at[i].out++
	o.out++
}

// callUp asks all of the reserve, and stand-ins for those that are down. It
// returns whom: first is for sendAll. The caller holds mu.
func (o *get) callUp(first *[maxSlots]int) {
	now := o.c.Now()
	for i := range o.owners {
		if first[i] = nobody; o.at[i].reserve {
			o.at[i].reserve, o.at[i].asked = false, now
			first[i] = o.choose(i)
		}
	}
	if o.reserve = 0; !o.answered {
		o.asked = len(o.owners)
	}
}

// sendAll asks those of first.
func (o *get) sendAll(first *[maxSlots]int) {
	for i := range o.owners {
		if first[i] != nobody {
			o.send(i, first[i], newRead())
		}
	}
}

func newRead() *wire.ReplicaRead { return new(wire.ReplicaRead) }

// needed asks the reserve because of what was heard, if the answer is not given.
// The caller holds mu, and calls sendAll when it does not.
func (o *get) needed(first *[maxSlots]int) bool {
	if o.reserve == 0 || o.answered || o.tally.Outcome() != quorum.Pending {
		return false
	}
	o.callUp(first)
	return true
}

// compareAll asks the reserve after the answer, because the copies differ that
// were read: so that all are compared, and repaired, in one go. It tells whether
// answers are to come.
func (o *get) compareAll() bool {
	var first [maxSlots]int
	o.mu.Lock()
	if o.reserve == 0 || !o.differ || o.failed {
		o.mu.Unlock()
		return false
	}
	o.callUp(&first)
	more := o.out > 0
	o.mu.Unlock()
	o.sendAll(&first)
	return more
}
