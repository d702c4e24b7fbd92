package antientropy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// floorOf returns a floor of one entry.
func floorOf(id kv.NodeID, seq uint64) vclock.Floor { return vclock.AppendFloorEntry(nil, id, seq) }

// TestFloorsThatDiffer: copies with different floors, of which some have reaped
// and some have not, come to equal floors and trees, and are silent then.
func TestFloorsThatDiffer(t *testing.T) {
	c := newCluster(t, 3, testRing(t, 1, 1, 1, 2, 3), quiet())
	for i := range 40 {
		k := fmt.Sprintf("k%d", i)
		var o object.Object
		for _, n := range c.nodes { // clocks of three entries
			n.merge(k, o)
			o = n.put(k, "v", o)
		}
		if i%2 == 0 {
			o = c.nodes[i%3].put(k, "", o)
		}
		for _, n := range c.nodes {
			n.merge(k, o)
		}
	}
	c.exchange()
	for i, n := range c.nodes { // each has seen all, and knows it of one node
		if err := n.store.RaiseFloor([]kv.Partition{0}, floorOf(kv.NodeID(i+1), n.seq)); err != nil {
			t.Fatal(err)
		}
	}
	c.nodes[0].upkeep()
	c.exchange()
	c.equal()
	for _, n := range c.nodes {
		if n.floor().Len() != 3 {
			t.Errorf("node %v has the floor %x", n.id, n.floor())
		}
		n.upkeep()
		if keys, _, reapable := n.store.Usage(0); keys != 20 || reapable != 0 {
			t.Errorf("node %v has %d keys, %d to be reaped", n.id, keys, reapable)
		}
	}
	c.exchange()
	messages := c.messages
	c.exchange()
	if n := c.messages - messages; n != 3*2*6 {
		t.Errorf("equal copies cost %d messages", n)
	}
}

// TestNewOwner: a copy that is filled takes the floor over only when it has all
// that the other one had.
func TestNewOwner(t *testing.T) {
	cfg := quiet()
	cfg.MaxMessage = minMessage
	c := newCluster(t, 2, testRing(t, 1, 1, 1, 2), cfg)
	a, b := c.nodes[0], c.nodes[1]
	for i := range 200 {
		a.put(fmt.Sprintf("k%d", i), strings.Repeat("v", 1000), none)
	}
	if err := a.store.RaiseFloor([]kv.Partition{0}, floorOf(1, a.seq)); err != nil {
		t.Fatal(err)
	}
	a.keeper.PeerUp(2)
	c.pass(time.Millisecond)
	for len(c.pending) > 0 {
		keys, _, _ := b.store.Usage(0)
		if len(b.floor()) > 0 && keys < 200 {
			t.Fatalf("the new owner has the floor with %d of 200 keys", keys)
		}
		c.deliver(0)
	}
	if string(b.floor()) != string(a.floor()) || len(b.floor()) == 0 {
		t.Errorf("the new owner's floor is %x, want %x", b.floor(), a.floor())
	}
	c.equal()
}

// TestPages: no message is much larger than it may be, whatever the leaves hold,
// and objects that are larger than a message travel alone.
func TestPages(t *testing.T) {
	cfg := quiet()
	cfg.MaxMessage = minMessage
	c := newCluster(t, 2, testRing(t, 1, 1, 1, 2), cfg)
	var keys []string
	for i := 0; len(keys) < 400; i++ { // many keys in one leaf
		if k := fmt.Sprintf("key%d", i); merkle.LeafOf(merkle.Position(key(k))) < 2 {
			keys = append(keys, k)
		}
	}
	for i, k := range keys {
		size := 100
		if i%50 == 0 {
			size = 2 * minMessage
		}
		c.nodes[i%2].put(k, strings.Repeat("v", size), none)
		if i%7 == 0 {
			c.nodes[(i+1)%2].put(k, "w", none)
		}
	}
	largest := 0
	c.trace = func(m *message) { largest = max(largest, len(m.payload)) }
	c.exchange()
	c.equal()
	if n, _, _ := c.nodes[0].store.Usage(0); n != 400 {
		t.Errorf("%d keys, want 400", n)
	}
	if limit := 3*minMessage + 1000; largest > limit {
		t.Errorf("a message has %d bytes, more than %d", largest, limit)
	}
}

