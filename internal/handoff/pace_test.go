package handoff

import (
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// TestPace: in any stretch of time no more is sent than the rate allows, with a
// burst and the rest of one message; and as much is, as long as there is
// something to send.
func TestPace(t *testing.T) {
	cfg := Default()
	cfg.Rate = 100_000
	c, _, _, _ := away(t, 0, cfg)
	c.node(1).fill(2, 300, strings.Repeat("v", 1000))
	c.comeUp(2)
	start := c.now
	for c.hints() > 0 {
		c.pass(10 * time.Millisecond)
		c.run()
	}
	size, total := 0, 0
	for _, s := range c.sent {
		size, total = s.size, total+s.size
	}
	rate := float64(cfg.Rate)
	for i := range c.sent {
		sum := 0.0
		for j := i; j < len(c.sent); j++ {
			sum += float64(c.sent[j].size)
			if most := rate*(c.sent[j].at.Sub(c.sent[i].at)+burst).Seconds() + float64(size); sum > most {
				t.Fatalf("%v bytes from message %d to %d, at most %v may go", sum, i, j, most)
			}
		}
	}
	took := c.now.Sub(start) - burst
	if least := rate*(took-20*time.Millisecond).Seconds() - float64(size); float64(total) < least {
		t.Errorf("%d bytes in %v, the rate allows %v", total, took, least)
	}
}

// TestShares: nodes that are given hints at the same time get the same bytes,
// whatever the size of their objects; one that begins later is not owed what it
// did not ask for, nor one whose window was full.
func TestShares(t *testing.T) {
	cfg := Default()
	cfg.Rate = 100_000
	c := newCluster(t, 5, cfg)
	c.goDown(2)
	c.goDown(3)
	n := c.node(1)
	const small, large = 1000, 5000
	n.fill(2, 1000, strings.Repeat("v", small))
	n.fill(3, 400, strings.Repeat("v", large))
	bytesTo := func(d time.Duration) map[kv.NodeID]int {
		from := len(c.sent)
		for until := c.now.Add(d); c.now.Before(until); c.run() {
			c.pass(10 * time.Millisecond)
		}
		out := map[kv.NodeID]int{}
		for _, s := range c.sent[from:] {
			out[s.to] += s.size
		}
		return out
	}
	alike := func(when string, got map[kv.NodeID]int) {
		t.Helper()
		if d := got[2] - got[3]; d < -2*large || d > 2*large || got[2] < 100_000 {
			t.Errorf("%s: node 2 got %d bytes, node 3 got %d", when, got[2], got[3])
		}
	}
	c.comeUp(2)
	if got := bytesTo(time.Second); got[2] < 90_000 || got[3] != 0 {
		t.Errorf("while node 3 is down: %v", got)
	}
	c.comeUp(3)
	alike("from when it is up", bytesTo(4*time.Second))
	c.node(3).slow.slow = true
	if got := bytesTo(3 * time.Second); got[2] < 100_000 {
		t.Errorf("while node 3 does not answer: %v", got)
	}
	c.node(3).slow.slow = false
	c.node(3).slow.sync()
	alike("once it answers again", bytesTo(3*time.Second))
	rate := uint64(0)
	for _, st := range n.sender.Status() {
		rate += st.Rate
	}
	if rate < 80_000 || rate > 110_000 {
		t.Errorf("the status tells a rate of %d", rate)
	}
}

// TestWindow: no more hints are under way to a node than the window has, in
// number and in bytes; one that is larger goes alone.
func TestWindow(t *testing.T) {
	cfg := Default()
	cfg.Window, cfg.WindowBytes = 7, 3000
	most := func(value string) (calls, bytes int) {
		c, standIn, owner, _ := away(t, 0, cfg)
		standIn.fill(2, 50, value)
		owner.slow.slow = true
		c.comeUp(2)
		for c.hints() > 0 {
			c.pass(10 * time.Millisecond)
			c.run()
			s := standIn.sender.find(2)
			calls, bytes = max(calls, s.calls), max(bytes, s.bytes)
			if len(owner.slow.waiting) != s.calls {
				t.Fatalf("%d hints wait at the owner, %d are under way", len(owner.slow.waiting), s.calls)
			}
			owner.slow.sync()
			c.run()
		}
		c.rested()
		return calls, bytes
	}
	if calls, _ := most("v"); calls != 7 {
		t.Errorf("%d small hints at once, want 7", calls)
	}
	if calls, bytes := most(strings.Repeat("v", 1000)); calls != 2 || bytes > 3000 {
		t.Errorf("%d hints of 1000 bytes at once, %d bytes", calls, bytes)
	}
	if calls, _ := most(strings.Repeat("v", 5000)); calls != 1 {
		t.Errorf("%d large hints at once, want 1", calls)
	}
}

// TestSessions: no more nodes are given hints at the same time than there may
// be; the others have their turn.
func TestSessions(t *testing.T) {
	cfg := Default()
	cfg.Sessions = 2
	c := newCluster(t, 8, cfg)
	n := c.node(1)
	for id := kv.NodeID(2); id <= 8; id++ {
		c.goDown(id)
		n.fill(id, 5, "value")
	}
	for id := kv.NodeID(2); id <= 8; id++ {
		c.comeUp(id)
		c.node(id).slow.slow = id%3 == 0 // holds its session for long
	}
	for range 200 {
		c.pass(50 * time.Millisecond)
		running := 0
		for _, s := range n.sender.mu.sessions {
			if s.running {
				running++
			}
		}
		if running > 2 {
			t.Fatalf("%d sessions", running)
		}
		c.run()
		for _, m := range c.nodes {
			if c.now.Unix()%2 == 0 {
				m.slow.sync()
			}
		}
	}
	c.settle(time.Minute)
	c.rested()
}

// TestNextSessionBeginsAtOnce: where sessions are few, those that wait begin as
// soon as others are over.
func TestNextSessionBeginsAtOnce(t *testing.T) {
	cfg := Default()
	cfg.Sessions = 2
	c := newCluster(t, 8, cfg)
	for id := kv.NodeID(2); id <= 8; id++ {
		c.node(1).fill(id, 5, "value")
	}
	c.settle(10 * 50 * time.Millisecond)
}

// TestTurns: a node that always has hints does not take the only session for
// itself.
func TestTurns(t *testing.T) {
	cfg := Default()
	cfg.Sessions = 1
	c := newCluster(t, 5, cfg)
	n := c.node(1)
	last := n.fill(5, 5, "value")
	for range 20 {
		for id := kv.NodeID(2); id <= 4; id++ {
			n.fill(id, 5, "value")
		}
		c.pass(50 * time.Millisecond)
		c.run()
	}
	if c.node(5).lacks(last) != 0 {
		t.Error("its turn did not come")
	}
}

// TestBackgroundFull: what is not taken is tried again.
func TestBackgroundFull(t *testing.T) {
	c, standIn, owner, all := away(t, 400, Default())
	c.comeUp(2)
	for i := 0; c.hints() > 0 && i < 1000; i++ {
		standIn.full = i%3 != 0
		c.pass(50 * time.Millisecond)
		c.run()
	}
	if n := owner.lacks(all); n != 0 || c.hints() != 0 {
		t.Errorf("the owner lacks %d, %d hints are left", n, c.hints())
	}
	c.rested()
}

// TestInbound: a node takes as many hints at once as it may, and refuses one
// more.
func TestInbound(t *testing.T) {
	for inbound, refused := range map[int]int{20: 0, 19: 1} {
		cfg := Default()
		cfg.Inbound = inbound
		c, standIn, owner, all := away(t, 20, cfg)
		owner.slow.slow = true
		c.comeUp(2)
		c.pass(50 * time.Millisecond)
		c.run()
		if n := int(standIn.sender.Totals().Failed); n != refused || len(owner.slow.waiting) != 20-refused {
			t.Errorf("of 20 hints %d are refused with a limit of %d", n, inbound)
		}
		owner.slow.slow = false
		owner.slow.sync()
		c.settle(time.Minute)
		if owner.lacks(all) != 0 {
			t.Error("the owner lacks some")
		}
		c.rested()
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"Rate":        func(c *Config) { c.Rate = 0 },
		"Window ":     func(c *Config) { c.Window = 0 },
		"WindowBytes": func(c *Config) { c.WindowBytes = -1 },
		"Sessions":    func(c *Config) { c.Sessions = 0 },
		"Timeout":     func(c *Config) { c.Timeout = 0 },
		"Every":       func(c *Config) { c.Every = 0 },
		"MinPause":    func(c *Config) { c.MinPause = 0 },
		"MaxPause":    func(c *Config) { c.MaxPause = c.MinPause - 1 },
		"Inbound":     func(c *Config) { c.Inbound = 0 },
		"Omit":        func(c *Config) { c.Omit = allOmits + 1 },
	} {
		cfg := Default()
		change(&cfg)
		if err := cfg.Validate(); err == nil || kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMakesRoom: while clients suffer at the node that hands over, or at the one
// that takes, no more than the share of the rate is handed over; nothing is lost,
// and once they do not suffer all of it goes at the rate.
func TestMakesRoom(t *testing.T) {
	for _, at := range []kv.NodeID{1, 2} {
		cfg := Default()
		cfg.Rate, cfg.Window = 1_000_000, 8
		c, standIn, _, _ := away(t, 0, cfg)
		share := 0.1
		c.node(at).sender.Share = func() float64 { return share }
		standIn.fill(2, 1000, strings.Repeat("v", 1000))
		c.comeUp(2)
		handed := func(d time.Duration) float64 {
			before := standIn.sender.mu.totals.Delivered
			for until := c.now.Add(d); c.now.Before(until); c.run() {
				c.pass(10 * time.Millisecond)
			}
			return float64(standIn.sender.mu.totals.Delivered-before) / d.Seconds()
		}
		handed(time.Second) // the burst
		if rate := handed(4 * time.Second); rate < 60 || rate > 110 {
			t.Errorf("clients suffer at node %v: %v hints a second", at, rate)
		}
		share = 1
		if handed(2 * time.Second); c.hints() > 0 {
			t.Errorf("clients suffered at node %v: %d hints are left", at, c.hints())
		}
		c.rested()
	}
}
