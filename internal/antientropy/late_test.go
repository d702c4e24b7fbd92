package antientropy

import (
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// paced checks that what a node is sent in exchanges keeps to the pace of fills
// from now on: in every five seconds. watch is called after each 50 ms.
type paced struct {
	c    *cluster
	id   kv.NodeID
	sent []int
}

func (c *cluster) paced(id kv.NodeID) *paced {
	p := &paced{c: c, id: id}
	c.trace = func(m *message) {
		if m.to.id == id && m.typ == wire.TypeExchange && !m.gossip && len(p.sent) > 0 {
			p.sent[len(p.sent)-1] += len(m.payload)
		}
	}
	return p
}

// live lets d go by, in which all owners are asked to compare their copies.
func (p *paced) live(d time.Duration) {
	for at := time.Duration(0); at < d; at += 50 * time.Millisecond {
		p.sent = append(p.sent, 0)
		if at%time.Second == 0 {
			for _, n := range p.c.nodes {
				n.keeper.Repair()
			}
		}
		p.c.pass(50 * time.Millisecond)
		p.c.run()
	}
}

// check fails if more came in some five seconds than the rate allows.
func (p *paced) check(what string) {
	p.c.t.Helper()
	const window = 100
	limit, most, all := int(p.c.cfg.FillRate)*5+200_000, 0, 0
	for i, n := range p.sent {
		sum := 0
		for _, n := range p.sent[i:min(i+window, len(p.sent))] {
			sum += n
		}
		most, all = max(most, sum), all+n
	}
	if most > limit {
		p.c.t.Errorf("%s: %d bytes came in 5 s, the rate allows %d", what, most, limit)
	}
	if all < 1_000_000 {
		p.c.t.Errorf("%s: only %d bytes came", what, all)
	}
}

// TestPacedUntilFilled: whatever happens to a new owner and its step, all that it
// gets comes at the pace of fills, until it is filled.
func TestPacedUntilFilled(t *testing.T) {
	up := func(c *cluster, id kv.NodeID, is bool) {
		c.node(id).down = !is
		for _, n := range c.nodes {
			if is && n.id != id {
				n.keeper.PeerUp(id)
				c.node(id).keeper.PeerUp(n.id)
			}
		}
	}
	for _, s := range []struct {
		name string
		run  func(c *cluster, p *paced)
	}{
		{"it is there all the time", func(_ *cluster, p *paced) { p.live(2 * time.Second) }},
		{"it is away until the change is over", func(c *cluster, p *paced) {
			p.live(2 * time.Second)
			up(c, 4, false)
			c.live(c.cfg.FillPatience + 10*time.Second)
			up(c, 4, true)
		}},
		{"it crashes, and is away until the change is over", func(c *cluster, p *paced) {
			p.live(2 * time.Second)
			c.node(4).crash()
			up(c, 4, false)
			c.live(c.cfg.FillPatience + 10*time.Second)
			up(c, 4, true)
			p.live(2 * time.Second)
			c.node(4).crash()
		}},
		{"it is there for phase 2", func(c *cluster, p *paced) {
			p.live(2 * time.Second)
			c.node(2).stuck, c.node(3).stuck = true, true // they are sealed, and not at stage 2
			up(c, 4, false)
			c.live(c.cfg.FillPatience + 10*time.Second)
			if _, phase := c.node(1).phase(); phase != 2 {
				c.t.Errorf("phase %d", phase)
			}
			up(c, 4, true)
			p.live(10 * time.Second)
			c.node(2).stuck, c.node(3).stuck = false, false
		}},
		{"it knows of nothing before all is over", func(c *cluster, p *paced) {
			up(c, 4, false)
			c.live(c.cfg.FillPatience + 10*time.Second)
			up(c, 4, true)
		}},
		{"the others crash", func(c *cluster, p *paced) {
			p.live(2 * time.Second)
			for _, id := range []kv.NodeID{1, 2, 3} {
				c.node(id).crash()
				p.live(time.Second)
			}
		}},
	} {
		cfg := quiet()
		cfg.MaxMessage, cfg.FillRate = minMessage, 100_000
		c := newChanging(t, 4, cfg, testParams(4), 1, 2, 3)
		c.fill(2000, strings.Repeat("v", 1000))
		p := c.paced(4)
		if s.name == "it knows of nothing before all is over" {
			c.node(4).down = true
		}
		c.commit(1, nil, 1, 2, 4)
		s.run(c, p)
		p.live(40 * time.Second)
		p.check(s.name)
		c.settled(2 * time.Minute)
		c.whole(2000, strings.Repeat("v", 1000))
		for q := range 4 {
			if c.node(4).keeper.mover.lacks(kv.Partition(q)) {
				t.Errorf("%s: partition %d is lacking in the end", s.name, q)
			}
		}
	}
}