// TestWritesMeanwhile: an exchange that began is complete in the sense that each
// copy has what the other had at its beginning, whatever is written meanwhile.
func TestWritesMeanwhile(t *testing.T) {
	cfg := quiet()
	cfg.MaxMessage = minMessage
	c := newCluster(t, 2, testRing(t, 1, 4, 1, 2), cfg)
	a, b := c.nodes[0], c.nodes[1]
	for i := range 300 {
		c.nodes[i%2].put(fmt.Sprintf("k%d", i), strings.Repeat("v", 200), none)
	}
	i := 0
	c.trace = func(*message) {
		for range 5 {
			k := fmt.Sprintf("k%d", i*7%400)
			c.nodes[i%2].put(k, "w", c.nodes[i%2].get(k))
			i++
		}
	}
	a.keeper.PeerUp(2)
	c.pass(time.Millisecond)
	c.run()
	c.trace = nil
	if s := a.keeper.peers[2].status; s.Complete != 4 {
		t.Fatalf("%d of 4 partitions are complete, %v", s.Complete, s.Err)
	}
	for i := range 300 {
		k := fmt.Sprintf("k%d", i)
		if a.values(k) == "" || b.values(k) == "" {
			t.Errorf("%s is missing", k)
		}
	}
	c.exchange()
	c.equal()
}

// damage makes the record of k unreadable at a node.
func (n *node) damage(k string) {
	n.t.Helper()
	p := n.place(key(k))
	var at []byte
	_ = n.engine.Engine.Scan(storage.NewPrefix(storage.SpaceData, p), nil, func(engineKey, _ []byte) bool {
		if strings.HasSuffix(string(engineKey), string(key(k))) {
			at = append([]byte(nil), engineKey...)
		}
		return at == nil
	})
	n.engine.unreadable[string(at)] = true
	if _, err := n.store.ScrubSlice(p, 0, merkle.Leaves); err != nil {
		n.t.Fatal(err)
	}
	n.upkeep()
}

// TestRefill: a copy that lost data answers for nothing, and is no source, until
// it has met N-W+1 other owners.
func TestRefill(t *testing.T) {
	for _, omit := range []Omit{0, OmitDamage} {
		cfg := quiet()
		cfg.Omit = omit
		c := newCluster(t, 3, testRing(t, 1, 1, 1, 2, 3), cfg)
		o := c.nodes[0].put("k", "v", none)
		c.nodes[1].merge("k", o) // acknowledged by two; the third has not got it
		c.nodes[2].down = true
		c.nodes[0].damage("k")
		c.live(20 * time.Second)
		_, _, err := c.nodes[0].store.Read(0, key("k"), nil)
		if omit != 0 {
			if err != nil {
				t.Error("without the rule a copy that lost data answers at once")
			}
			continue
		}
		if kv.KindOf(err) != kv.KindCorrupt {
			t.Errorf("with one source of two the copy answers: %v", err)
		}
		s := c.nodes[0].keeper.Status().Refilling
		if len(s) != 1 || s[0].Needed != 2 || len(s[0].Sources) != 1 || s[0].Sources[0] != 2 {
			t.Errorf("status %+v", s)
		}
		c.nodes[2].down = false
		c.live(20 * time.Second)
		c.want("k", "v", 1, 2, 3)
		c.equal()
		if s := c.nodes[0].keeper.Status().Refilling; len(s) != 0 {
			t.Errorf("status %+v", s)
		}
	}
}

// TestRefillAgain: damage that comes while a copy is refilled voids what it was
// filled with.
func TestRefillAgain(t *testing.T) {
	c := newCluster(t, 3, testRing(t, 1, 1, 1, 2, 3), quiet())
	for i := range 20 {
		o := c.nodes[0].put(fmt.Sprintf("k%d", i), "v", none)
		c.nodes[1].merge(fmt.Sprintf("k%d", i), o)
	}
	c.nodes[2].down = true
	c.nodes[0].damage("k1")
	c.live(20 * time.Second)
	c.nodes[0].damage("k2")
	c.nodes[1].down, c.nodes[2].down = true, false
	c.live(20 * time.Second)
	if _, _, err := c.nodes[0].store.Read(0, key("k2"), nil); kv.KindOf(err) != kv.KindCorrupt {
		t.Errorf("a source from before the damage counted: %v", err)
	}
	c.nodes[1].down = false
	c.live(20 * time.Second)
	c.want("k2", "v", 1, 2, 3)
}

// TestNoSources: copies that are damaged, or whose trees are being built, are
// not compared, and no sweep covers them.
func TestNoSources(t *testing.T) {
	c := newCluster(t, 3, testRing(t, 1, 1, 1, 2, 3), testConfig())
	o := c.nodes[0].put("k", "v", none)
	o = c.nodes[0].put("k", "", o)
	c.nodes[1].merge("k", o)
	c.nodes[2].merge("k", o)
	if err := c.nodes[1].store.MarkDamaged(0, errUnreadable); err != nil {
		t.Fatal(err)
	}
	c.lazy = true // what cannot be read is not cut out, so the copy stays closed
	c.nodes[0].lead()
	c.live(2 * time.Minute)
	for _, n := range c.nodes {
		if len(n.floor()) > 0 {
			t.Errorf("node %v raised its floor", n.id)
		}
	}
	s := c.nodes[0].keeper.Status()
	if len(s.Peers) == 0 || s.Peers[0].Partitions != 1 || s.Peers[0].Complete != 0 {
		t.Errorf("a damaged copy was compared: %+v", s.Peers)
	}
	if w := s.Sweep; len(w.Stopped) != 1 || w.Stopped[0] != 2 || w.Abandoned == 0 {
		t.Errorf("status %+v", w)
	}
	c.lazy = false
	c.live(2 * time.Minute)
	for _, n := range c.nodes {
		n.upkeep()
		if keys, _, _ := n.store.Usage(0); keys != 0 {
			t.Errorf("node %v has %d keys", n.id, keys)
		}
	}
}

