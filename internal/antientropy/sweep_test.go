package antientropy

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// TestSweep: what was deleted is reaped at all owners once it is certain that it
// does not come back, and the copies stay equal.
func TestSweep(t *testing.T) {
	c := newCluster(t, 5, testRing(t, 1, 8, 1, 2, 3, 4, 5), testConfig())
	for i := range 100 {
		k := fmt.Sprintf("k%d", i)
		owner := c.node(c.nodes[0].ring.Owners(c.nodes[0].place(key(k)))[0])
		o := owner.put(k, "value", none)
		if i%4 > 0 {
			owner.put(k, "", o)
		}
	}
	c.live(time.Minute)
	left := 0
	for _, n := range c.nodes {
		for p := range n.ring.Params().Q {
			keys, _, reapable := n.store.Usage(kv.Partition(p))
			left += int(keys)
			if reapable != 0 {
				t.Errorf("node %v, partition %d: %d records to be reaped", n.id, p, reapable)
			}
		}
	}
	if left != 3*25 {
		t.Errorf("%d records are left, want %d", left, 3*25)
	}
	c.equal()
	c.live(time.Minute)
	sweeps := 0
	for _, n := range c.nodes {
		sweeps += int(n.keeper.Status().Sweep.Finished)
	}
	if sweeps != 1 {
		t.Errorf("%d sweeps where one was enough", sweeps)
	}
}

// TestSweepSteps: no member is asked for a report before all have told their
// low-water marks, nobody exchanges before all have reported, nobody is checked
// before the exchanges are over, and no floor is raised before all are checked.
func TestSweepSteps(t *testing.T) {
	c := newCluster(t, 5, testRing(t, 1, 1, 1, 2, 3), testConfig())
	c.nodes[2].put("k", "v", none)
	answered := map[step]int{}
	c.trace = func(m *message) {
		if m.typ != wire.TypeSweep {
			return
		}
		s := step(m.payload[0])
		if m.answer {
			answered[s]++
		} else if s > stepLow && answered[s-1] < 4 {
			t.Errorf("%v when %d of 4 have answered %v", m, answered[s-1], s-1)
		}
	}
	c.nodes[0].lead()
	c.live(10 * time.Second)
	if answered[stepFloor] != 4 {
		t.Errorf("answers: %v", answered)
	}
}

// TestMarksAreSettled: a low-water mark that is told again, later, does not
// enter the floor: it would cover what was written after the reports.
func TestMarksAreSettled(t *testing.T) {
	c := newCluster(t, 3, testRing(t, 1, 1, 1, 2, 3), testConfig())
	c.nodes[0].lead()
	c.hold = func(m *message) bool { return m.String() == "2→1 low answer" || m.String() == "1→2 report" }
	c.pass(11 * time.Second) // the first call ends without its answer
	c.run()
	c.pass(2 * time.Second) // and node 2 is asked again
	c.run()
	if n := len(c.pending); n != 2 {
		t.Fatalf("under way: %v", c.pending)
	}
	c.deliver(0) // late, for a call that has ended
	c.deliver(0)
	c.run()
	seq := c.nodes[1].seq
	c.nodes[1].put("k", "v", none)
	again := c.pending[c.find("1→2 report")]
	again.payload = nil
	c.hold = nil
	c.live(10 * time.Second)
	if got := c.nodes[2].floor().Seq(2); got == 0 || got > seq {
		t.Errorf("the floor covers node 2 up to %d, it had told %d", got, seq)
	}
}

// TestLeaderDies at each step, perhaps when some owners have raised their floors:
// nothing is lost, the others sweep, and the copies are equal and silent.
func TestLeaderDies(t *testing.T) {
	for s := stepLow; s <= stepFloor; s++ {
		cfg := testConfig()
		cfg.ReapBackoff = time.Minute // so that one leads at a time
		c := newCluster(t, 4, testRing(t, 1, 1, 2, 3, 4), cfg)
		kept := c.nodes[1].put("kept", "v", none)
		o := c.nodes[2].put("gone", "v", none)
		c.nodes[2].put("gone", "", o)
		c.nodes[3].merge("kept", kept)
		c.nodes[0].lead()
		c.until(s)
		c.deliver(0) // one member gets the step
		c.nodes[0].down = true
		c.live(30 * time.Second)
		if s := c.nodes[1].keeper.Status().Sweep; s.Finished > 0 || s.Reapable > 0 && !slices.Equal(s.Stopped, []kv.NodeID{1}) {
			t.Errorf("a member is down, and yet: %+v", s)
		}
		c.nodes[0].down = false
		c.nodes[0].crash()
		c.live(5 * time.Minute)
		for _, n := range c.nodes[1:] {
			if keys, _, _ := n.store.Usage(0); keys != 1 {
				t.Errorf("%v: node %v has %d keys", s, n.id, keys)
			}
		}
		c.exchange()
		c.want("kept", "v", 2, 3, 4)
		c.equal()
	}
}

