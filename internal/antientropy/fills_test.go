package antientropy

import (
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/pace"
)

// fetched counts what each node fetches in fills, in bytes of answers.
func (c *cluster) fetched() map[kv.NodeID]int {
	got := map[kv.NodeID]int{}
	c.trace = func(m *message) {
		if m.answer && m.payload[0] == byte(kindKeys) {
			got[m.to.id] += len(m.payload)
		}
	}
	return got
}

// TestFetchedOnce: a partition is fetched from one owner; the others only confirm.
func TestFetchedOnce(t *testing.T) {
	c := newChanging(t, 4, quiet(), testParams(16), 1, 2, 3)
	c.fill(400, strings.Repeat("v", 1000))
	got := c.fetched()
	c.commit(1, nil, 1, 2, 3, 4)
	c.settled(time.Minute)
	c.whole(400, strings.Repeat("v", 1000))
	all, moved := 0, 0
	for _, n := range got {
		all += n
	}
	for p := range 16 {
		_, bytes, _ := c.node(4).store.Usage(kv.Partition(p))
		moved += int(bytes)
	}
	if all > moved*115/100 || moved == 0 {
		t.Errorf("%d bytes were fetched for %d of records", all, moved)
	}
}

// TestResumes: after a crash of the gainer, or of its source, less is fetched
// again than one partition.
func TestResumes(t *testing.T) {
	for _, crashed := range []kv.NodeID{4, 1, 2, 3} {
		cfg := quiet()
		cfg.MaxMessage = minMessage
		c := newChanging(t, 4, cfg, testParams(16), 1, 2, 3)
		c.fill(800, strings.Repeat("v", 4000))
		got := c.fetched()
		c.commit(1, nil, 1, 2, 3, 4)
		for range 50 { // about half of it
			c.pass(50 * time.Millisecond)
			for range 6 {
				if len(c.pending) > 0 {
					c.deliver(0)
				}
			}
		}
		c.node(crashed).crash()
		c.pending = nil
		c.settled(5 * time.Minute)
		c.whole(800, strings.Repeat("v", 4000))
		moved, largest := 0, 0
		for p := range 16 {
			_, bytes, _ := c.node(4).store.Usage(kv.Partition(p))
			moved, largest = moved+int(bytes), max(largest, int(bytes))
		}
		streams := 3 // from each of the old owners one
		if got[4] > moved*105/100+streams*largest {
			t.Errorf("node %v crashed: %d bytes were fetched for %d, a partition has %d", crashed, got[4], moved, largest)
		}
		t.Logf("node %v crashed: %d bytes for %d", crashed, got[4], moved)
	}
}

// TestFillPace: fills keep to their rate, which can be changed, and make room for
// requests of clients at either end, without stopping.
func TestFillPace(t *testing.T) {
	cfg := quiet()
	cfg.MaxMessage, cfg.FillRate = minMessage, 200_000
	c := newChanging(t, 4, cfg, testParams(1), 1, 2, 3)
	c.fill(2000, strings.Repeat("v", 1000))
	got := c.fetched()
	c.commit(1, nil, 1, 2, 4)
	in := func(d time.Duration) int {
		before := got[4]
		for ; d > 0; d -= 50 * time.Millisecond {
			c.pass(50 * time.Millisecond)
			c.run()
		}
		return got[4] - before
	}
	in(2 * time.Second) // it begins slowly
	if n := in(2 * time.Second); n < 300_000 || n > 480_000 {
		t.Errorf("%d bytes in 2 s", n)
	}
	for _, strained := range []*node{c.node(4), c.node(3)} {
		strained.load = pace.Strained
		in(time.Second)
		if n := in(3 * time.Second); n < slowest || n > 4*slowest {
			t.Errorf("node %v is strained: %d bytes in 3 s", strained.id, n)
		}
		strained.load = pace.Idle
	}
	s := c.node(4).keeper.Status().Steps
	_, whole, _ := c.node(1).store.Usage(0)
	_, has, _ := c.node(4).store.Usage(0)
	// What is left is as of a look within the last second.
	if left := whole - has; s.BytesLeft < left || s.BytesLeft > left+100_000 || s.Eta == 0 {
		t.Errorf("%d bytes are left, its source has %d and it %d; it takes %v", s.BytesLeft, whole, has, s.Eta)
	}
	if s.Epoch != 2 || s.Left != 1 || s.Gains != 1 || s.Received == 0 || s.Phases != [4]int{1: 1} {
		t.Errorf("status %+v", s)
	}
	if w := s.Waits; len(w) != 3 || w[2].Node != 4 || w[2].Fills != 1 || w[2].Since.IsZero() {
		t.Errorf("it waits for %+v", w)
	}
	if s := c.node(3).keeper.Status().Steps; s.Sent == 0 || s.Objects == 0 || s.Objects >= s.Sent {
		t.Errorf("the source's status is %+v", s)
	}
	if err := c.node(4).keeper.SetFillRate(0); kv.KindOf(err) != kv.KindInvalid {
		t.Errorf("a rate of 0: %v", err)
	}
	if err := c.node(4).keeper.SetFillRate(1 << 30); err != nil {
		t.Fatal(err)
	}
	in(2 * time.Second)
	c.settled(time.Minute)
	c.whole(2000, strings.Repeat("v", 1000))
	in(time.Second)
	if s := c.node(4).keeper.Status(); s.Steps.Epoch != 0 || s.Fills.Received < whole*9/10 || s.Fills.Late != 0 {
		t.Errorf("after the change: %+v, %+v", s.Steps, s.Fills)
	}
	if s := c.node(3).keeper.Status().Fills; s.Sent < whole*9/10 {
		t.Errorf("after the change the source has sent %d bytes of %d", s.Sent, whole)
	}
}

