package sim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	"github.com/ringtaildb/ringtail/internal/antientropy"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// gossipEvery is how often a node compares its ring with another's.
const gossipEvery = 700 * time.Millisecond

// gossip takes over the ring of a node drawn at random, if that is newer.
func (n *node) gossip() {
	w := n.world
	if len(w.rings) == 1 {
		return
	}
	m := w.machines[n.rng.IntN(len(w.machines))]
	n.learn(m)
}

// Refresh implements coordinator.Cluster.
func (n *node) Refresh(from kv.NodeID) {
	w := n.world
	n.after(2*w.Links.Delay+upTo(n.rng, 2*w.Links.Jitter), func() { n.learn(w.ids[from]) })
}

// learn takes over a machine's ring if it can be asked and its ring is newer.
func (n *node) learn(m *machine) {
	w := n.world
	if m != n.machine && m.node != nil && !m.node.paused && w.open(n.machine, m) && w.open(m, n.machine) {
		n.adopt(m.node.ring)
	}
}

// adopt takes over a ring, durably, if it is newer.
func (n *node) adopt(r *ring.Ring) {
	if r.Epoch() <= n.ring.Epoch() {
		return
	}
	n.ring, n.disk.files.ring = r, r
	n.world.say(nil, "%v learns of epoch %d", n.machine, r.Epoch())
	for _, member := range r.Nodes() {
		n.connTo(member.ID)
	}
	n.coord.Moved()
}

// claim makes the ring of the next epoch, in which these are the members, and
// tells one of them.
func (w *World) claim(nodes []ring.Node) {
	var prev *ring.Ring
	next := uint64(1)
	if len(w.rings) > 0 {
		prev = w.ring()
		next = prev.Epoch() + 1
	}
	params := ring.Params{N: w.N, R: w.R, W: w.W, Q: w.Partitions}
	r, err := ring.Claim(prev, params, next, nodes)
	if err != nil {
		panic(err)
	}
	w.rings = append(w.rings, r)
	w.changed = w.now
}

// succeed gives the place of one node to another.
func (w *World) succeed(old, id kv.NodeID) {
	nodes := slices.Clone(w.ring().Nodes())
	for i := range nodes {
		if nodes[i].ID == old {
			nodes[i].ID = id
		}
	}
	w.claim(nodes)
	w.removed = append(w.removed, removal{old, w.ring().Epoch()})
}

// reweigh draws other weights for the nodes, so that partitions move, and tells
// one of them.
func (w *World) reweigh(rng *rand.Rand) {
	nodes := slices.Clone(w.ring().Nodes())
	for i := range nodes {
		nodes[i].Weight = uint32(1 + rng.IntN(3))
	}
	w.claim(nodes)
	w.fault("epoch %d of the ring moves partitions", w.ring().Epoch())
	at := rng.IntN(len(w.machines))
	for i := range w.machines {
		if m := w.machines[(at+i)%len(w.machines)]; m.node != nil {
			m.node.adopt(w.ring())
			return
		}
	}
}

// moveStep moves partitions: drawn at random, or so that two machines change
// places in the ring, of which all nodes that run learn at once.
func moveStep(w *World, st Step) error {
	if len(st.Args) == 0 {
		w.reweigh(w.random("steps"))
		return nil
	}
	if len(st.Args) != 2 {
		return fmt.Errorf("%s takes two machines, or none", st.Verb)
	}
	a, err := w.machine(st.Args[0])
	if err != nil {
		return err
	}
	b, err := w.machine(st.Args[1])
	if err != nil {
		return err
	}
	if err := w.swap(a.id(), b.id()); err != nil {
		return err
	}
	w.fault("in epoch %d of the ring %v and %v change places", w.ring().Epoch(), a, b)
	for _, m := range w.machines {
		if m.node != nil && !m.node.paused {
			m.node.adopt(w.ring())
		}
	}
	return nil
}

// swap makes a ring in which two nodes own what the other one did.
func (w *World) swap(a, b kv.NodeID) error {
	nodes := w.ring().Nodes()
	place := func(id kv.NodeID) uint16 {
		return uint16(slices.IndexFunc(nodes, func(n ring.Node) bool { return n.ID == id }))
	}
	code := w.ring().AppendTo(nil)
	const epochAt = 6 // in package ring's encoding
	binary.BigEndian.PutUint64(code[epochAt:], w.ring().Epoch()+1)
	// It ends with the owners, by their places among the nodes.
	for at := len(code) - 2*w.Partitions*w.ring().Replicas(); at < len(code); at += 2 {
		switch binary.BigEndian.Uint16(code[at:]) {
		case place(a):
			binary.BigEndian.PutUint16(code[at:], place(b))
		case place(b):
			binary.BigEndian.PutUint16(code[at:], place(a))
		}
	}
	r, err := ring.Parse(code)
	if err != nil {
		return err
	}
	w.rings = append(w.rings, r)
	return nil
}

// removal is a node that is dead for good, since an epoch.
type removal struct {
	id    kv.NodeID
	epoch uint64
}

// Members implements antientropy.Cluster: as far as n knows.
func (n *node) Members() []antientropy.Member {
	var out []antientropy.Member
	for _, m := range n.ring.Nodes() {
		out = append(out, antientropy.Member{ID: m.ID})
	}
	return out
}

// Removed implements antientropy.Cluster.
func (n *node) Removed() []kv.NodeID {
	var out []kv.NodeID
	for _, r := range n.world.removed {
		if r.epoch <= n.ring.Epoch() {
			out = append(out, r.id)
		}
	}
	slices.Sort(out)
	return out
}

// members returns the ids of the nodes that are not removed, ascending.
func (w *World) members() []kv.NodeID {
	var ids []kv.NodeID
	for _, m := range w.machines {
		ids = append(ids, m.id())
	}
	sort.Slice(ids, func(i, j int) bool { return ids[i] < ids[j] })
	return ids
}

// Skew implements coordinator.Cluster: how far the node's clock is ahead of the
// median of the others'.
func (n *node) Skew() time.Duration {
	var others []time.Duration
	for _, m := range n.world.machines {
		if m != n.machine {
			others = append(others, m.offset)
		}
	}
	slices.Sort(others)
	return n.offset - others[len(others)/2]
}
