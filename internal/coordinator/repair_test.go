package coordinator

import (
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// write puts value at the owners among nodes and at no other, as if the others
// had missed it; the first of them coordinates.
func (c *cluster) write(key, value string, ctx []byte, nodes ...*node) *outcome {
	c.t.Helper()
	p := c.put(nodes[0].index(), key, value, ctx, opts(1, 1, 1))
	c.runOnly(func(m message) bool { return m.answer || slices.Contains(nodes, m.to) })
	c.pending = nil
	c.pass(kv.DefaultTimeout + time.Millisecond)
	c.pending = nil
	if !p.done || p.err != nil {
		c.t.Fatalf("put %q: %v (%v)", value, p, p.err)
	}
	return p
}

func (c *cluster) wantCopies(key string, want []string, nodes ...*node) {
	c.t.Helper()
	for _, n := range nodes {
		got := n.copyOf(key)
		if slices.Sort(got); !slices.Equal(got, want) {
			c.t.Errorf("node %v has %v, want %v", n.id, got, want)
		}
	}
}

func (c *cluster) repaired() (copies int) {
	for _, n := range c.nodes {
		copies += n.repaired
	}
	return copies
}

// TestReadRepair: after the answer every owner that has less gets what all
// together have, whoever coordinated, and whenever it answered.
func TestReadRepair(t *testing.T) {
	for _, tc := range []struct {
		name string
		// write makes the copies differ; the third owner's answer comes late.
		write  func(c *cluster, l []*node)
		answer string
		want   []string
		copies int
	}{
		{"equal", func(c *cluster, l []*node) { c.write("a", "v", nil, l...) }, "[v]", []string{"v"}, 0},
		{"none", func(*cluster, []*node) {}, "[]", nil, 0},
		{"a missing copy", func(c *cluster, l []*node) { c.write("a", "v", nil, l[0], l[1]) }, "[v]", []string{"v"}, 1},
		{"the coordinator's own", func(c *cluster, l []*node) { c.write("a", "v", nil, l[1], l[2]) }, "[v]", []string{"v"}, 1},
		{"only the late one has it", func(c *cluster, l []*node) { c.write("a", "v", nil, l[2]) }, "[]", []string{"v"}, 2},
		{"a stale copy", func(c *cluster, l []*node) {
			p := c.write("a", "v", nil, l...)
			c.write("a", "w", p.context, l[1])
		}, "[w]", []string{"w"}, 2},
		{"each has its own", func(c *cluster, l []*node) {
			for i, v := range []string{"u", "v", "w"} {
				c.write("a", v, nil, l[i])
			}
		}, "[u v]", []string{"u", "v", "w"}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCluster(t, 3)
			list := c.prefer("a")
			tc.write(c, list)
			g := c.get(list[0].index(), "a", kv.Defaults())
			c.runOnly(without(list[2]))
			slices.Sort(g.values)
			want(t, g, tc.answer)
			if c.repaired() > 0 {
				t.Error("copies were repaired while an answer was still to come")
			}
			puts := 0
			c.runOnly(func(m message) bool {
				if m.typ == wire.TypeReplicaPut && !m.answer {
					puts++
				}
				return true
			})
			c.wantCopies("a", tc.want, list...)
			if c.repaired() != tc.copies || tc.copies == 0 && puts > 0 {
				t.Errorf("%d copies repaired with %d messages, want %d", c.repaired(), puts, tc.copies)
			}

			// Then all is well.
			g = c.get(list[1].index(), "a", opts(3, 3, 3))
			c.run()
			slices.Sort(g.values)
			if c.repaired() != tc.copies || !slices.Equal(g.values, tc.want) {
				t.Errorf("the next get gave %v, and repaired %d copies", g, c.repaired()-tc.copies)
			}
			c.end()
		})
	}
}

// TestReadRepairWaitsNoLongerThanTheDeadline for an answer that does not come.
func TestReadRepairWaitsNoLongerThanTheDeadline(t *testing.T) {
	c := newCluster(t, 3)
	list := c.prefer("a")
	c.write("a", "v", nil, list[0])
	kill(false, list[2])
	g := c.get(list[0].index(), "a", kv.Defaults())
	c.run()
	want(t, g, "[v]")
	c.wantCopies("a", nil, list[1])
	c.pass(kv.DefaultTimeout + time.Millisecond)
	c.run()
	c.wantCopies("a", []string{"v"}, list[1])
	if c.repaired() != 1 {
		t.Errorf("%d copies repaired", c.repaired())
	}

	// The repair itself may go unanswered.
	c.write("a", "w", nil, list[0])
	c.get(list[0].index(), "a", kv.Defaults())
	c.runOnly(func(m message) bool { return m.typ != wire.TypeReplicaPut || m.answer })
	c.pass(kv.DefaultTimeout + time.Millisecond)
	kill(false, list[1])
	c.end()
	if c.repaired() != 1 {
		t.Errorf("%d copies repaired", c.repaired())
	}
}

