package antientropy

import (
	"slices"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

func key(s string) kv.Key { return kv.AppendKey(nil, "b", []byte(s)) }

func (n *node) place(k kv.Key) kv.Partition { return n.ring.PartitionOf(k) }

// put writes at one node alone, and returns the object that it would send. A
// value of "" is a delete. ctx is an object that the client had read.
func (n *node) put(k, value string, ctx object.Object) object.Object {
	n.t.Helper()
	w := object.Write{Now: kv.TimeOf(n.now), Value: []byte(value), Context: object.ContextOf(ctx)}
	if value == "" {
		w.Value, w.Deleted = nil, true
	}
	o, _, _, err := n.store.Put(kv.LevelOf(n.ring.Epoch()), n.place(key(k)), key(k), w, nil, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return o
}

// merge has a node merge an object that another one sent, without a floor.
func (n *node) merge(k string, o object.Object) { n.mergeUnder(k, o, nil) }

func (n *node) mergeUnder(k string, o object.Object, f vclock.Floor) {
	n.t.Helper()
	if err := n.store.Merge(n.place(key(k)), key(k), o, f, nil); err != nil {
		n.t.Fatal(err)
	}
}

// get returns what a node holds.
func (n *node) get(k string) object.Object {
	n.t.Helper()
	o, _, err := n.store.Read(n.place(key(k)), key(k), nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return o
}

// values returns the live values that a node holds of k.
func (n *node) values(k string) string {
	var out []string
	for s := n.get(k).Siblings(); s.Next(); {
		if !s.Deleted {
			out = append(out, string(s.Value))
		}
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

// hint writes at one node, on a hint for owner.
func (n *node) hint(owner kv.NodeID, k, value string) object.Object {
	n.t.Helper()
	w := object.Write{Now: kv.TimeOf(n.now), Value: []byte(value)}
	o, _, _, err := n.store.PutHint(kv.LevelOf(n.ring.Epoch()), owner, n.place(key(k)), key(k), w, nil, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return o
}

// keep has a node merge an object that another one sent into a hint for owner.
func (n *node) keep(owner kv.NodeID, k string, o object.Object) {
	n.t.Helper()
	if err := n.store.MergeHint(owner, n.place(key(k)), key(k), o, nil); err != nil {
		n.t.Fatal(err)
	}
}

// handOver delivers the hints of all nodes that are up: each to the owner that it
// names, or to a present one, durably; then it is deleted.
func (c *cluster) handOver() {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.down {
			continue
		}
		for _, o := range n.store.Hints() {
			for _, p := range n.store.HintPartitions(o.Owner) {
				n.handOverTo(o.Owner, p)
			}
		}
	}
}

func (n *node) handOverTo(owner kv.NodeID, p kv.Partition) {
	n.t.Helper()
	to := owner
	if !n.ring.Owns(p, owner) {
		to = n.ring.Owners(p)[0]
	}
	page, _, err := n.store.HintPage(owner, p, nil, 1000, 1<<20)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, h := range page {
		if err := n.node(to).store.Merge(p, h.Key, h.Object, nil, durable{}); err != nil {
			n.t.Fatal(err)
		}
		if _, err := n.store.DeleteHint(owner, p, h.Key, h.Version); err != nil {
			n.t.Fatal(err)
		}
	}
}

// durable waits for what is durable at once.
type durable struct{}

func (durable) Durable(error) {}

// lead has a node begin a sweep.
func (n *node) lead() {
	n.keeper.post(func() { n.keeper.leader.begin(n.ring, n.Members(), n.now) })
	n.work()
}

// until runs a sweep until a message of a step is under way, and no others.
func (c *cluster) until(s step) {
	c.t.Helper()
	c.hold = func(m *message) bool { return !m.answer && m.typ == wire.TypeSweep && step(m.payload[0]) == s }
	c.live(4 * time.Second)
	c.hold = nil
	if len(c.pending) == 0 {
		c.t.Fatalf("no round came to step %v", s)
	}
}

// finish lets everything come to its end: rounds, hints, exchanges, reaping.
func (c *cluster) finish() {
	c.t.Helper()
	c.live(2 * time.Minute)
	c.handOver()
	c.exchange()
	c.handOver()
	c.exchange()
}

// move gives the partitions to other owners.
func (c *cluster) move(e uint64, ids ...kv.NodeID) {
	r := testRing(c.t, e, c.nodes[0].ring.Params().Q, ids...)
	for _, n := range c.nodes {
		n.ring = r
	}
}

func (n *node) floor() vclock.Floor {
	f, _ := n.store.Floor(0)
	return f
}

// want checks the live values of k at some nodes.
func (c *cluster) want(k, value string, ids ...kv.NodeID) {
	c.t.Helper()
	for _, id := range ids {
		if got := c.node(id).values(k); got != value {
			c.t.Errorf("node %d has %q of %s, want %q", id, got, k, value)
		}
	}
}

// equal checks that all owners have equal trees.
func (c *cluster) equal() {
	c.t.Helper()
	for p := range c.nodes[0].ring.Params().Q {
		var first uint64
		for i, id := range c.nodes[0].ring.Owners(kv.Partition(p)) {
			_, root, _ := c.node(id).store.Tree(kv.Partition(p))
			if i == 0 {
				first = root
			} else if root != first {
				c.t.Errorf("partition %d: node %v has another root", p, id)
			}
		}
	}
}
