package antientropy

import (
	"cmp"
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
func (k *Keeper) lookOver(r *ring.Ring, now time.Time) {
	for id, p := range k.peers {
		if !r.Contains(id) && p.x == nil {
			delete(k.peers, id)
		}
	}
	k.refill.update(k, r, now)
	k.leftovers.update(k, r)
}

// proceed sends what waited for the rate, and begins exchanges, with the nodes
// after the last one that had its turn first.
func (k *Keeper) proceed(r *ring.Ring, now time.Time) {
	nodes := r.Nodes()
	running := 0
	for _, n := range nodes {
		if p := k.peers[n.ID]; p != nil && p.x != nil {
			running++
			k.send(p)
		}
	}
	after, _ := slices.BinarySearchFunc(nodes, k.turn+1, func(n ring.Node, id kv.NodeID) int { return cmp.Compare(n.ID, id) })
	for i := range nodes {
		if running >= k.cfg.Sessions {
			return
		}
		id := nodes[(after+i)%len(nodes)].ID
		if id == k.Self || !k.Peers.Up(id) {
			continue
		}
		p := k.peer(id)
		if j, ok := k.wanted(r, p, now); ok {
			k.turn = id
			running++
			p.x = newExchange(&k.local, j, now)
			k.advance(p, p.x.start())
		}
	}
}

// wanted returns the most urgent exchange with a peer that has none.
func (k *Keeper) wanted(r *ring.Ring, p *peer, now time.Time) (job, bool) {
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
			j.parts = k.refill.wanted(k, r, p.id)
		case forLeftover:
			j.parts = k.leftovers.wanted(k, r, p.id)
		case forCycle:
			if now.Before(p.due) || p.id < k.Self && !p.asked || len(k.shared(r, p.id)) == 0 {
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
	if p.next == nil || !k.pace.ready(now) {
		return
	}
	x, b := p.x, p.next
	p.next = nil
	k.pace.take(now, len(b))
	x.tally.Bytes += len(b)
	k.call(p.id, wire.TypeExchange, b, func(answer []byte, err error) {
		k.pace.take(k.Now(), len(answer))
		x.tally.Bytes += len(answer)
		if err != nil {
			x.err = err
			if kv.KindOf(err) == kv.KindStaleRing {
				k.Cluster.Refresh(p.id)
			}
			k.finish(p)
			return
		}
		k.advance(p, x.step(answer))
	})
}

// finish ends the exchange with a peer.
func (k *Keeper) finish(p *peer) {
	x, now := p.x, k.Now()
	p.x = nil
	k.total.add(x.tally)
	if x.err != nil {
		p.rest[x.purpose] = now.Add(k.cfg.Retry)
		p.status.failed(now, x.err)
	}
	switch x.purpose {
	case forSweep:
		k.member.exchanged(x)
	case forRefill:
		k.refill.exchanged(k, x)
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
		if r := k.Cluster.Ring(); r != nil {
			k.proceed(r, k.Now())
		}
	})
}
