package handoff

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// TestRingChangesBeforeThePageIsRead: a session does not send what is not its
// node's by now, or what is the owner's again.
func TestRingChangesBeforeThePageIsRead(t *testing.T) {
	without2, with2 := claim(t, 1, 1, 3, 4, 5), claim(t, 2, 1, 2, 3, 4, 5)
	for _, change := range []struct{ first, then *ring.Ring }{{with2, without2}, {without2, with2}} {
		c, standIn, _, _ := away(t, 0, Default())
		c.ring = with2
		all := standIn.fill(2, 30, "value")
		c.ring = change.first
		c.comeUp(2)
		c.pass(50 * time.Millisecond) // the sessions begin
		c.ring = change.then
		c.run()
		c.settle(time.Second)
		for _, s := range c.sent {
			if (s.to == 2) != (change.then == with2) {
				t.Errorf("something was sent to node %v", s.to)
			}
		}
		for _, w := range all {
			held := false
			for _, id := range c.ring.Owners(c.ring.PartitionOf(w.k)) {
				held = held || c.node(id).has(w.k, w.o)
			}
			if !held {
				t.Errorf("%v is at no owner", w.k)
			}
		}
	}
}

// left returns a stand-in with a hint for node 2, which is then no member any
// more; whether the stand-in is an owner by then is the caller's choice.
func left(t *testing.T, owns bool) (c *cluster, standIn *node, owners []kv.NodeID, w written) {
	t.Helper()
	c, standIn, _, _ = away(t, 0, Default())
	next := claim(t, 2, 1, 3, 4, 5)
	var k kv.Key
	for i := 0; k == nil || next.Owns(next.PartitionOf(k), 1) != owns; i++ {
		k = c.keyOf(i, []kv.NodeID{2}, []kv.NodeID{1})
	}
	w = written{k, standIn.hint(2, k, "value")}
	c.ring = next
	return c, standIn, next.Owners(next.PartitionOf(k)), w
}

// TestOwnerLeft: a hint for a node that is no member any more is kept for every
// present owner, and waits for each. It may be one of the two copies that were
// acknowledged, and the first owner to get it may hold the other: when it was
// deleted then, that owner's disk took the write with it.
func TestOwnerLeft(t *testing.T) {
	c, standIn, owners, w := left(t, false)
	for _, id := range owners[1:] {
		c.goDown(id)
	}
	for range 100 {
		c.pass(50 * time.Millisecond)
		c.run()
	}
	if !c.node(owners[0]).has(w.k, w.o) || c.hints() != len(owners)-1 || len(c.sent) != 1 {
		t.Errorf("with one owner up %d hints are left, %d messages were sent", c.hints(), len(c.sent))
	}
	first := c.node(owners[0])
	first.engine = newMemory(t)
	first.start() // all that it held is gone
	for _, id := range owners[1:] {
		c.comeUp(id)
	}
	c.settle(time.Second)
	for _, id := range owners[1:] {
		if !c.node(id).has(w.k, w.o) {
			t.Errorf("node %v lacks it", id)
		}
	}
	if got := standIn.sender.Totals().Delivered; got != uint64(len(owners)) {
		t.Errorf("%d deliveries are counted", got)
	}
	c.rested()
}

// TestOwnerLeftStandInCrashes: before a hint for a former owner is deleted, those
// that it became are on stable storage.
func TestOwnerLeftStandInCrashes(t *testing.T) {
	c, standIn, owners, w := left(t, false)
	for _, id := range owners {
		c.goDown(id)
	}
	standIn.slow.slow = true
	c.pass(time.Second)
	c.run()
	if c.hints() != 1+len(owners) {
		t.Errorf("%d hints are there before they are durable", c.hints())
	}
	standIn.slow.sync()
	c.run()
	if p := c.ring.PartitionOf(w.k); c.hints() != len(owners) || len(standIn.store.HintPartitions(2)) != 0 || !standIn.store.HoldsHints(p) {
		t.Errorf("%d hints are left", c.hints())
	}
	c.rested()
}

// TestOwnerLeftAndReturns: a hint that was read while its owner was none is not
// taken for one that was addressed to others when the owner is one again.
func TestOwnerLeftAndReturns(t *testing.T) {
	c, standIn, _, w := left(t, false)
	back := claim(t, 1, 1, 2, 3, 4, 5)
	standIn.onPage = func(kv.Partition) error { c.ring = back; return nil }
	c.pass(50 * time.Millisecond)
	c.run()
	standIn.onPage = nil
	if !back.Owns(back.PartitionOf(w.k), 2) || len(standIn.store.HintPartitions(2)) != 1 {
		t.Fatal("the hint for the owner is gone")
	}
	c.comeUp(2)
	c.settle(time.Minute)
	if !c.node(2).has(w.k, w.o) {
		t.Error("the owner lacks it")
	}
	c.rested()
}