// TestTwoLeaders: the members serve one of two, and then the other.
func TestTwoLeaders(t *testing.T) {
	c := newCluster(t, 4, testRing(t, 1, 1, 1, 2, 3), testConfig())
	c.nodes[0].put("k", "v", none)
	c.nodes[0].lead()
	c.nodes[3].lead()
	c.live(5 * time.Second)
	first, second := c.nodes[0].keeper.Status().Sweep, c.nodes[3].keeper.Status().Sweep
	if first.Finished+second.Finished > 1 || first.Abandoned+second.Abandoned == 0 {
		t.Errorf("two leaders: %+v, %+v", first, second)
	}
	c.nodes[3].lead()
	c.live(5 * time.Second)
	if s := c.nodes[3].keeper.Status().Sweep; s.Finished == 0 {
		t.Errorf("the second leader waits for ever: %+v", s)
	}
	c.want("k", "v", 1, 2, 3)
}

// TestDownMember: what a node that is down may hold, nobody knows, so nothing is
// reaped until it is back; and what it brings then stays deleted.
func TestDownMember(t *testing.T) {
	c := newCluster(t, 4, testRing(t, 1, 1, 1, 2, 3), testConfig())
	o := c.nodes[0].put("k", "v", none)
	for _, n := range c.nodes[1:3] {
		n.merge("k", o)
	}
	c.nodes[2].down = true
	deleted := c.nodes[0].put("k", "", o)
	c.nodes[1].merge("k", deleted)
	c.live(5 * time.Minute)
	for _, n := range c.nodes[:2] {
		if keys, _, _ := n.store.Usage(0); keys != 1 || len(n.floor()) > 0 {
			t.Errorf("node %v: %d keys, floor %x", n.id, keys, n.floor())
		}
	}
	s := c.nodes[0].keeper.Status().Sweep
	if !slices.Equal(s.Stopped, []kv.NodeID{3}) || s.StoppedSince.After(c.now.Add(-4*time.Minute)) || s.Reapable != 1 {
		t.Errorf("status %+v", s)
	}
	c.nodes[2].down = false
	c.live(2 * time.Minute)
	for _, n := range c.nodes[:3] {
		if keys, _, _ := n.store.Usage(0); keys != 0 {
			t.Errorf("node %v has %d keys", n.id, keys)
		}
	}
	if s := c.nodes[0].keeper.Status().Sweep; len(s.Stopped) != 0 {
		t.Errorf("status %+v", s)
	}
	c.nodes[1].merge("k", o) // late
	c.want("k", "", 1, 2, 3)
}

// TestRemovedMember: a node that is dead for good stops nothing, and once all
// know that it is, all that it wrote is covered.
func TestRemovedMember(t *testing.T) {
	c := newCluster(t, 5, testRing(t, 1, 1, 1, 2, 3), testConfig())
	c.nodes[4].hint(1, "k", "v") // writes something
	c.handOver()
	c.nodes[4].down = true
	c.members, c.removed = c.members[:4], []kv.NodeID{5, 77}
	c.nodes[0].lead()
	c.live(5 * time.Second)
	for _, n := range c.nodes[:3] {
		if f := n.floor(); f.Seq(5) != math.MaxUint64 || f.Seq(77) != math.MaxUint64 || f.Seq(4) == 0 {
			t.Errorf("node %v has the floor %x", n.id, f)
		}
	}
	c.want("k", "v", 1, 2, 3)
}

// TestAliases: the low-water mark holds for every id under which a node writes.
// Beside these the floor has the expiry mark.
func TestAliases(t *testing.T) {
	c := newCluster(t, 3, testRing(t, 1, 1, 1, 2, 3), testConfig())
	c.nodes[1].alias = []kv.NodeID{50, 60}
	c.nodes[0].lead()
	c.live(5 * time.Second)
	f := c.nodes[2].floor()
	if f.Len() != 6 || f.Seq(50) != f.Seq(2) || f.Seq(60) != f.Seq(2) {
		t.Errorf("the floor is %x", f)
	}
}