// TestAFailedGetRepairsNothing, nor does one that asks nobody.
func TestAFailedGetRepairsNothing(t *testing.T) {
	c := newCluster(t, 3)
	list := c.prefer("a")
	c.write("a", "v", nil, list[0])
	want(t, c.get(list[0].index(), "a", opts(1, 1, 1)), "[v]")
	kill(false, list[2])
	g := c.get(list[0].index(), "a", opts(3, 3, 3))
	c.end()
	want(t, g, "timeout, applied no")
	if c.repaired() != 0 {
		t.Errorf("%d copies repaired", c.repaired())
	}
}

// TestReadRepairOfStandIns: a hint that is stale is brought up to date; where
// there is none, none is made.
func TestReadRepairOfStandIns(t *testing.T) {
	c := newCluster(t, 5)
	list := c.prefer("a")
	kill(true, list[2])
	p := c.put(list[0].index(), "a", "v", nil, kv.Defaults())
	c.run()
	c.write("a", "w", p.context, list[0], list[1])
	g := c.get(list[0].index(), "a", kv.Defaults())
	c.run()
	want(t, g, "[w]")
	if got := list[3].hints("a"); !slices.Equal(got, []string{"w"}) || c.repaired() != 1 {
		t.Errorf("the stand-in's hint is %v, %d copies repaired", got, c.repaired())
	}

	c.write("b", "v", nil, c.prefer("b")[0], c.prefer("b")[1])
	other := c.prefer("b")
	revive(list[2])
	kill(true, other[2])
	g = c.get(other[0].index(), "b", opts(3, 3, 3))
	c.run()
	want(t, g, "[v]")
	if got := other[3].hints("b"); len(got) > 0 || c.repaired() != 1 {
		t.Errorf("a get made a hint of %v, %d copies repaired", got, c.repaired()-1)
	}

	// A stand-in that coordinates repairs its own hint.
	revive(other[2])
	kill(true, list[:3]...)
	p = c.put(list[3].index(), "a", "x", nil, opts(1, 1, 1))
	c.run()
	want(t, p, "[]")
	g = c.get(list[3].index(), "a", opts(2, 2, 2))
	c.run()
	c.end()
	slices.Sort(g.values)
	want(t, g, "[w x]")
}

