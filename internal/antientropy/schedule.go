package antientropy

import (
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// peer is what the Keeper knows of another node.
type peer struct {
	id kv.NodeID
	// x is the exchange with it under way, nil for none; next is its next
	// request while that waits for the rate.
	x    *exchange
	next []byte
	// due is when its turn in the cycle comes; asked tells that it was asked for,
	// so that this node conducts the exchange whichever has the lower id.
	due   time.Time
	asked bool
	// rest is until when exchanges for a purpose are not tried again.
	rest [forCycle + 1]time.Time
	// fills is what it is as a source.
	fills peerFills

	status PeerStatus
}

func (k *Keeper) peer(id kv.NodeID) *peer {
	p := k.peers[id]
	if p == nil {
		p = &peer{id: id, status: PeerStatus{Peer: id}}
		k.peers[id] = p
	}
	return p
}

// hurry has the peer's turn come now.
func (p *peer) hurry(now time.Time) {
	p.due = now
	clear(p.rest[:])
}

// lookOver finds out what is to be done, and forgets nodes that are gone.
func (k *Keeper) lookOver(c *ring.Current, now time.Time) {
	others := k.others(c)
	for id, p := range k.peers {
		if _, found := slices.BinarySearch(others, id); !found && p.x == nil {
			delete(k.peers, id)
		}
	}
	k.refill.update(k, c, now)
	k.leftovers.update(k, c)
	k.mover.lookOver(c, now)
}

// others returns, ascending, the nodes but this one that the ring has, or is to
// have; none without a ring.
func (k *Keeper) others(c *ring.Current) []kv.NodeID {
	if c == nil {
		return nil
	}
	if k.known.of != c {
		k.known.of, k.known.ids = c, nil
		for _, r := range []*ring.Ring{c.Ring, c.Latest()} {
			for _, n := range r.Nodes() {
				if i, found := slices.BinarySearch(k.known.ids, n.ID); !found && n.ID != k.Self {
					k.known.ids = slices.Insert(k.known.ids, i, n.ID)
				}
			}
		}
	}
	return k.known.ids
}

// proceed sends what waited for the rate, and begins exchanges, with the nodes
// after the last one that had its turn first.
func (k *Keeper) proceed(c *ring.Current, now time.Time) {
	nodes := k.others(c)
	running := 0
	for _, id := range nodes {
		if p := k.peers[id]; p != nil && p.x != nil {
			running++
			k.send(p)
		}
	}
	after, _ := slices.BinarySearch(nodes, k.turn+1)
	for i := range nodes {
		if running >= k.cfg.Sessions {
			return
		}
		id := nodes[(after+i)%len(nodes)]
		if !k.Peers.Up(id) {
			continue
		}
		p := k.peer(id)
		if j, ok := k.wanted(c, p, now); ok {
			k.turn = id
			running++
			p.x = newExchange(&k.local, j, now)
			k.advance(p, p.x.start())
		}
	}
}

// wanted returns the most urgent exchange with a peer that has none.
func (k *Keeper) wanted(c *ring.Current, p *peer, now time.Time) (job, bool) {
	for why := forSweep; why <= forCycle && p.x == nil; why++ {
		if now.Before(p.rest[why]) {
			continue
		}
		j := job{purpose: why, peer: p.id}
		switch why {
		case forSweep:
			j.leg = k.member.wanted(p.id)
			j.parts = j.leg.todo()
		case forRefill:
			j.parts = k.refill.wanted(k, c, p.id, now)
		case forFill:
			j.parts, j.levels = k.mover.wanted(p, now)
		case forLeftover:
			j.parts = k.leftovers.wanted(k, c, p.id)
		case forCycle:
			if now.Before(p.due) || p.id < k.Self && !p.asked {
				return job{}, false
			}
			if len(k.shared(c, p.id)) == 0 {
				p.due = now.Add(k.cfg.Retry)
				return job{}, false
			}
			return j, true
		}
		if len(j.parts) > 0 {
			return j, true
		}
	}
	return job{}, false
}

// advance sends an exchange's next request, or ends it if there is none.
func (k *Keeper) advance(p *peer, next []byte) {
	if next == nil {
		k.finish(p)
		return
	}
	p.next = next
	k.send(p)
}

// send sends the next request, unless the rate has it wait.
func (k *Keeper) send(p *peer) {
	now := k.Now()
	if p.next == nil || !k.ready(p.x, now) {
		return
	}
	x, b := p.x, p.next
	p.next = nil
	k.take(x, now, len(b))
	k.call(p.id, wire.TypeExchange, b, func(answer []byte, err error) {
		if err == nil {
			k.paceOf(x).governor.Note(k.Now(), loadIn(answer))
		}
		k.take(x, k.Now(), len(answer))
		if err != nil {
			x.err = err
			if kv.KindOf(err) == kv.KindStaleRing {
				k.Cluster.Refresh(p.id)
			}
			k.finish(p)
			return
		}
		if x.purpose == forFill && x.pending == kindKeys {
			k.mover.tally.objects += uint64(len(answer))
		}
		next := x.step(answer)
		if x.purpose == forFill {
			k.mover.sized(x)
		}
		k.advance(p, next)
	})
}

// ready tells whether the rate allows an exchange's next request.
func (k *Keeper) ready(x *exchange, now time.Time) bool {
	return k.paceOf(x).Ready(now)
}

// paceOf returns the pace of an exchange.
func (k *Keeper) paceOf(x *exchange) *yielding {
	if x.purpose == forFill {
		return &k.mover.pace
	}
	return &k.pace
}

// take counts n bytes of an exchange.
func (k *Keeper) take(x *exchange, now time.Time, n int) {
	x.tally.Bytes += n
	k.paceOf(x).take(now, n, k.load())
	if x.purpose == forFill {
		k.mover.received.Add(now, uint64(n))
		k.mover.totals.Received += uint64(n)
	}
}

// finish ends the exchange with a peer.
func (k *Keeper) finish(p *peer) {
	x, now := p.x, k.Now()
	p.x = nil
	k.total.add(x.tally)
	if x.err != nil || (x.purpose == forRefill || x.purpose == forLeftover) && len(x.outcome()) < len(x.copies) {
		p.rest[x.purpose] = now.Add(k.cfg.Retry)
	}
	if c := k.Cluster.Current(); x.purpose == forFill && kv.KindOf(x.err) == kv.KindStaleRing && c != nil && c.Progress != nil {
		p.rest[x.purpose] = now.Add(minPause) // it learns of the step any moment
	}
	if x.err != nil {
		p.status.failed(now, x.err)
	}
	switch x.purpose {
	case forSweep:
		k.member.exchanged(x)
	case forRefill:
		k.refill.exchanged(k, x)
	case forFill:
		k.mover.exchanged(p, x)
	case forLeftover:
		k.leftovers.exchanged(k, x)
	case forCycle:
		if x.err == nil {
			p.due, p.asked = x.began.Add(k.cfg.Every), false
			p.status.compared(now, x)
		}
	}
	k.goOn()
}

// goOn begins exchanges without waiting for the next Tick.
func (k *Keeper) goOn() {
	k.post(func() {
		if c := k.Cluster.Current(); c != nil {
			k.proceed(c, k.Now())
		}
	})
}
