package client

import (
	"errors"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/transport"
)

// pool is the connections that stand, by the nodes that they lead to. Its links
// add and remove them. Safe for concurrent use; its zero value is empty.
//
// Invariant: all of live belong to the one cluster mu.cluster.
type pool struct {
	live atomic.Pointer[[]*lane] // never changed in place
	next atomic.Uint32
	mu   struct {
		sync.Mutex
		cluster kv.ClusterID
		members map[kv.NodeID]*member
		// away is what a request gets while no connection stands.
		away error
	}
}

var errClosed = errors.New("the client was closed")

// lanes returns the connections that stand: shared, read-only.
func (p *pool) lanes() []*lane {
	if live := p.live.Load(); live != nil {
		return *live
	}
	return nil
}

// any returns the connection whose turn it is, of a node that was not tried and
// answers about as fast as the fastest does; else one that was not. When the turn
// says that it is time to explore, slow is the one whose turn it is if its node is
// not as fast.
func (p *pool) any(tried *tried, turn uint32) (l, slow *lane) {
	live := p.lanes()
	if len(live) == 0 {
		return nil, nil
	}
	limit := near(fastest(live, tried))
	next := int(p.next.Add(1) % uint32(len(live)))
	var worse *lane
	for i := range live {
		l := live[(next+i)%len(live)]
		switch {
		case l.Err() != nil || tried.has(l): // lost, and about to be removed
		case !l.lively() || tried.hasMember(l.member):
			if worse == nil {
				worse = l
			}
		case l.member.pace() <= limit:
			return l, slow
		case slow == nil && i == 0 && turn%exploreEvery == 0:
			slow = l
		}
	}
	return worse, slow
}

// fastest returns the least mean of those that can be asked.
func fastest(live []*lane, tried *tried) int64 {
	least := int64(math.MaxInt64)
	for _, l := range live {
		if l.lively() && !tried.hasMember(l.member) {
			least = min(least, l.member.pace())
		}
	}
	return least
}

// add offers c to requests, unless it leads to another cluster than the first
// one did.
func (p *pool) add(c *transport.Conn) (*lane, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.cluster == 0 {
		p.mu.cluster = c.Peer().Cluster
	}
	if id := c.Peer().Cluster; id != p.mu.cluster {
		return nil, kv.Errorf(kv.KindWrongCluster, "connect", "the node belongs to cluster %v, the others to %v", id, p.mu.cluster)
	}
	m := p.member(c.Peer().Node)
	l := &lane{Conn: c, member: m}
	if lanes := m.lanes.Load(); lanes == nil || len(*lanes) == 0 {
		// It may have changed while it was away.
		m.mean.Store(0)
		m.gets.Reset()
		m.shunned.Store(0)
	}
	change(&m.lanes, func(lanes []*lane) []*lane { return append(lanes, l) })
	change(&p.live, func(lanes []*lane) []*lane { return append(lanes, l) })
	return l, nil
}

// remove takes l back.
func (p *pool) remove(l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	without := func(lanes []*lane) []*lane {
		return slices.DeleteFunc(lanes, func(o *lane) bool { return o == l })
	}
	change(&p.live, without)
	change(&l.member.lanes, without)
	p.prune(l.member)
}

// change has f work on a copy of a list. The caller holds the pool's lock.
func change(list *atomic.Pointer[[]*lane], f func([]*lane) []*lane) {
	var lanes []*lane
	if old := list.Load(); old != nil {
		lanes = slices.Clone(*old)
	}
	lanes = f(lanes)
	list.Store(&lanes)
}

// list returns the members with those ids, in their order: those of the ring.
func (p *pool) list(ids []kv.NodeID) []*member {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.mu.members {
		m.listed = false
	}
	out := make([]*member, len(ids))
	for i, id := range ids {
		out[i] = p.member(id)
		out[i].listed = true
	}
	for _, m := range p.mu.members {
		p.prune(m)
	}
	return out
}

// member returns the member with that id. The caller holds the lock.
func (p *pool) member(id kv.NodeID) *member {
	m := p.mu.members[id]
	if m == nil {
		if p.mu.members == nil {
			p.mu.members = map[kv.NodeID]*member{}
		}
		m = &member{id: id}
		p.mu.members[id] = m
	}
	return m
}

// prune forgets m if it is of no use. The caller holds the lock.
func (p *pool) prune(m *member) {
	if lanes := m.lanes.Load(); !m.listed && (lanes == nil || len(*lanes) == 0) {
		delete(p.mu.members, m.id)
	}
}

// trouble notes why a link has no connection.
func (p *pool) trouble(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if kv.KindOf(p.mu.away) != kv.KindClosed {
		p.mu.away = &kv.Error{Op: "choose a node", Kind: kv.KindUnavailable, Err: err}
	}
}

// close has requests fail with KindClosed once the links have ended.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.away = &kv.Error{Op: "choose a node", Kind: kv.KindClosed, Err: errClosed}
}

// away returns why no connection stands.
func (p *pool) away() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.away == nil {
		return kv.Errorf(kv.KindUnavailable, "choose a node", "no node is connected")
	}
	return p.mu.away
}

// cluster returns the cluster that the client talks to, 0 before it is known.
func (p *pool) cluster() kv.ClusterID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.cluster
}