// hints returns the live values of n's hints of key.
func (n *node) hints(key string) []string {
	n.t.Helper()
	k := testKey(n.t, key)
	o, _, err := n.store.ReadHints(n.ring.PartitionOf(k), k, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return liveValues(o)
}

// keepsForStranger tells whether n keeps hints that nobody will ever take.
func (n *node) keepsForStranger() bool {
	return slices.ContainsFunc(n.store.Hints(), func(s replica.HintStats) bool { return s.Owner == stranger })
}

// reaped is a cluster of which the owners of key "a" had a value, deleted it, and
// dropped the tombstone under a floor. An old put of the value has just reached
// a stand-in for the third owner, which is down.
func reaped(t *testing.T, cfg Config) (c *cluster, list []*node) {
	c = newCluster(t, 5)
	for _, n := range c.nodes {
		n.coord.cfg = cfg
	}
	list = c.prefer("a")
	k := testKey(t, "a")
	part := list[0].ring.PartitionOf(k)
	p := c.put(list[0].index(), "a", "v", nil, opts(3, 3, 3))
	c.run()
	old, _, err := list[0].store.Read(part, k, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.del(list[1].index(), "a", p.context, opts(3, 3, 3))
	c.run()
	var f vclock.Floor
	for _, n := range c.nodes {
		f = vclock.AppendFloorEntry(f, n.id, n.seq+1)
	}
	for _, n := range list[:3] {
		if err := n.store.RaiseFloor([]kv.Partition{part}, f); err != nil {
			t.Fatal(err)
		}
		for did := 1; did > 0; {
			if did, err = n.store.Upkeep(1 << 20); err != nil {
				t.Fatal(err)
			}
		}
		if o, _, err := n.store.Read(part, k, nil); err != nil || o.Bytes() != nil {
			t.Fatalf("node %v still has the tombstone (%v)", n.id, err)
		}
	}
	if err := list[3].store.MergeHint(list[2].id, part, k, old, nil); err != nil {
		t.Fatal(err)
	}
	kill(true, list[2])
	return c, list
}

// TestAFloorKeepsAwayWhatItCovers: the owners' floors tell that what a stand-in
// brings was seen and deleted, whoever coordinates and whoever answers first.
func TestAFloorKeepsAwayWhatItCovers(t *testing.T) {
	for _, omit := range []Omit{0, OmitFloors} {
		answer := "[]"
		if omit != 0 {
			answer = "[v]"
		}
		cfg := DefaultForTest()
		cfg.Omit = omit
		c, list := reaped(t, cfg)
		g := c.get(list[0].index(), "a", opts(3, 3, 3))
		c.run()
		want(t, g, answer)

		// The stand-in coordinates, and hears of the floor from the owners.
		g = &outcome{t: t}
		list[3].coord.Get(Request{Key: testKey(t, "a"), Options: opts(3, 3, 3), Forwarded: true, StandIn: true}, g)
		c.run()
		want(t, g, answer)
		c.end()
		if omit == 0 {
			c.wantCopies("a", nil, list[:3]...)
		}
	}
}

// TestRepairUnderFloors: what an owner has not reaped yet is no difference, and
// what the floor covers is not sent about.
func TestRepairUnderFloors(t *testing.T) {
	c := newCluster(t, 3)
	list := c.prefer("a")
	k := testKey(t, "a")
	part := list[0].ring.PartitionOf(k)
	p := c.put(list[0].index(), "a", "v", nil, opts(3, 3, 3))
	c.run()
	c.del(list[1].index(), "a", p.context, opts(3, 3, 3))
	c.run()
	var f vclock.Floor
	for _, n := range c.nodes {
		f = vclock.AppendFloorEntry(f, n.id, n.seq+1)
	}
	// The first owner has raised its floor and reaped, the others have not.
	if err := list[0].store.RaiseFloor([]kv.Partition{part}, f); err != nil {
		t.Fatal(err)
	}
	for did, err := 1, error(nil); did > 0; {
		if did, err = list[0].store.Upkeep(1 << 20); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range list {
		g := c.get(n.index(), "a", opts(3, 3, 3))
		c.run()
		if g.err != nil || len(g.values) > 0 && g.values[0] != "<deleted>" {
			t.Errorf("node %v: %v (%v)", n.id, g, g.err)
		}
	}
	if c.repaired() != 0 {
		t.Errorf("%d copies repaired", c.repaired())
	}

	// A later write is repaired as ever.
	c.write("a", "w", nil, list[0])
	g := c.get(list[1].index(), "a", opts(3, 3, 3))
	c.run()
	if !slices.Contains(g.values, "w") {
		t.Errorf("got %v", g)
	}
	c.wantCopies("a", []string{"w"}, list...)
	c.end()
}

// TestADamagedCopy is no answer, and gets what the others have.
func TestADamagedCopy(t *testing.T) {
	c := newCluster(t, 3)
	list := c.prefer("a")
	c.write("a", "v", nil, list...)
	damaged := &broken{Local: list[0].store}
	list[0].coord.Local = damaged
	g := c.get(list[0].index(), "a", kv.Defaults())
	c.run()
	want(t, g, "[v]")
	want(t, c.get(list[0].index(), "a", opts(3, 3, 3)), "corrupt, applied no")
	c.end()
	if damaged.merged != 1 {
		t.Errorf("the copy was repaired %d times, want after the get that was answered", damaged.merged)
	}
}

// broken is a node's copies of which none can be read.
type broken struct {
	Local
	merged int
}

func (l *broken) ReadUnder(_ kv.Level, _ kv.Partition, _ kv.Key, buf []byte) (object.Object, vclock.Floor, uint64, []byte, error) {
	return object.Object{}, nil, 0, buf, kv.Errorf(kv.KindCorrupt, "read record", "the checksum does not match")
}

func (l *broken) Merge(kv.Partition, kv.Key, object.Object, vclock.Floor, storage.Waiter) error {
	l.merged++
	return nil
}
