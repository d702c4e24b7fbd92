package coordinator

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// gate is the lowest level of puts and of gets that a copy serves: what the
// stages of a step of the ring amount to.
type gate struct{ puts, gets kv.Level }

// gated is a node's store behind its gates.
type gated struct {
	*replica.Store
	node *node
}

func (l gated) Put(level kv.Level, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	if err := l.node.refuses(level, p, l.node.gates[p].puts); err != nil {
		return object.Object{}, buf, 0, err
	}
	return l.Store.Put(level, p, k, w, buf, durable)
}

func (l gated) ReadUnder(level kv.Level, p kv.Partition, k kv.Key, buf []byte) (object.Object, vclock.Floor, uint64, []byte, error) {
	if err := l.node.refuses(level, p, l.node.gates[p].gets); err != nil {
		return object.Object{}, nil, 0, buf, err
	}
	return l.Store.ReadUnder(level, p, k, buf)
}

// refuses tells why a request to p is not served: it was planned at a level below
// lowest, or, where that is guarded, at no higher one than this node knows while it
// is no owner.
func (n *node) refuses(level kv.Level, p kv.Partition, lowest kv.Level) error {
	v := n.Current().View(p)
	if level < lowest || n.guarded && level <= v.Level && !slices.Contains(v.Owners, n.id) {
		return kv.Errorf(kv.KindStaleRing, "serve", "partition %d is at level %v, the request at %v", p, max(v.Level, lowest), level)
	}
	return nil
}

// handle serves a request that came over the network.
func (n *node) handle(req wire.Request) {
	switch req.Type {
	case wire.TypeGet, wire.TypePut:
		n.coord.Handle(req)
		return
	case wire.TypeReplicaPut:
		if m, err := wire.ParseReplicaPut(req.Payload); err == nil && m.For == 0 {
			if err := n.refuses(req.Level, n.ring.PartitionOf(m.Key), n.gates[n.ring.PartitionOf(m.Key)].puts); err != nil {
				req.Reply.Fail(err)
				return
			}
		}
	case wire.TypeReplicaRead:
		if m, err := wire.ParseReplicaRead(req.Payload); err == nil && !m.Hints {
			if err := n.refuses(req.Level, n.ring.PartitionOf(m.Key), n.gates[n.ring.PartitionOf(m.Key)].gets); err != nil {
				req.Reply.Fail(err)
				return
			}
		}
	}
	n.store.Handle(req)
}

// Refresh implements Cluster: the answer comes by the network.
func (n *node) Refresh(from kv.NodeID) {
	n.refreshed++
	peer := n.peer(from)
	if peer != n {
		n.pending = append(n.pending, message{from: peer, to: n, run: func() { n.learn(peer) }})
	}
}

// learn has n know what peer knows of the ring.
func (n *node) learn(peer *node) {
	switch {
	case peer.ring == nil || n.ring.Epoch() > peer.ring.Epoch():
		return
	case n.ring.Epoch() < peer.ring.Epoch():
		n.ring, n.progress = peer.ring, nil
	}
	if peer.progress != nil && n.progress == nil {
		n.progress = ring.NewProgress(peer.progress.Transition)
	}
	if peer.progress != nil {
		if _, err := n.progress.Join(peer.progress.AppendTo(nil)); err != nil {
			n.t.Fatal(err)
		}
	}
	n.coord.Moved()
}

// change is a cluster in which the ring changes: node 5 gives its place among
// the owners of the key "a" to node 6, which is in no ring before. Nodes that are
// no owners stand in.
type change struct {
	*cluster
	*ring.Transition
	p kv.Partition
	// k is a key whose owners change, in one step.
	k string
	// stay are the owners that stay, and the others those that do not take part.
	stay, others []*node
	gone, gained *node
}

func newChange(t *testing.T, n int) *change {
	t.Helper()
	c := newCluster(t, n)
	from := c.nodes[0].ring
	c.nodes = append(c.nodes, c.newNode(kv.NodeID(n+1), from, DefaultForTest()))
	nodes := slices.Clone(from.Nodes())
	nodes[n-1].ID = kv.NodeID(n + 1)
	to, err := ring.Claim(from, from.Params(), 2, nodes)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := ring.NewTransition(from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.guarded = true
	ch := &change{cluster: c, Transition: tr, gone: c.nodes[n-1], gained: c.nodes[n]}
	for i := 0; ; i++ {
		ch.p = from.PartitionOf(testKey(t, ch.key(i)))
		if steps := tr.Steps(ch.p); len(steps) == 1 && slices.Contains(steps[0].Old, ch.gone.id) && slices.Contains(steps[0].New, ch.gained.id) {
			ch.k = ch.key(i)
			break
		}
	}
	s := &tr.Steps(ch.p)[0]
	for _, n := range c.nodes {
		switch {
		case n == ch.gone || n == ch.gained:
		case slices.Contains(s.Old, n.id):
			ch.stay = append(ch.stay, n)
		default:
			ch.others = append(ch.others, n)
		}
	}
	return ch
}

func (*change) key(i int) string { return fmt.Sprintf("a%d", i) }

// marks are the evidence for a phase.
func (c *change) marks(phase int) (m ring.Marks) {
	s := &c.Steps(c.p)[0]
	if phase >= 2 {
		for _, n := range c.stay[:s.Done] {
			m |= ring.MarkDone(s.Place(n.id))
		}
	}
	if phase >= 3 {
		for _, n := range c.stay[:s.Stage2] {
			m |= ring.MarkStage2(s.Place(n.id))
		}
	}
	return m
}

// know has nodes know a phase.
func (c *change) know(phase int, nodes ...*node) {
	for _, n := range nodes {
		if phase > 0 && n.progress == nil {
			n.progress = ring.NewProgress(c.Transition)
		}
		if phase > 0 {
			n.progress.Add(c.Index(c.p, 0), c.marks(phase))
		}
		n.coord.Moved()
	}
}

// seal has nodes refuse puts of the phase before the change, stage2 gets of the
// owners before it.
func (c *change) seal(nodes ...*node) {
	for _, n := range nodes {
		g := n.gates[c.p]
		g.puts = max(g.puts, c.Level(0, 1))
		n.gates[c.p] = g
	}
}

func (c *change) stage2(nodes ...*node) {
	c.seal(nodes...)
	for _, n := range nodes {
		g := n.gates[c.p]
		g.gets = max(g.gets, c.Level(0, 2))
		n.gates[c.p] = g
	}
}

// all returns every node, owners the owners that take part.
func (c *change) owners() []*node { return append(slices.Clone(c.stay), c.gone, c.gained) }

// only picks messages among nodes.
func only(nodes ...*node) func(message) bool {
	return func(m message) bool { return slices.Contains(nodes, m.from) && slices.Contains(nodes, m.to) }
}
