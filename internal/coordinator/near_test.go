package coordinator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// threeZones returns six nodes in three zones that are d apart.
func threeZones(t *testing.T, d time.Duration) *cluster {
	t.Helper()
	c := newZones(t, 6, "a", "b", "c")
	for i, n := range c.nodes {
		n.far = map[kv.NodeID]time.Duration{}
		for j, other := range c.nodes {
			if i%3 != j%3 {
				n.far[other.id] = d
			}
		}
	}
	return c
}

// zone tells which zone n is in.
func (n *node) zone() int { return n.index() % 3 }

// homely picks the messages that stay within one zone.
func homely(m message) bool { return m.from.zone() == m.to.zone() }

// between counts the messages under way between zones.
func (c *cluster) between() (count int) {
	for _, m := range c.pending {
		if !homely(m) {
			count++
		}
	}
	return count
}

// TestOneOneStaysInItsZone: with an owner in each zone a get and a put at 1,1 are
// answered whichever node is asked, though not a byte arrives in another zone. A
// get sends none; a put sends what others are to have, and waits for nobody.
func TestOneOneStaysInItsZone(t *testing.T) {
	for i := range 6 {
		for k := range 20 {
			c := threeZones(t, 50*time.Millisecond)
			key := fmt.Sprint("key", k)
			p := c.put(i, key, "v", nil, opts(1, 1, 1))
			c.runOnly(homely)
			want(t, p, "[]")
			if got := c.between(); got != 2 {
				t.Errorf("a put at node %d sent %d messages to other zones, want one to each", i, got)
			}
			c.pending = nil // the other zones are gone
			g := c.get(i, key, opts(1, 1, 1))
			c.runOnly(homely)
			want(t, g, "[v]")
			if got := c.between(); got != 0 {
				t.Errorf("a get at node %d sent %d messages to other zones", i, got)
			}
		}
	}
}

// TestTwoTwoWaitsForOneOtherZone: whichever that is.
func TestTwoTwoWaitsForOneOtherZone(t *testing.T) {
	for i := range 6 {
		for _, gone := range []int{1, 2} {
			c := threeZones(t, 50*time.Millisecond)
			near := func(m message) bool { return m.from.zone() != (i+gone)%3 && m.to.zone() != (i+gone)%3 }
			p := c.put(i, "a", "v", nil, opts(2, 2, 2))
			c.runOnly(homely)
			want(t, p, "pending")
			c.runOnly(near)
			want(t, p, "[]")
			g := c.get(i, "a", opts(2, 2, 2))
			c.runOnly(homely)
			want(t, g, "pending")
			c.runOnly(near)
			want(t, g, "[v]")
			c.end()
		}
	}
}

// TestTheContextsNodeIsPreferredWhereItIsNear: the client of a context may have
// moved to another zone since.
func TestTheContextsNodeIsPreferredWhereItIsNear(t *testing.T) {
	owners := []kv.NodeID{1, 2, 3, 4}
	for _, test := range []struct {
		preferred kv.NodeID
		far       [4]time.Duration
		want      []kv.NodeID
	}{
		{0, [4]time.Duration{30, 20, 20, 10}, []kv.NodeID{4, 2, 3, 1}},
		{9, [4]time.Duration{30, 20, 20, 10}, []kv.NodeID{4, 2, 3, 1}},
		{1, [4]time.Duration{300_000, 400_000, 200_000, 0}, []kv.NodeID{1, 4, 3, 2}},
		{2, [4]time.Duration{30, 1e6 + 20, 20, 10}, []kv.NodeID{2, 4, 3, 1}},
		{2, [4]time.Duration{30, 1e6 + 21, 20, 10}, []kv.NodeID{4, 3, 1, 2}},
		{3, [4]time.Duration{90e6, 70e6, 80e6, 60e6}, []kv.NodeID{3, 4, 2, 1}},
		{3, [4]time.Duration{1e6, 70e6, 80e6, 60e6}, []kv.NodeID{1, 4, 2, 3}},
	} {
		n := &node{far: map[kv.NodeID]time.Duration{}}
		for i, id := range owners {
			n.far[id] = test.far[i]
		}
		got := slices.Clone(owners)
		New(Default(), Deps{Peers: n, Now: time.Now}).sortNear(got, test.preferred)
		if !slices.Equal(got, test.want) {
			t.Errorf("at %v, %v preferred: %v, want %v", test.far, test.preferred, got, test.want)
		}
	}
}

// TestFarOwnersAreGivenTime: owners 150 ms away are not taken for slow after
// StandInAfter, when none of them can have answered. Later they are.
func TestFarOwnersAreGivenTime(t *testing.T) {
	const away = 150 * time.Millisecond
	c := threeZones(t, away)
	list := c.prefer("a")
	at, other := list[0].index(), (list[0].index()+3)%6
	put := c.put(at, "a", "v", nil, opts(2, 2, 2))
	get := c.get(at, "a", opts(2, 2, 2))
	passed := c.get(other, "a", opts(2, 2, 2)) // to the owner in its own zone
	c.runOnly(homely)
	asked := len(c.pending)
	for range 14 { // as node does
		c.pass(10 * time.Millisecond)
	}
	if len(c.pending) != asked {
		t.Errorf("%d further messages before any owner can have answered", len(c.pending)-asked)
	}
	for range 20 {
		c.pass(10 * time.Millisecond)
	}
	for _, o := range []*outcome{put, get, passed} {
		want(t, o, "pending")
	}
	// The put and both gets look for other nodes in the stead of both owners; the
	// get that was passed on goes to a further owner as well.
	if got := len(c.pending) - asked; got != 7 {
		t.Errorf("%d messages %v later, want 7", got, 340*time.Millisecond)
	}
	c.run()
	want(t, put, "[]")
	c.end()
}

// TestAStandInDoesNotOutrunAFarOwner: a stand-in that knows nothing is near, and
// the owner that has the latest value is not: the get waits for the owner.
func TestAStandInDoesNotOutrunAFarOwner(t *testing.T) {
	c := threeZones(t, 150*time.Millisecond)
	list := c.prefer("a")
	p := c.put(list[0].index(), "a", "v", nil, opts(2, 2, 2))
	c.runOnly(without(list[2]))
	want(t, p, "[]")
	c.pending = nil // the third owner has missed it
	kill(true, list[1])
	g := c.get(list[2].index(), "a", opts(2, 2, 2))
	c.runOnly(without(list[0]))
	for range 14 {
		c.pass(10 * time.Millisecond)
	}
	want(t, g, "pending")
	c.run()
	want(t, g, "[v]")
	c.end()
}
