package coordinator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// prefer returns the cluster's nodes in the order of key's preference list.
func (c *cluster) prefer(key string) []*node {
	r := c.nodes[0].ring
	var nodes []*node
	for _, id := range r.Preference(r.PartitionOf(testKey(c.t, key)), nil) {
		nodes = append(nodes, c.peer(id))
	}
	return nodes
}

// index is what put and get take for n.
func (n *node) index() int { return int(n.id) - 1 }

// kill has nodes answer nothing, which the others know or not.
func kill(known bool, nodes ...*node) {
	for _, n := range nodes {
		n.dead, n.down = true, known
	}
}

func revive(nodes ...*node) {
	for _, n := range nodes {
		n.dead, n.down = false, false
	}
}

// owed returns the owners for which n holds hints.
func (n *node) owed() (owners []kv.NodeID) {
	for _, h := range n.store.Hints() {
		owners = append(owners, h.Owner)
	}
	return owners
}

// copyOf returns the live values of n's own copy of key.
func (n *node) copyOf(key string) []string {
	n.t.Helper()
	k := testKey(n.t, key)
	o, _, err := n.store.Read(n.ring.PartitionOf(k), k, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return liveValues(o)
}

func liveValues(o object.Object) (values []string) {
	for s := o.Siblings(); s.Next(); {
		if !s.Deleted {
			values = append(values, string(s.Value))
		}
	}
	return values
}

// settle delivers everything and lets time pass until out is told, for as long
// as a second.
func (c *cluster) settle(out *outcome) {
	for range 20 {
		c.run()
		if out.done {
			return
		}
		c.pass(50 * time.Millisecond)
	}
}

// end delivers everything, lets every deadline pass, and checks that nothing is
// left.
func (c *cluster) end() {
	c.t.Helper()
	c.run()
	c.pass(kv.DefaultTimeout + time.Millisecond)
	c.run()
	c.pass(repairWithin + time.Millisecond)
	c.idle()
}

// TestThreeOfFiveDead: with W=2 any two nodes take every put and give it back,
// whether the others are known to be dead or not.
func TestThreeOfFiveDead(t *testing.T) {
	for _, known := range []bool{true, false} {
		for live := range 5 {
			for other := range live {
				t.Run(fmt.Sprintf("known %v, %d and %d live", known, other, live), func(t *testing.T) {
					c := newCluster(t, 5)
					list := c.prefer("a")
					for i, n := range list {
						if i != live && i != other {
							kill(known, n)
						}
					}
					for _, i := range []int{live, other} {
						if !known && i >= 3 {
							continue // it passes requests on to those that it takes for live
						}
						key := "a"
						p := c.put(list[i].index(), key, fmt.Sprint(i), nil, kv.Defaults())
						c.settle(p)
						want(t, p, "[]")
						g := c.get(list[i].index(), key, kv.Defaults())
						c.settle(g)
						if !slices.Contains(g.values, fmt.Sprint(i)) {
							t.Errorf("a get after the put gave %v (%v)", g, g.err)
						}
					}
					c.end()
				})
			}
		}
	}
}

// TestFourOfFiveDead: with W=1 one node alone takes every put, as an owner or on
// its hint record.
func TestFourOfFiveDead(t *testing.T) {
	for live := range 5 {
		c := newCluster(t, 5)
		list := c.prefer("a")
		for i, n := range list {
			if i != live {
				kill(true, n)
			}
		}
		last := list[live]
		p := c.put(last.index(), "a", "v", nil, opts(1, 1, 1))
		want(t, p, "[]")
		if len(p.context) == 0 {
			t.Error("the put gave no context")
		}
		want(t, c.get(last.index(), "a", opts(1, 1, 1)), "[v]")
		want(t, c.get(last.index(), "none", opts(1, 1, 1)), "[]")
		p = c.put(last.index(), "a", "w", p.context, opts(1, 1, 1))
		want(t, p, "[]")
		want(t, c.get(last.index(), "a", opts(1, 1, 1)), "[w]")
		want(t, c.get(last.index(), "a", opts(2, 2, 2)), "unavailable, applied no")
		owed := last.owed()
		if live < 3 && len(owed) > 0 || live >= 3 && !slices.Equal(owed, []kv.NodeID{list[0].id}) {
			t.Errorf("node %d of the list holds hints for %v", live, owed)
		}

		// A delete without a context deletes what it sees there.
		want(t, c.del(last.index(), "a", nil, opts(1, 1, 1)), "[]")
		want(t, c.get(last.index(), "a", opts(1, 1, 1)), "[<deleted>]")

		strict := opts(1, 1, 1)
		strict.Strict = true
		if s := c.put(last.index(), "a", "v", nil, strict); live >= 3 {
			want(t, s, "unavailable, applied no")
		} else {
			want(t, s, "[]")
		}
		c.end()
	}
}

// TestASlowOwnerAndItsStandIn both answer, and count once.
func TestASlowOwnerAndItsStandIn(t *testing.T) {
	c := newCluster(t, 5)
	list := c.prefer("a")
	kill(false, list[2])
	p := c.put(list[0].index(), "a", "v", nil, opts(2, 3, 0))
	c.pass(DefaultStandInAfter)
	if len(c.pending) != 2 {
		t.Fatalf("%d messages are under way before StandInAfter, want one to each owner", len(c.pending))
	}
	c.pass(time.Millisecond)
	if len(c.pending) != 4 {
		t.Fatalf("%d messages are under way after StandInAfter, want one to each owner and stand-in", len(c.pending))
	}
	c.runOnly(without(list[4]))
	want(t, p, "pending")
	if list[0].standIns != 1 || !slices.Equal(list[3].owed(), []kv.NodeID{list[1].id}) {
		t.Errorf("%d stand-ins, hints for %v", list[0].standIns, list[3].owed())
	}
	c.run()
	want(t, p, "[]")
	if !slices.Equal(list[4].owed(), []kv.NodeID{list[2].id}) {
		t.Errorf("hints for %v", list[4].owed())
	}
	if got := list[1].copyOf("a"); !slices.Equal(got, []string{"v"}) {
		t.Errorf("the slow owner has %v", got)
	}

	// Nobody is asked again for a slot that is served.
	c.pass(2 * DefaultStandInAfter)
	if len(c.pending) > 0 {
		t.Errorf("%d further messages", len(c.pending))
	}
	c.end()
}

// TestASlowStandIn: those that were asked in another's stead are waited for no
// longer than an owner.
func TestASlowStandIn(t *testing.T) {
	c := newCluster(t, 6)
	list := c.prefer("a")
	kill(true, list[2])
	kill(false, list[1], list[3], list[4])
	p := c.put(list[0].index(), "a", "v", nil, kv.Defaults())
	c.settle(p)
	want(t, p, "[]")
	if took := c.now.Sub(time.Unix(1_000_000, 0)); took > time.Second {
		t.Errorf("it took %v", took)
	}
	g := c.get(list[0].index(), "a", kv.Defaults())
	c.settle(g)
	want(t, g, "[v]")
	c.end()
}

// TestShortTimeouts: half of a timeout is left for stand-ins.
func TestShortTimeouts(t *testing.T) {
	c := newCluster(t, 4)
	list := c.prefer("a")
	kill(false, list[1], list[2])
	o := kv.Defaults()
	o.Timeout = 20 * time.Millisecond
	p := c.put(list[0].index(), "a", "v", nil, o)
	c.run()
	c.pass(11 * time.Millisecond)
	c.run()
	want(t, p, "[]")
	c.end()
}

// TestStrict: stand-ins do not count, yet get their hints.
func TestStrict(t *testing.T) {
	strict := func(o kv.Options) kv.Options { o.Strict = true; return o }
	c := newCluster(t, 5)
	list := c.prefer("a")
	at := list[0].index()
	kill(true, list[2])
	p := c.put(at, "a", "v", nil, strict(opts(2, 2, 2)))
	c.run()
	want(t, p, "[]")
	if !slices.Equal(list[3].owed(), []kv.NodeID{list[2].id}) {
		t.Errorf("hints for %v", list[3].owed())
	}
	g := c.get(at, "a", strict(opts(2, 2, 2)))
	c.run()
	want(t, g, "[v]")
	want(t, c.put(at, "a", "w", nil, strict(opts(3, 3, 3))), "unavailable, applied no")
	want(t, c.get(at, "a", strict(opts(3, 3, 3))), "unavailable, applied no")

	// The second owner does not answer: the hints for both are taken, and count
	// for nothing.
	kill(false, list[1])
	g, p = c.get(at, "a", strict(opts(2, 2, 2))), c.put(at, "a", "w", nil, strict(opts(2, 2, 2)))
	c.run()
	c.pass(DefaultStandInAfter + time.Millisecond)
	c.run()
	want(t, p, "pending")
	want(t, g, "pending")
	if !slices.Contains(list[4].owed(), list[1].id) {
		t.Errorf("hints for %v", list[4].owed())
	}
	c.end()
	want(t, p, "unavailable, applied unknown")
	want(t, g, "unavailable, applied no")
}

// fillHints has n decline new hints.
func (n *node) fillHints() {
	cfg := replica.Default()
	cfg.MaxHintBytes = 1
	n.open(DefaultForTest(), cfg)
	o, _, _, err := object.Put(nil, object.Object{}, object.Write{Own: vclock.Own{Actor: vclock.Actor{Node: 99, Birth: 1}, Counter: 1}, Seq: 1})
	if err != nil {
		n.t.Fatal(err)
	}
	k := testKey(n.t, "another")
	if err := n.store.MergeHint(99, n.ring.PartitionOf(k), k, o, nil); err != nil {
		n.t.Fatal(err)
	}
}

// TestHintsFull: a stand-in declines, and the next node takes the hint.
func TestHintsFull(t *testing.T) {
	c := newCluster(t, 5)
	list := c.prefer("a")
	list[3].fillHints()
	kill(true, list[1], list[2])
	p := c.put(list[0].index(), "a", "v", nil, kv.Defaults())
	c.run()
	want(t, p, "[]")
	if len(list[3].hints("a")) > 0 || !slices.Equal(list[4].hints("a"), []string{"v"}) {
		t.Errorf("hints %v and %v", list[3].hints("a"), list[4].hints("a"))
	}

	// No further node is left for the other slot.
	p = c.put(list[0].index(), "a", "w", nil, opts(3, 3, 3))
	c.run()
	want(t, p, "unavailable, applied unknown")
	c.idle()

	// The first node that may coordinate as a stand-in declines as well.
	kill(true, list[0])
	p = c.put(list[3].index(), "a", "x", nil, opts(1, 1, 1))
	c.run()
	want(t, p, "[]")
	p = c.put(list[4].index(), "a", "y", nil, opts(1, 1, 1))
	c.run()
	want(t, p, "[]")
	g := c.get(list[3].index(), "a", opts(1, 1, 1))
	c.run()
	if !slices.Contains(g.values, "x") || !slices.Contains(g.values, "y") {
		t.Errorf("a get through the one that declined gave %v (%v)", g, g.err)
	}
	c.idle()
}

// TestAnOwnerFailsAfterItsStandInAccepted: there is nothing left to be done.
func TestAnOwnerFailsAfterItsStandInAccepted(t *testing.T) {
	c := newCluster(t, 5)
	list := c.prefer("a")
	list[1].engine.fail = kv.Errorf(kv.KindDiskFull, "apply batch", "no space")
	p := c.put(list[0].index(), "a", "v", nil, opts(3, 3, 3))
	c.runOnly(without(list[1]))
	c.pass(DefaultStandInAfter + time.Millisecond)
	c.runOnly(without(list[1]))
	want(t, p, "[]")
	c.run()
	c.idle()
	if list[0].standIns != 1 || !slices.Equal(list[3].owed(), []kv.NodeID{list[1].id}) || len(list[4].owed()) > 0 {
		t.Errorf("%d stand-ins, hints for %v and %v", list[0].standIns, list[3].owed(), list[4].owed())
	}
}

// TestAnOwnerThatRefuses is stood in for at once.
func TestAnOwnerThatRefuses(t *testing.T) {
	c := newCluster(t, 4)
	list := c.prefer("a")
	list[1].engine.fail = kv.Errorf(kv.KindDiskFull, "apply batch", "no space")
	p := c.put(list[0].index(), "a", "v", nil, opts(3, 3, 3))
	c.run()
	want(t, p, "[]")
	if !slices.Equal(list[3].owed(), []kv.NodeID{list[1].id}) {
		t.Errorf("hints for %v", list[3].owed())
	}
	c.idle()
}

// TestACoordinatorThatCannotWrite passes a put on to another owner, or, if no
// owner can take it, to a stand-in.
func TestACoordinatorThatCannotWrite(t *testing.T) {
	full := kv.Errorf(kv.KindDiskFull, "apply batch", "no space")
	for broken := range 4 {
		c := newCluster(t, 5)
		list := c.prefer("a")
		for _, n := range list[:broken] {
			n.engine.fail = full
		}
		p := c.put(list[0].index(), "a", "v", nil, kv.Defaults())
		c.run()
		want(t, p, "[]")
		held := 0
		for _, n := range list {
			if len(n.copyOf("a"))+len(n.owed()) > 0 {
				held++
			}
		}
		if held < 2 {
			t.Errorf("%d owners cannot write: the put was acknowledged, and is at %d nodes", broken, held)
		}
		c.end()
	}
}

// TestAStandInThatCoordinates asks the owners that it can reach, and keeps a hint
// for the first that it cannot.
func TestAStandInThatCoordinates(t *testing.T) {
	c := newCluster(t, 5)
	list := c.prefer("a")
	kill(true, list[1])
	p := &outcome{t: t}
	list[4].coord.Put(Request{
		Key: testKey(t, "a"), Options: opts(3, 3, 3), Forwarded: true, StandIn: true, Update: object.Update{Value: []byte("v")},
	}, p)
	c.run()
	want(t, p, "[]")
	if !slices.Equal(list[4].owed(), []kv.NodeID{list[1].id}) || len(list[3].owed()) > 0 {
		t.Errorf("hints for %v and %v", list[4].owed(), list[3].owed())
	}
	c.wantCopies("a", []string{"v"}, list[0], list[2])

	// Without the flag it refuses: the sender's ring is another one.
	p = &outcome{t: t}
	list[4].coord.Put(Request{Key: testKey(t, "a"), Options: kv.Defaults(), Forwarded: true}, p)
	want(t, p, "stale ring, applied no")
	c.end()
}

// TestAClientMakesNoStandIn: a client's word that no owner answers is not taken.
func TestAClientMakesNoStandIn(t *testing.T) {
	for _, from := range []bool{false, true} {
		c := newCluster(t, 5)
		list := c.prefer("a")
		m := wire.Get{R: 1, W: 1, DW: 1, Key: testKey(t, "a")}
		payload := m.AppendTo(nil)
		wire.AddFlags(payload, wire.FlagForwarded|wire.FlagStandIn)
		req := wire.Request{Type: wire.TypeGet, Deadline: c.now.Add(time.Second), Level: kv.LevelOf(c.nodes[0].ring.Epoch()), Payload: payload}
		answer := &recorder{}
		if from {
			req.From = list[3].id
		}
		req.Reply = wire.Reply{To: answer, Type: wire.TypeGet}
		list[4].coord.Handle(req)
		c.run()
		if from && answer.err != nil || !from && kv.KindOf(answer.err) != kv.KindStaleRing {
			t.Errorf("from a node %v: %v", from, answer.err)
		}
		c.end()
	}
}

// recorder is a Responder that remembers an error.
type recorder struct {
	answers int
	err     error
}

func (r *recorder) Respond(_ uint64, _ wire.Type, f wire.Flags, m wire.Appender) {
	r.answers++
	if f&wire.FlagError != 0 {
		r.err = wire.ParseError(m.AppendTo(nil))
	}
}