// TestFullOwner: one of the present owners that refuses does not keep the others
// from getting theirs.
func TestFullOwner(t *testing.T) {
	c, standIn, _, _ := away(t, 0, Default())
	all := standIn.fill(2, 50, "value")
	c.ring = claim(t, 2, 1, 3, 4, 5)
	full := c.node(3)
	full.slow.fail = kv.Errorf(kv.KindDiskFull, "apply batch", "no space")
	for range 100 {
		c.pass(50 * time.Millisecond)
		c.run()
	}
	lack := func() (n int) {
		for _, w := range all {
			for _, id := range c.ring.Owners(c.ring.PartitionOf(w.k)) {
				if id != 3 && !c.node(id).has(w.k, w.o) {
					n++
				}
			}
		}
		return n
	}
	if n := lack(); n != 0 {
		t.Errorf("other owners lack %d", n)
	}
	full.slow.fail = nil
	c.settle(time.Minute)
	if n := full.lacks(all); n != 0 && lack() != 0 {
		t.Errorf("the owner lacks %d", n)
	}
	c.rested()
}

// TestOwnHints: a hint for this node itself, or for a node whose partition is
// this node's now, is merged into its own copy, durably, and then deleted.
func TestOwnHints(t *testing.T) {
	c := newCluster(t, 5, Default())
	n := c.node(1)
	own := c.keyOf(0, []kv.NodeID{1}, nil)
	named := n.hint(1, own, "for itself")
	next := claim(t, 2, 1, 3, 4, 5)
	var taken kv.Key
	for i := 0; taken == nil || !next.Owns(next.PartitionOf(taken), 1); i++ {
		taken = c.keyOf(i, []kv.NodeID{2}, []kv.NodeID{1})
	}
	inherited := n.hint(2, taken, "for one that left")
	c.ring = next
	owners := next.Owners(next.PartitionOf(taken))
	n.slow.slow = true
	c.pass(time.Second)
	c.run()
	if others := len(owners) - 1; c.hints() != 2+others || !n.has(own, named) || !n.has(taken, inherited) {
		t.Errorf("before it is durable %d hints are left", c.hints())
	}
	n.slow.sync()
	n.slow.slow = false
	c.settle(time.Second)
	for _, id := range owners {
		if !c.node(id).has(taken, inherited) {
			t.Errorf("node %v lacks it", id)
		}
	}
	c.rested()
}

// TestHintWhoseOwnerStays: a hint for an owner that still is one goes to it,
// though this node has become an owner as well.
func TestHintWhoseOwnerStays(t *testing.T) {
	c, standIn, owner, _ := away(t, 0, Default())
	next := claim(t, 2, 1, 2, 3)
	k := c.keyOf(0, []kv.NodeID{2}, []kv.NodeID{1})
	o := standIn.hint(2, k, "value")
	c.ring = next
	c.pass(time.Second)
	c.run()
	if c.hints() != 1 || standIn.has(k, o) {
		t.Error("it did not wait for its owner")
	}
	c.comeUp(2)
	c.settle(time.Second)
	if !owner.has(k, o) {
		t.Error("the owner lacks it")
	}
}

// TestOwnerKnowsANewerRing: it refuses what is not its own any more, and the
// sender learns.
func TestOwnerKnowsANewerRing(t *testing.T) {
	c, standIn, owner, all := away(t, 1, Default())
	owner.ring = claim(t, 2, 1, 3, 4, 5)
	c.comeUp(2)
	c.pass(50 * time.Millisecond)
	c.run()
	if c.hints() != 1 || owner.lacks(all) != 1 || len(standIn.refreshed) != 1 || standIn.refreshed[0] != 2 {
		t.Errorf("%d hints are left, refreshed %v", c.hints(), standIn.refreshed)
	}
	c.ring = owner.ring // the news has spread
	c.settle(time.Second)
}

// TestOwnerIsBehind: an owner that does not know yet that it is one takes the
// hint, and learns.
func TestOwnerIsBehind(t *testing.T) {
	c, standIn, _, _ := away(t, 0, Default())
	behind := c.node(3)
	behind.ring = claim(t, 1, 1, 2, 4, 5)
	c.ring = claim(t, 2, 1, 2, 3, 4, 5)
	k := c.keyOf(0, []kv.NodeID{3}, []kv.NodeID{1})
	o := standIn.hint(3, k, "value")
	c.settle(time.Second)
	if !behind.has(k, o) || len(behind.refreshed) != 1 || behind.refreshed[0] != 1 {
		t.Errorf("refreshed %v", behind.refreshed)
	}
}

// TestNoRing: nothing is sent, and nothing taken.
func TestNoRing(t *testing.T) {
	c, _, _, all := away(t, 1, Default())
	c.comeUp(2)
	r := c.ring
	c.ring = nil
	c.pass(time.Second)
	c.run()
	if len(c.sent) != 0 {
		t.Error("it was sent without a ring")
	}
	c.ring = r
	c.pass(time.Second)
	c.runTo("handoff")
	c.ring = nil
	c.runTo("refusal")
	c.ring = r
	if c.node(2).has(all[0].k, all[0].o) {
		t.Error("it was taken without a ring")
	}
	c.settle(time.Minute)
}