// TestWaitsForTheGainer: the owners that stay do not end a step while the one that
// is new is being filled; but they do when it has not answered for a while, and it
// gets everything when it is back.
func TestWaitsForTheGainer(t *testing.T) {
	cfg := quiet()
	cfg.FillRate, cfg.MaxMessage = 100_000, minMessage
	c := newChanging(t, 4, cfg, testParams(1), 1, 2, 3)
	c.fill(500, strings.Repeat("v", 1000))
	c.commit(1, nil, 1, 2, 4)
	c.live(2 * time.Second)
	if _, phase := c.node(1).phase(); phase != 1 {
		t.Fatalf("phase %d while the new owner is being filled", phase)
	}
	c.node(4).down = true
	c.live(cfg.FillPatience - 2*time.Second)
	if _, phase := c.node(1).phase(); phase != 1 {
		t.Fatalf("phase %d before it was waited for long enough", phase)
	}
	c.live(4 * time.Second)
	if _, phase := c.node(1).phase(); phase != 3 {
		t.Fatalf("phase %d after it was waited for", phase)
	}
	if len(c.node(3).store.Held()) != 1 {
		t.Error("the former copy is dropped before the new owner has all")
	}
	c.node(4).down = false
	c.settled(time.Minute)
	c.whole(500, strings.Repeat("v", 1000))
}

// TestAllStartAnew: what was told before is told again, from what is durable, when
// every node was started anew at each moment of a change.
func TestAllStartAnew(t *testing.T) {
	for after := range 60 {
		c := newChanging(t, 5, quiet(), testParams(2), 1, 2, 3)
		c.fill(20, "v")
		c.commit(1, nil, 1, 4, 5)
		for i := 0; i < after; {
			if len(c.pending) == 0 {
				c.pass(50 * time.Millisecond)
			}
			if len(c.pending) > 0 {
				if !c.pending[0].gossip {
					i++
				}
				c.deliver(0)
			} else {
				i++
			}
		}
		c.pending = nil
		for _, n := range c.nodes {
			n.crash()
		}
		c.settled(2 * time.Minute)
		c.whole(20, "v")
	}
}

// TestDamageInAStep: a copy that loses data in a step is no source, and not done
// anew until it is whole; the step goes on without it, and the copy counts again.
func TestDamageInAStep(t *testing.T) {
	for _, hurt := range []kv.NodeID{1, 3, 4} {
		cfg := quiet()
		cfg.Every = time.Hour
		cfg.FillRate, cfg.MaxMessage = 200_000, minMessage
		c := newChanging(t, 4, cfg, testParams(1), 1, 2, 3)
		c.fill(300, strings.Repeat("v", 1000))
		c.commit(1, nil, 1, 2, 4)
		c.pass(50 * time.Millisecond)
		c.run()
		c.pass(50 * time.Millisecond)
		c.run()
		n := c.node(hurt)
		for i := range 300 {
			if k := key("k" + string(rune('0'+i%10))); n.store != nil {
				if o, _, err := n.store.Read(0, k, nil); err == nil && o.Len() > 0 {
					n.damage("k" + string(rune('0'+i%10)))
					break
				}
			}
		}
		if len(n.store.Damaged()) != 1 {
			t.Fatalf("node %v is not damaged", hurt)
		}
		if f := n.store.Fill(0); f.Done {
			t.Errorf("node %v: its copy is damaged, and filled", hurt)
		}
		c.settled(2 * time.Minute)
		c.live(5 * time.Second)
		for _, n := range c.nodes {
			if len(n.store.Damaged()) > 0 {
				t.Errorf("node %v is damaged in the end", n.id)
			}
		}
		c.exchange()
		c.whole(300, strings.Repeat("v", 1000))
	}
}

// TestIdleLook: a Tick costs next to nothing while a large change goes on and
// nothing is new.
func TestIdleLook(t *testing.T) {
	c := newChanging(t, 4, quiet(), testParams(1024), 1, 2, 3)
	c.node(4).down = true
	c.commit(1, nil, 1, 2, 3, 4)
	for range 20 {
		c.pass(50 * time.Millisecond)
		c.run()
	}
	m := &c.node(1).keeper.mover
	if len(m.parts) < 700 {
		t.Fatalf("%d partitions are under way", len(m.parts))
	}
	if n := testing.AllocsPerRun(100, func() { m.tick(m.cur, c.now) }); n > 0 {
		t.Errorf("an idle look allocates %v times", n)
	}
}

// BenchmarkLook is a look over the steps of 1,024 partitions with no new mark.
func BenchmarkLook(b *testing.B) {
	c := newChanging(b, 4, quiet(), testParams(1024), 1, 2, 3)
	c.node(4).down = true
	c.commit(1, nil, 1, 2, 3, 4)
	for range 20 {
		c.pass(50 * time.Millisecond)
		c.run()
	}
	m := &c.node(1).keeper.mover
	b.ReportAllocs()
	for b.Loop() {
		m.look(c.now)
	}
}