// TestBusy: who takes part in a round refuses another leader's, as long as the
// leader lives and speaks.
func TestBusy(t *testing.T) {
	c := newCluster(t, 3, testRing(t, 1, 1, 1, 2, 3), testConfig())
	m := &c.nodes[1].keeper.member
	ask := sweepAsk{step: stepLow, round: round{1, 1, 7}, era: kv.LevelOf(1), members: membersHash(c.nodes[0].Members()), removed: idsHash(nil)}
	serve := func(leader kv.NodeID, counter uint64, want kv.Kind) {
		t.Helper()
		ask.round = round{leader, 1, counter}
		_, err := m.serve(ask)
		if got := kv.KindOf(err); (err == nil) != (want == 0) || err != nil && got != want {
			t.Errorf("round %v: %v", ask.round, err)
		}
	}
	serve(1, 7, 0)
	serve(1, 7, 0)
	serve(1, 6, kv.KindRefused)
	serve(3, 1, kv.KindRefused)
	serve(1, 8, 0)
	c.nodes[0].down = true
	serve(3, 1, 0)
	c.nodes[0].down = false
	serve(1, 9, kv.KindRefused)
	c.now = c.now.Add(2*c.cfg.Patience + time.Second)
	m.tick(c.now)
	serve(1, 9, 0)
	ask.members++
	serve(1, 10, kv.KindRefused)
	ask.members--
	ask.era++
	serve(1, 10, kv.KindStaleRing)
	ask.era--
	ask.step = stepFloor
	serve(1, 8, kv.KindRefused)
	serve(1, 9, kv.KindRefused) // it names no standing
	ask.told = c.nodes[1].keeper.standing()
	serve(1, 9, 0)
	if _, err := c.nodes[1].keeper.serveSweep(3, ask.encode()); kv.KindOf(err) != kv.KindInvalid {
		t.Errorf("a message for another node's round: %v", err)
	}
}

// TestOverload: requests past Inbound are refused at once.
func TestOverload(t *testing.T) {
	cfg := testConfig()
	cfg.Inbound = 3
	c := newCluster(t, 2, testRing(t, 1, 1, 1, 2), cfg)
	var got refusals
	payload := (&rootsAsk{head: head{forCycle, kv.LevelOf(1)}}).encode()
	for i := range 4 {
		c.nodes[0].keeper.Handle(wire.Request{Type: wire.TypeExchange, From: 2, Payload: payload, Reply: wire.Reply{To: &got, ID: uint64(i), Type: wire.TypeExchange}})
		if want := i == 3; (len(got) == 1) != want {
			t.Errorf("after %d requests: %v", i+1, got)
		}
	}
	c.work()
	if len(got) != 4 || kv.KindOf(got[0]) != kv.KindOverloaded || got[1] != nil {
		t.Errorf("answers %v", got)
	}
	c.nodes[0].keeper.Handle(wire.Request{Type: wire.TypePing, Reply: wire.Reply{To: &got, Type: wire.TypePing}})
	if len(got) != 5 || kv.KindOf(got[4]) != kv.KindInvalid {
		t.Errorf("answers %v", got)
	}
}

// refusals is a Responder that keeps the errors that it is sent, nil for others.
type refusals []error

// Respond implements wire.Responder.
func (r *refusals) Respond(_ uint64, _ wire.Type, f wire.Flags, m wire.Appender) {
	var err error
	if f&wire.FlagError != 0 {
		err = wire.ParseError(m.AppendTo(nil))
	}
	*r = append(*r, err)
}

// TestBackgroundFull: what the Background does not take is done later.
func TestBackgroundFull(t *testing.T) {
	c := newCluster(t, 2, testRing(t, 1, 1, 1, 2), quiet())
	c.nodes[0].put("k", "v", none)
	k := c.nodes[0].keeper
	k.Background = refusing{}
	c.pass(time.Second)
	c.run()
	c.want("k", "", 2)
	k.Background = c.nodes[0]
	c.live(5 * time.Second)
	c.want("k", "v", 2)
}

type refusing struct{}

func (refusing) Go(func()) bool { return false }

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"Every": func(c *Config) { c.Every = 0 }, "Retry": func(c *Config) { c.Retry = -1 }, "Rate": func(c *Config) { c.Rate = 0 },
		"Sessions": func(c *Config) { c.Sessions = 0 }, "Timeout": func(c *Config) { c.Timeout = 0 }, "Inbound": func(c *Config) { c.Inbound = 0 },
		"MaxMessage": func(c *Config) { c.MaxMessage = minMessage - 1 }, "MaxMessage ": func(c *Config) { c.MaxMessage = kv.MaxMessage/4 + 1 },
		"ReapAt": func(c *Config) { c.ReapAt = 0 }, "ReapAfter": func(c *Config) { c.ReapAfter = 0 }, "ReapPause": func(c *Config) { c.ReapPause = 0 },
		"ReapBackoff": func(c *Config) { c.ReapBackoff = 0 }, "Poll": func(c *Config) { c.Poll = 0 }, "Patience": func(c *Config) { c.Patience = 0 },
		"ExchangeFor": func(c *Config) { c.ExchangeFor = 0 }, "Omit": func(c *Config) { c.Omit = allOmits + 1 },
	} {
		c := Default()
		change(&c)
		if err := c.Validate(); kv.KindOf(err) != kv.KindInvalid || err == nil {
			t.Errorf("%s out of range: %v", name, err)
		}
	}
	c := Default()
	c.MaxMessage, c.Omit = minMessage, allOmits
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