// TestLeftOver: a copy that belongs elsewhere is given to all present owners,
// and dropped; not before all have it, nor if it is written to meanwhile.
func TestLeftOver(t *testing.T) {
	c := newCluster(t, 4, testRing(t, 1, 1, 4), quiet())
	x := c.nodes[3]
	for i := range 50 {
		x.put(fmt.Sprintf("k%d", i), "v", none)
	}
	c.move(2, 1, 2, 3)
	c.nodes[2].down = true
	c.live(20 * time.Second)
	c.want("k7", "v", 1, 2)
	if s := x.keeper.Status().LeftOver; len(s) != 1 || len(x.store.Held()) != 1 {
		t.Errorf("left over %v, held %v", s, x.store.Held())
	}
	c.nodes[2].down = false
	late := c.nodes[0].put("late", "v", none)
	done := false
	c.hold = func(m *message) bool {
		if m.String() == "3→4 exchange answer" && m.payload[0] == byte(kindAdopt) && !done {
			done = true
			x.merge("late", late)
		}
		return false
	}
	for range 20 { // node 3 is filled first: it has nothing
		if !done {
			c.live(time.Second)
		}
	}
	if len(x.store.Held()) != 1 || !done {
		t.Error("a copy was dropped that had been written to")
	}
	c.live(20 * time.Second)
	if len(x.store.Held()) != 0 || len(x.keeper.Status().LeftOver) != 0 {
		t.Errorf("left over %v", x.store.Held())
	}
	c.want("late", "v", 1, 2, 3)
	// What was given is durable: the copy is gone.
	for _, n := range c.nodes[:3] {
		n.crash()
	}
	c.want("k7", "v", 1, 2, 3)
}

// TestBranchLeftOut: the rule that is broken on purpose leaves copies different.
func TestBranchLeftOut(t *testing.T) {
	for _, omit := range []Omit{0, OmitBranch} {
		cfg := quiet()
		cfg.Omit = omit
		c := newCluster(t, 2, testRing(t, 1, 1, 1, 2), cfg)
		for i := range 100 {
			c.nodes[0].put(fmt.Sprintf("k%d", i), "v", none)
		}
		c.exchange()
		if n, _, _ := c.nodes[1].store.Usage(0); (n == 100) != (omit == 0) {
			t.Errorf("omit %v: %d of 100 keys arrived", omit, n)
		}
	}
}

// TestPace: what an exchange sends and receives keeps to the rate.
func TestPace(t *testing.T) {
	cfg := quiet()
	cfg.MaxMessage, cfg.Rate = minMessage, 100_000
	c := newCluster(t, 2, testRing(t, 1, 1, 1, 2), cfg)
	for i := range 1000 {
		c.nodes[0].put(fmt.Sprintf("k%d", i), strings.Repeat("v", 1000), none)
	}
	for i := range 120 {
		if i == 20 {
			c.bytes = 0
		}
		c.pass(50 * time.Millisecond)
		c.run()
	}
	if want := 500_000; c.bytes > want+50_000 || c.bytes < want/2 {
		t.Errorf("%d bytes in 5 s, the rate allows %d", c.bytes, want)
	}
	if s := c.nodes[0].keeper.Status().Exchanges; len(s) != 1 || s[0].Peer != 2 || s[0].Sent == 0 || s[0].Purpose != "cycle" {
		t.Errorf("status %+v", s)
	}
	for range 200 {
		c.pass(50 * time.Millisecond)
		c.run()
	}
	c.equal()
}

// TestOtherRing: nodes that know different rings do not compare copies, and the
// one that is behind asks for the newer one.
func TestOtherRing(t *testing.T) {
	c := newCluster(t, 3, testRing(t, 1, 1, 1, 2, 3), quiet())
	c.nodes[0].put("k", "v", none)
	c.nodes[1].ring, c.nodes[2].ring = testRing(t, 2, 1, 1, 2, 3), testRing(t, 2, 1, 1, 2, 3)
	c.live(20 * time.Second)
	c.want("k", "", 2, 3)
	if c.nodes[0].refreshed == 0 || c.nodes[1].refreshed != 0 {
		t.Errorf("asked for the ring: %d and %d times", c.nodes[0].refreshed, c.nodes[1].refreshed)
	}
	c.nodes[0].ring = c.nodes[1].ring
	c.live(20 * time.Second)
	c.want("k", "v", 1, 2, 3)
}
