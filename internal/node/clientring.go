package node

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// ringPage is what clients are told of the ring (§6.4), as it is sent. It is
// made again only when there is news, so that a poll costs a comparison.
type ringPage struct {
	// news counts what a page may differ by: the state, marks, peers up and down.
	news atomic.Uint64
	mu   struct {
		sync.Mutex
		of     uint64
		hash   uint64
		sealed []byte
	}
}

// changed tells that there is news.
func (p *ringPage) changed() { p.news.Add(1) }

// page returns the present page and its hash, made by build if there was news.
func (p *ringPage) page(build func() wire.RingInfo) ([]byte, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// What comes in from here on has the page made again next time.
	if news := p.news.Load(); p.mu.sealed == nil || p.mu.of != news {
		info := build()
		p.mu.of, p.mu.sealed = news, info.Seal()
		p.mu.hash = info.Hash
	}
	return p.mu.sealed, p.mu.hash
}

// tellRing serves wire.TypeRing.
func (n *Node) tellRing(req wire.Request) {
	q, err := wire.ParseRingQuery(req.Payload)
	cur := n.Current()
	if err == nil && cur == nil {
		err = kv.Errorf(kv.KindUnavailable, "tell the ring", "this node is not in a ring yet")
	}
	if err != nil {
		req.Reply.Fail(err)
		return
	}
	sealed, hash := n.clientRing.page(func() wire.RingInfo { return ringInfo(n.Current(), n.peerAddr, n.up) })
	if q.Known == hash {
		sealed = wire.SameRing(sealed)
	}
	req.Reply.Send(wire.Raw(sealed))
}

// peerAddr returns the address of a node's peer port, as it advertises it.
func (n *Node) peerAddr(id kv.NodeID) string {
	m, _ := n.service.State().Member(id)
	return m.Addrs.Peer
}

// ringInfo returns what cur means for clients.
func ringInfo(cur *ring.Current, addr func(kv.NodeID) string, up func(kv.NodeID) bool) wire.RingInfo {
	r := cur.Ring
	m := wire.RingInfo{
		Epoch: r.Epoch(), Partitioner: r.Params().Partitioner.String(), Partitions: r.Params().Q, Width: r.Replicas(),
	}
	places := map[kv.NodeID]uint16{}
	for _, id := range everybody(cur) {
		places[id] = uint16(len(m.Nodes))
		m.Nodes = append(m.Nodes, wire.RingNode{ID: id, Up: up(id), Peer: addr(id)})
	}
	m.Owners = make([]uint16, 0, m.Partitions*m.Width)
	for i := range m.Partitions {
		p := kv.Partition(i)
		for _, id := range r.Owners(p) {
			m.Owners = append(m.Owners, places[id])
		}
		if v := cur.View(p); v.Level != kv.LevelOf(r.Epoch()) {
			m.Moving = append(m.Moving, ringMove(p, &v, places))
		}
	}
	return m
}

// ringMove tells of a partition on its way to other owners.
func ringMove(p kv.Partition, v *ring.View, places map[kv.NodeID]uint16) wire.RingMove {
	m := wire.RingMove{Partition: p}
	for i, id := range v.Owners {
		m.Owners = append(m.Owners, places[id])
		if slices.Contains(v.Readers, id) {
			m.Readers |= 1 << i
		}
	}
	return m
}

// everybody returns who is in the ring, or is to be, ascending.
func everybody(cur *ring.Current) []kv.NodeID {
	var ids []kv.NodeID
	for _, r := range []*ring.Ring{cur.Ring, cur.Latest()} {
		for _, node := range r.Nodes() {
			ids = append(ids, node.ID)
		}
	}
	slices.SortFunc(ids, cmp.Compare)
	return slices.Compact(ids)
}
