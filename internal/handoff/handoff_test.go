package handoff

import (
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
	for k := range n.keys([]kv.NodeID{owner}, []kv.NodeID{n.id}) {
		if len(all) == hints {
			break
		}
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
