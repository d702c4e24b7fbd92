package coordinator

import (
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// frugal returns a cluster whose gets ask as few owners as they can.
func frugal(t *testing.T, n int) *cluster {
	c := newCluster(t, n)
	for _, n := range c.nodes {
		n.coord.cfg.ReadAll = 0
	}
	return c
}

// readsTo returns who is being asked for a copy, in order.
func (c *cluster) readsTo() (ids []kv.NodeID) {
	for _, m := range c.pending {
		if m.typ == wire.TypeReplicaRead && !m.answer {
			ids = append(ids, m.to.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// let lets d go by in steps of a tenth of a millisecond, in which alarms ring.
func (c *cluster) let(d time.Duration) {
	for ; d > 0; d -= 100 * time.Microsecond {
		c.now = c.now.Add(100 * time.Microsecond)
		for _, n := range c.nodes {
			if !n.rings.IsZero() && !c.now.Before(n.rings) {
				n.rings = time.Time{}
				n.coord.Hedge()
			}
		}
	}
}

// earn lets n have so many gets that it may hedge count times.
func (n *node) earn(count int) {
	for range count * hedge.Every {
		n.get(n.index(), "other", opts(1, 1, 1))
	}
}

// failCall has the one message that is under way lost with its connection.
func (c *cluster) failCall() {
	c.t.Helper()
	if len(c.pending) != 1 {
		c.t.Fatalf("%d messages are under way", len(c.pending))
	}
	call := c.calls[len(c.calls)-1]
	c.pending, call.final = nil, true
	call.done.Complete(call.tag, wire.Response{}, errDown(call.callee.id))
}

func idsOf(nodes ...*node) (ids []kv.NodeID) {
	for _, n := range nodes {
		ids = append(ids, n.id)
	}
	slices.Sort(ids)
	return ids
}

func (c *cluster) wantReads(what string, nodes ...*node) {
	c.t.Helper()
	if got, want := c.readsTo(), idsOf(nodes...); !slices.Equal(got, want) {
		c.t.Errorf("%s: %v are asked, want %v", what, got, want)
	}
}

// TestAGetAsksAsFewAsItNeeds: the nearest owners, and of those that are alike the
// next one in the ring's order, so that reads are spread.
func TestAGetAsksAsFewAsItNeeds(t *testing.T) {
	c := frugal(t, 5)
	list := c.prefer("a")
	c.write("a", "v", nil, list[:3]...)
	for i, n := range list[:3] {
		next, last := list[(i+1)%3], list[(i+2)%3]
		for _, tc := range []struct {
			what string
			far  map[kv.NodeID]time.Duration
			r    int8
			want []*node
		}{
			{"r=1", nil, 1, nil},
			{"alike", nil, 2, []*node{next}},
			{"a little further", map[kv.NodeID]time.Duration{next.id: nearBy, last.id: 0}, 2, []*node{next}},
			{"twice as far", map[kv.NodeID]time.Duration{next.id: 2*time.Millisecond + nearBy, last.id: time.Millisecond}, 2, []*node{next}},
			{"further", map[kv.NodeID]time.Duration{next.id: nearBy + 1, last.id: 0}, 2, []*node{last}},
			{"slow", map[kv.NodeID]time.Duration{next.id: 100 * time.Millisecond}, 2, []*node{last}},
			{"r=3", nil, 3, []*node{next, last}},
		} {
			n.far = tc.far
			g := c.get(n.index(), "a", opts(tc.r, 2, 2))
			c.wantReads(tc.what, tc.want...)
			c.run()
			want(t, g, "[v]")
		}
	}
	c.end()
}

// TestAGetAsksAllWhileThereIsLittleToDo, and as few as it needs from some requests
// in flight on.
func TestAGetAsksAllWhileThereIsLittleToDo(t *testing.T) {
	c := frugal(t, 3)
	n := c.prefer("a")[0]
	n.coord.cfg.ReadFewAt = 3
	for i, want := range []int{2, 2, 1, 1} {
		before := len(c.readsTo())
		c.get(n.index(), "a", kv.Defaults())
		if got := len(c.readsTo()) - before; got != want {
			t.Errorf("with %d gets in flight %d owners are asked, want %d", i+1, got, want)
		}
	}
	c.run()
	c.end()
}

// TestAShareOfGetsAsksAll, and no run of requests gets more or less of it.
func TestAShareOfGetsAsksAll(t *testing.T) {
	c := frugal(t, 3)
	n := c.prefer("a")[0]
	n.coord.cfg.ReadAll = 0.1
	for _, gets := range []int{100, 1000} {
		asked := 0
		for range gets {
			c.get(n.index(), "a", kv.Defaults())
			asked += len(c.readsTo())
			c.run()
		}
		if want := gets + gets/10; asked < want-2 || asked > want+2 {
			t.Errorf("%d owners asked in %d gets, want %d", asked, gets, want)
		}
	}
	for _, of := range []float64{0, 1} {
		for number := range uint32(1000) {
			if share(number*7919, of) != (of == 1) {
				t.Fatalf("request %d: wrong with a share of %v", number, of)
			}
		}
	}
}

// TestTheReserveIsAskedAtOnce when something is amiss, and not after a time.
func TestTheReserveIsAskedAtOnce(t *testing.T) {
	key := testKey(t, "a")
	for _, tc := range []struct {
		what  string
		amiss func(n *node)
		want  []int // places in the preference list
	}{
		{"an owner is known to be down", func(n *node) { kill(true, n) }, []int{2}},
		{"an owner refuses", func(n *node) { n.gates[n.ring.PartitionOf(key)] = gate{gets: kv.LevelOf(9)} }, []int{2}},
		{"an owner fails", nil, []int{2, 3}},
	} {
		c := frugal(t, 5)
		list := c.prefer("a")
		c.write("a", "v", nil, list[:3]...)
		if tc.amiss != nil {
			tc.amiss(list[1])
		}
		g := c.get(list[0].index(), "a", kv.Defaults())
		if tc.amiss == nil {
			c.failCall()
		}
		c.runOnly(func(m message) bool { return m.to == list[1] || m.from == list[1] })
		var others []*node
		for _, i := range tc.want {
			others = append(others, list[i])
		}
		c.wantReads(tc.what, others...)
		c.runOnly(without(list[1]))
		want(t, g, "[v]")
		c.end()
	}

	c := frugal(t, 3)
	list := c.prefer("a")
	c.write("a", "v", nil, list...)
	list[0].coord.Local = &broken{Local: list[0].store}
	g := c.get(list[0].index(), "a", kv.Defaults())
	c.wantReads("its own copy is damaged", list[1:]...)
	c.run()
	want(t, g, "[v]")
	c.end()
}

// TestCopiesThatDifferAreAllCompared: where two differ the third one is asked as
// well, after the answer, and all are repaired.
func TestCopiesThatDifferAreAllCompared(t *testing.T) {
	c := frugal(t, 3)
	list := c.prefer("a")
	for i, v := range []string{"u", "v", "w"} {
		c.write("a", v, nil, list[i])
	}
	g := c.get(list[0].index(), "a", kv.Defaults())
	c.wantReads("at first", list[1])
	c.deliver(0)
	c.deliver(0)
	slices.Sort(g.values)
	want(t, g, "[u v]")
	c.wantReads("then", list[2])
	c.run()
	c.wantCopies("a", []string{"u", "v", "w"}, list...)
	c.end()
}

// TestHedge: the third owner is asked when the second one takes longer than all
// but one in a hundred of its answers, not before, and once.
func TestHedge(t *testing.T) {
	const tail = 4 * time.Millisecond
	for _, tc := range []struct {
		what             string
		tail             time.Duration
		earned, before   int
		hedged           bool
		sent, won, spent int
	}{
		{"it may", tail, 1, 0, true, 1, 1, 0},
		{"the budget is spent", tail, 0, 0, false, 0, 0, 1},
		{"nothing is known", 0, 1, 0, false, 0, 0, 0},
	} {
		t.Run(tc.what, func(t *testing.T) {
			c := frugal(t, 3)
			list := c.prefer("a")
			c.write("a", "v", nil, list...)
			n := list[0]
			n.tails = map[kv.NodeID]time.Duration{list[1].id: tc.tail, list[2].id: time.Hour}
			n.earn(tc.earned)
			g := c.get(n.index(), "a", kv.Defaults())
			c.let(hedge.After(tail) - 100*time.Microsecond)
			c.wantReads("before the tail", list[1])
			c.let(hedgeGrain + 200*time.Microsecond)
			if tc.hedged {
				c.wantReads("after the tail", list[1], list[2])
			} else {
				c.wantReads("after the tail", list[1])
			}
			c.runOnly(without(list[1]))
			if tc.hedged {
				want(t, g, "[v]")
			} else {
				want(t, g, "pending")
			}
			c.let(20 * time.Millisecond)
			c.run()
			want(t, g, "[v]")
			if got, want := n.hedges, [3]int{tc.sent, tc.won, tc.spent}; got != want {
				t.Errorf("hedges sent, won, refused: %v, want %v", got, want)
			}
			c.end()
		})
	}
}

// TestAHedgeMayLose: the one that was asked first answers all the same.
func TestAHedgeMayLose(t *testing.T) {
	c := frugal(t, 3)
	list := c.prefer("a")
	c.write("a", "v", nil, list...)
	n := list[0]
	n.tails = map[kv.NodeID]time.Duration{list[1].id: time.Millisecond}
	n.earn(1)
	g := c.get(n.index(), "a", kv.Defaults())
	c.let(2 * time.Millisecond)
	c.runOnly(without(list[2]))
	want(t, g, "[v]")
	c.end()
	if want := [3]int{1, 0, 0}; n.hedges != want {
		t.Errorf("hedges sent, won, refused: %v, want %v", n.hedges, want)
	}
}

// TestMostGetsAreGoneWhenTheAlarmRings: it costs them nothing, and rings no more
// often than it must.
func TestMostGetsAreGoneWhenTheAlarmRings(t *testing.T) {
	c := frugal(t, 3)
	list := c.prefer("a")
	c.write("a", "v", nil, list...)
	n := list[0]
	n.tails = map[kv.NodeID]time.Duration{list[1].id: time.Millisecond}
	n.earn(5)
	rang := 0
	n.coord.Alarm = func(d time.Duration) {
		rang++
		n.rings = n.now.Add(d)
	}
	for range 100 {
		c.get(n.index(), "a", kv.Defaults())
		c.run()
		c.let(100 * time.Microsecond)
	}
	if rang < 5 || rang > 12 {
		t.Errorf("the alarm was set %d times in 10ms, want once in a millisecond", rang)
	}
	if n.hedges != [3]int{} {
		t.Errorf("hedges %v", n.hedges)
	}
	c.end()
}

// TestTheCapHolds: with every answer late no more than 5 % of the gets are hedged.
func TestTheCapHolds(t *testing.T) {
	c := frugal(t, 3)
	list := c.prefer("a")
	c.write("a", "v", nil, list...)
	n := list[0]
	n.tails = map[kv.NodeID]time.Duration{list[1].id: 100 * time.Microsecond}
	const gets = 2000
	for range gets {
		c.get(n.index(), "a", kv.Defaults())
		c.let(2 * time.Millisecond)
		c.run()
	}
	if sent := n.hedges[hedge.Sent]; sent != gets/hedge.Every {
		t.Errorf("%d of %d gets were hedged, want %d", sent, gets, gets/hedge.Every)
	}
	if n.hedges[hedge.Sent]+n.hedges[hedge.Refused] != gets {
		t.Errorf("hedges %v of %d gets", n.hedges, gets)
	}
	c.end()
}

// TestAHedgeIsMarkedAsOne, for the estimates: what is asked first is not, nor what
// is asked of others for other reasons.
func TestAHedgeIsMarkedAsOne(t *testing.T) {
	c := frugal(t, 3)
	list := c.prefer("a")
	c.write("a", "v", nil, list...)
	n := list[0]
	n.tails = map[kv.NodeID]time.Duration{list[1].id: time.Millisecond}
	n.earn(1)
	c.get(n.index(), "a", kv.Defaults())
	c.let(2 * time.Millisecond)
	if len(c.pending) != 2 || c.pending[0].hedge || !c.pending[1].hedge {
		t.Errorf("want a read, and one that is a hedge: %+v", c.pending)
	}
	c.run()
	c.get(n.index(), "a", kv.Defaults())
	c.pass(DefaultStandInAfter + time.Millisecond)
	if len(c.pending) != 2 || c.pending[1].hedge {
		t.Errorf("want two reads that are no hedges: %+v", c.pending)
	}
	c.end()
}

// TestAHungOwnerWithoutHedges: after StandInAfter the others are asked, and who
// stands in for it.
func TestAHungOwnerWithoutHedges(t *testing.T) {
	c := frugal(t, 5)
	list := c.prefer("a")
	c.write("a", "v", nil, list[:3]...)
	g := c.get(list[0].index(), "a", kv.Defaults())
	c.runOnly(without(list[1]))
	want(t, g, "pending")
	c.pass(DefaultStandInAfter + time.Millisecond)
	c.wantReads("when it hangs", list[1], list[2], list[3])
	c.runOnly(without(list[1]))
	want(t, g, "[v]")
	c.end()
}

// TestAForwardedGetIsHedged: after the time that all but one in a hundred of the
// gets take that are passed on to that owner. What the hedge takes is not counted,
// what the slow one takes is, though it comes late.
func TestAForwardedGetIsHedged(t *testing.T) {
	c := frugal(t, 5)
	list := c.prefer("a")
	c.write("a", "v", nil, list[:3]...)
	n := list[4]
	n.earn(2)
	first, second := list[0], list[1]
	n.far = map[kv.NodeID]time.Duration{first.id: 0, second.id: 1, list[2].id: 2}
	for range 100 {
		c.get(n.index(), "a", opts(1, 1, 1))
		c.now = c.now.Add(time.Millisecond)
		c.run()
	}
	tail := n.coord.PassTail(first.id)
	if tail < time.Millisecond || tail > 3*time.Millisecond {
		t.Fatalf("the tail of what was passed on is %v, want 1ms to 3ms", tail)
	}
	g := c.get(n.index(), "a", opts(1, 1, 1))
	c.let(hedge.After(tail) - 100*time.Microsecond)
	if got := len(c.pending); got != 1 {
		t.Errorf("%d messages before the tail", got)
	}
	c.let(hedgeGrain + 200*time.Microsecond)
	c.runOnly(without(first))
	want(t, g, "[v]")
	if want := [3]int{1, 1, 0}; n.hedges != want {
		t.Errorf("hedges sent, won, refused: %v, want %v", n.hedges, want)
	}
	if n.coord.PassTail(first.id) != tail || n.coord.PassTail(second.id) != 0 {
		t.Error("a hedge's time was counted")
	}
	c.now = c.now.Add(50 * time.Millisecond)
	c.run()
	if n.coord.PassTail(first.id) <= tail {
		t.Error("the late answer was not counted")
	}

	// A put is passed on once.
	p := c.put(n.index(), "a", "w", g.context, opts(1, 1, 1))
	c.let(50 * time.Millisecond)
	if got := len(c.pending); got != 1 {
		t.Errorf("a put was passed on %d times", got)
	}
	c.run()
	want(t, p, "[]")
	c.end()
}

// TestOthersGoRoundWhoIsLate: from the first late answer on, until it comes.
func TestOthersGoRoundWhoIsLate(t *testing.T) {
	c := frugal(t, 5)
	list := c.prefer("a")
	c.write("a", "v", nil, list[:3]...)
	n := list[0]
	n.tails = map[kv.NodeID]time.Duration{list[1].id: time.Millisecond, list[2].id: time.Hour}
	for _, earned := range []int{0, 1} { // whether it may be hedged or not
		n.earn(earned)
		c.get(n.index(), "a", kv.Defaults())
		c.let(3 * time.Millisecond)
		c.runOnly(without(list[1]))
		for range 3 {
			g := c.get(n.index(), "a", kv.Defaults())
			c.wantReads("while it is late", list[1], list[2])
			c.runOnly(without(list[1]))
			want(t, g, "[v]")
		}
		c.run()
		g := c.get(n.index(), "a", kv.Defaults())
		c.wantReads("when it has answered", list[1])
		c.run()
		want(t, g, "[v]")
	}

	// So with gets that are passed on, and when the answer is an error.
	n = list[4]
	n.far = map[kv.NodeID]time.Duration{list[0].id: 0, list[1].id: 1, list[2].id: 2}
	for range 20 {
		c.get(n.index(), "a", opts(1, 1, 1))
		c.now = c.now.Add(time.Millisecond)
		c.run()
	}
	late := c.get(n.index(), "a", opts(1, 1, 1))
	c.let(10 * time.Millisecond)
	c.runOnly(without(list[0]))
	next := c.get(n.index(), "a", opts(1, 1, 1))
	c.runOnly(without(list[0]))
	want(t, next, "[v]")
	c.pass(kv.DefaultTimeout + time.Millisecond)
	c.pending = nil
	if !late.done {
		t.Error("the late get has not ended")
	}
	next = c.get(n.index(), "a", opts(1, 1, 1))
	if got := c.pending[0].to; got != list[0] {
		t.Errorf("after the late call has ended node %v is asked, want %v", got.id, list[0].id)
	}
	c.run()
	want(t, next, "[v]")
	c.end()
}
