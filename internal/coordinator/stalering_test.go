package coordinator

import (
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// TestStaleRing: a replica that knows a newer ring refuses what is no longer
// its own, and a forwarding node asks for the newer state.
func TestStaleRing(t *testing.T) {
	c := newCluster(t, 3)
	old := c.nodes[0].ring
	c.nodes = append(c.nodes, c.newNode(4, old, Default()))
	newer, err := ring.Claim(nil, old.Params(), 2, []ring.Node{{ID: 2, Weight: 1}, {ID: 3, Weight: 1}, {ID: 4, Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	c.nodes[0].ring = newer
	// Node 4 still believes in the old ring, of which it is no part.
	for _, n := range c.nodes[1:3] {
		n.down = true
	}
	g := c.get(3, "a", kv.Defaults())
	c.run()
	want(t, g, "unavailable, applied no") // in the newer ring, two of whose nodes are down
	if c.nodes[3].refreshed == 0 {
		t.Error("node 4 did not ask for the newer ring")
	}
}

// TestForwardKeepsTheClientsOptions: what a put needs is decided by the ring of
// the node that coordinates it. Node 4 still believes in a ring of one owner.
func TestForwardKeepsTheClientsOptions(t *testing.T) {
	c := newCluster(t, 3)
	alone, err := ring.Claim(nil, c.nodes[0].ring.Params(), 1, []ring.Node{{ID: 1, Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	c.nodes = append(c.nodes, c.newNode(4, alone, Default()))
	c.nodes[1].down, c.nodes[2].down = true, true
	p, g := c.put(3, "a", "v", nil, kv.Defaults()), c.get(3, "a", kv.Defaults())
	c.run()
	want(t, p, "unavailable, applied no")
	want(t, g, "unavailable, applied no")
	c.idle()
}

// TestACoordinatorThatIsBehindServes: a forwarded request of a newer epoch is
// coordinated under an old ring, and replicas see to it that it counts.
func TestACoordinatorThatIsBehindServes(t *testing.T) {
	c := newCluster(t, 3)
	newer, err := ring.Claim(c.nodes[0].ring, c.nodes[0].ring.Params(), 2, []ring.Node{{ID: 1, Weight: 1}, {ID: 2, Weight: 1}, {ID: 3, Weight: 1}, {ID: 4, Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	c.nodes = append(c.nodes, c.newNode(4, newer, Default()))
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		if newer.Owns(newer.PartitionOf(testKey(t, key)), 4) {
			continue
		}
		p := c.put(3, key, "v", nil, kv.Defaults())
		c.run()
		want(t, p, "[]")
		if c.nodes[0].refreshed+c.nodes[1].refreshed+c.nodes[2].refreshed == 0 {
			t.Error("nobody asked for the newer ring")
		}
		return
	}
	t.Fatal("node 4 owns every key")
}

// TestAPutPlannedUnderAnOldRingIsPlannedAnew: the ring changes between a put's plan
// and its local write, which is refused.
func TestAPutPlannedUnderAnOldRingIsPlannedAnew(t *testing.T) {
	c := newCluster(t, 3)
	n := c.nodes[0]
	newer, err := ring.Claim(n.ring, n.ring.Params(), 2, n.ring.Nodes())
	if err != nil {
		t.Fatal(err)
	}
	n.coord.Local = lateRing{Local: n.store, change: func() { n.ring = newer }}
	p := c.put(0, "a", "v", nil, kv.Defaults())
	for _, m := range c.pending {
		if m.level != kv.LevelOf(2) {
			t.Errorf("it was sent at level %v", m.level)
		}
	}
	want(t, c.get(0, "a", opts(1, 1, 1)), "[v]")
	c.run()
	want(t, p, "[]")
	c.idle()
}

// lateRing changes the ring just before the first local write.
type lateRing struct {
	Local
	change func()
}

func (l lateRing) Put(level kv.Level, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	l.change()
	return l.Local.Put(level, p, k, w, buf, durable)
}
