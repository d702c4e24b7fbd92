package handoff

import (
	"fmt"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

// written is a hint and its key.
type written struct {
	k kv.Key
	o object.Object
}

// fill has node n keep hints for owner, of keys that n does not own.
func (n *node) fill(owner kv.NodeID, hints int, value string) (all []written) {
	n.t.Helper()
	for i := range hints {
		k := n.keyOf(i, []kv.NodeID{owner}, []kv.NodeID{n.id})
		all = append(all, written{k, n.hint(owner, k, value)})
	}
	return all
}

// lacks returns how many of all node n has not.
func (n *node) lacks(all []written) (missing int) {
	for _, w := range all {
		if !n.has(w.k, w.o) {
			missing++
		}
	}
	return missing
}

// away is a cluster of five in which node 1 keeps hints for node 2, which is
// down.
func away(t *testing.T, hints int, cfg Config) (c *cluster, standIn, owner *node, all []written) {
	t.Helper()
	c = newCluster(t, 5, cfg)
	standIn, owner = c.node(1), c.node(2)
	c.goDown(2)
	return c, standIn, owner, standIn.fill(2, hints, "value")
}

// TestDelivery: hints wait while their owner is down, however long, and are all
// delivered when it answers.
func TestDelivery(t *testing.T) {
	const hints = 1000
	c, standIn, owner, all := away(t, hints, Default())
	for range 24 * 30 {
		c.pass(time.Hour)
		c.run()
	}
	st := standIn.sender.Status()
	if len(c.sent) != 0 || len(st) != 1 || st[0].Owner != 2 || st[0].Keys != hints || st[0].Oldest != kv.TimeOf(time.Unix(1_000_000, 0)) {
		t.Fatalf("while the owner is down: %d messages, status %+v", len(c.sent), st)
	}
	c.comeUp(2)
	c.settle(time.Second)
	if n := owner.lacks(all); n != 0 {
		t.Errorf("the owner lacks %d of %d", n, hints)
	}
	if len(c.sent) != hints || len(standIn.sender.Status()) != 0 {
		t.Errorf("%d messages for %d hints, status %+v", len(c.sent), hints, standIn.sender.Status())
	}
	got, want := standIn.sender.Totals(), Totals{Delivered: hints}
	for _, s := range c.sent {
		want.DeliveredBytes += uint64(s.size)
	}
	if got != want || owner.sender.Totals() != (Totals{Received: hints}) {
		t.Errorf("counted %+v and %+v, want %+v", got, owner.sender.Totals(), want)
	}
	c.rested()
}

// TestChangeUnderWay: what is written to a hint while it is delivered is not lost
// with it, but is delivered as well.
func TestChangeUnderWay(t *testing.T) {
	for _, when := range []string{"handoff", "ack"} {
		c, standIn, owner, all := away(t, 1, Default())
		c.comeUp(2)
		c.pass(50 * time.Millisecond)
		if !c.runTo(when) {
			t.Fatal("nothing is under way")
		}
		changed := standIn.hint(2, all[0].k, "later value")
		c.run()
		if owner.has(all[0].k, changed) {
			t.Fatal("it came before it was written")
		}
		c.settle(time.Second)
		if !owner.has(all[0].k, changed) || len(c.sent) != 2 {
			t.Errorf("changed before the %s: lost, or sent %d times", when, len(c.sent))
		}
		if got := standIn.sender.Totals(); got.Changed != 1 || got.Delivered != 1 || got.Failed != 0 {
			t.Errorf("counted %+v", got)
		}
	}
}

// TestLostMessages: a request or an answer that is lost costs time and nothing
// else: delivered twice, a hint changes nothing.
func TestLostMessages(t *testing.T) {
	for _, what := range []string{"handoff", "ack"} {
		c, standIn, owner, all := away(t, 3, Default())
		c.comeUp(2)
		c.pass(50 * time.Millisecond)
		if !c.runTo(what) {
			t.Fatal("nothing is under way")
		}
		lost := c.drop(what)
		c.run()
		if n := c.hints(); n != lost {
			t.Errorf("%d hints are left after %d lost messages (%s)", n, lost, what)
		}
		c.settle(2 * Default().Timeout)
		if owner.lacks(all) != 0 || standIn.sender.Totals().Failed != uint64(lost) {
			t.Errorf("counted %+v after %d lost", standIn.sender.Totals(), lost)
		}
		c.rested()
	}
}

// TestDeliveredTwice: a copy that the network made changes nothing.
func TestDeliveredTwice(t *testing.T) {
	c, _, owner, all := away(t, 1, Default())
	c.comeUp(2)
	c.pass(50 * time.Millisecond)
	c.runTo("handoff")
	c.pending = append(c.pending, c.pending[0])
	c.runTo("ack")
	before, _, _ := owner.store.Read(c.ring.PartitionOf(all[0].k), all[0].k, nil)
	c.settle(time.Second)
	after, _, _ := owner.store.Read(c.ring.PartitionOf(all[0].k), all[0].k, nil)
	if string(before.Bytes()) != string(after.Bytes()) || !owner.has(all[0].k, all[0].o) {
		t.Error("the second delivery changed the copy")
	}
	c.rested()
}

// TestOwnerRestartsBetweenMergeAndAck: what the owner had not on stable storage
// was not acknowledged, and is delivered again.
func TestOwnerRestartsBetweenMergeAndAck(t *testing.T) {
	c, _, owner, all := away(t, 2, Default())
	owner.slow.slow = true
	c.comeUp(2)
	c.pass(50 * time.Millisecond)
	c.run()
	if len(owner.slow.waiting) != 2 || c.hints() != 2 {
		t.Fatalf("%d merges wait, %d hints are left", len(owner.slow.waiting), c.hints())
	}
	owner.engine = newMemory(t) // nothing of it was durable
	owner.start()
	c.settle(time.Minute)
	if n := owner.lacks(all); n != 0 {
		t.Errorf("the owner lacks %d", n)
	}
	c.rested()
}

// TestAckOfAnEarlierBoot: the owner has acknowledged, and then lost what it had
// with its directory, before the hint was deleted.
func TestAckOfAnEarlierBoot(t *testing.T) {
	c, standIn, owner, all := away(t, 1, Default())
	c.comeUp(2)
	c.pass(50 * time.Millisecond)
	c.runTo("ack")
	c.deliver(0)
	if owner.lacks(all) != 0 {
		t.Fatal("it was acknowledged before it was there")
	}
	owner.engine = newMemory(t)
	owner.start()
	c.run()
	if c.hints() != 1 {
		t.Fatal("the late acknowledgement is believed")
	}
	c.settle(time.Minute)
	if owner.lacks(all) != 0 || standIn.sender.Totals().Failed != 1 {
		t.Errorf("counted %+v", standIn.sender.Totals())
	}
	c.rested()
}

// TestOwnerGoesDown: the session ends, and the next one goes on with what is
// left.
func TestOwnerGoesDown(t *testing.T) {
	const hints = 500
	c, standIn, owner, all := away(t, hints, Default())
	c.comeUp(2)
	c.pass(50 * time.Millisecond)
	for range 300 {
		c.deliver(0)
	}
	delivered := hints - c.hints()
	if delivered == 0 || delivered == hints {
		t.Fatalf("%d are delivered", delivered)
	}
	c.goDown(2)
	owner.stop()
	for range 100 {
		c.pass(time.Second)
		c.run()
	}
	sent := len(c.sent)
	if left := c.hints(); left == 0 || sent > hints {
		t.Fatalf("%d are left, %d were sent", left, sent)
	}
	left := c.hints()
	owner.start()
	c.comeUp(2)
	c.settle(time.Second)
	if owner.lacks(all) != 0 || len(c.sent) != sent+left {
		t.Errorf("%d were sent for the %d that were left", len(c.sent)-sent, left)
	}
	c.rested()
	if got := standIn.sender.Totals(); got.Delivered < uint64(hints-delivered) {
		t.Errorf("counted %+v", got)
	}
}

// TestOwnerRefuses: it is left alone for a while that doubles, until it is known
// to be up again, or it takes a hint.
func TestOwnerRefuses(t *testing.T) {
	cfg := Default()
	cfg.MinPause, cfg.MaxPause = 100*time.Millisecond, time.Second
	for _, kind := range []kv.Kind{kv.KindDiskFull, kv.KindOverloaded, kv.KindStorage} {
		c, standIn, owner, all := away(t, 200, cfg)
		c.comeUp(2)
		owner.slow.fail = kv.Errorf(kind, "apply batch", "not now")
		var tries []time.Duration
		for start := c.now; c.now.Sub(start) < 5*time.Second; c.pass(10 * time.Millisecond) {
			before := len(c.sent)
			c.run()
			if len(c.sent) > before {
				tries = append(tries, c.now.Sub(start).Round(100*time.Millisecond))
			}
		}
		want := "[0s 100ms 300ms 700ms 1.5s 2.5s 3.5s 4.5s]"
		if got := fmt.Sprint(tries); got != want {
			t.Errorf("%v: tried at %v, want %v", kind, got, want)
		}
		st := standIn.sender.Status()
		if len(st) != 1 || st[0].Failed != uint64(len(c.sent)) || kv.KindOf(st[0].Err) != kind || len(c.sent) > 8*cfg.Window {
			t.Errorf("%v: %d messages, status %+v", kind, len(c.sent), st)
		}
		owner.slow.fail = nil
		c.comeUp(2)
		c.pass(10 * time.Millisecond)
		c.run()
		if owner.lacks(all) == len(all) {
			t.Error("it is still left alone, though it came up")
		}
		c.settle(time.Second)
		c.rested()
	}
}

// TestOneBadHint: a hint that its owner cannot take holds no other up, and is
// tried again less and less often.
func TestOneBadHint(t *testing.T) {
	c, standIn, owner, all := away(t, 300, Default())
	owner.refuse = map[string]error{string(all[7].k): kv.Errorf(kv.KindTooManySiblings, "merge objects", "one too many")}
	c.comeUp(2)
	for range 60 * 20 {
		c.pass(50 * time.Millisecond)
		c.run()
	}
	if n := owner.lacks(all); n != 1 || c.hints() != 1 {
		t.Errorf("the owner lacks %d, %d hints are left", n, c.hints())
	}
	if n := len(c.sent); n < 300+8 || n > 300+12 {
		t.Errorf("%d messages for 300 hints, one of them bad", n)
	}
	if st := standIn.sender.Status(); len(st) != 1 || kv.KindOf(st[0].Err) != kv.KindTooManySiblings || st[0].Delivered != 299 {
		t.Errorf("status %+v", st)
	}
	owner.refuse = nil
	c.settle(Default().MaxPause)
	c.rested()
}

// TestOwnerLeft: hints for a node that is no member any more go to the first
// present owner that answers, and wait while none does.
func TestOwnerLeft(t *testing.T) {
	c, standIn, _, _ := away(t, 0, Default())
	next := claim(t, 2, 1, 3, 4, 5)
	var k kv.Key
	for i := 0; k == nil || next.Owns(next.PartitionOf(k), 1); i++ {
		k = c.keyOf(i, []kv.NodeID{2}, []kv.NodeID{1})
	}
	o := standIn.hint(2, k, "value")
	c.ring = next
	owners := next.Owners(next.PartitionOf(k))
	for _, id := range owners {
		c.goDown(id)
	}
	c.pass(time.Second)
	c.run()
	if len(c.sent) != 0 {
		t.Error("it was sent though nobody answers")
	}
	c.comeUp(owners[1])
	c.settle(time.Second)
	if !c.node(owners[1]).has(k, o) || len(c.sent) != 1 {
		t.Error("it is not at the first owner that answers")
	}
}

// TestFullOwnerIsPassedOver: of the present owners one that refuses is as one
// that is down.
func TestFullOwnerIsPassedOver(t *testing.T) {
	c, standIn, _, _ := away(t, 0, Default())
	all := standIn.fill(2, 50, "value")
	c.ring = claim(t, 2, 1, 3, 4, 5)
	full := c.node(3)
	full.slow.fail = kv.Errorf(kv.KindDiskFull, "apply batch", "no space")
	c.settle(time.Minute)
	for _, w := range all {
		found := false
		for _, id := range c.ring.Owners(c.ring.PartitionOf(w.k)) {
			found = found || c.node(id).has(w.k, w.o)
		}
		if !found {
			t.Errorf("%v is at no owner", w.k)
		}
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
	n.slow.slow = true
	c.pass(time.Second)
	c.run()
	if c.hints() != 2 || !n.has(own, named) || !n.has(taken, inherited) {
		t.Errorf("before it is durable %d hints are left", c.hints())
	}
	n.slow.sync()
	c.run()
	if c.hints() != 0 || len(c.sent) != 0 {
		t.Errorf("%d hints are left, %d messages were sent", c.hints(), len(c.sent))
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
