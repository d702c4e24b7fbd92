package antientropy

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
)

// A scenario is a history that a rule of sweeps is there for. With the rule, all
// owners end with the values that they should have; without it they do not.
// Nodes 1, 2 and 3 own the one partition at first, 4 to 6 are members beside
// them; 1 leads.
type scenario struct {
	name string
	// omit and store are the rules that are left out to show what they are for;
	// identity is the rule that a wiped node is a new one.
	omit     Omit
	store    replica.Omit
	identity bool
	run      func(c *cluster)
	// want are the live values of the key k at all owners in the end.
	want string
}

var none object.Object

var scenarios = []scenario{{
	name: "floor3: a hint is not drained",
	omit: OmitReports,
	run: func(c *cluster) {
		c.node(5).hint(1, "k", "v")
		c.node(1).lead()
	},
	want: "v",
}, {
	name: "floor3: an old put reaches a stand-in after its report, and its coordinator's hint was not drained",
	omit: OmitReports,
	run: func(c *cluster) {
		late := c.node(5).hint(1, "k", "v")
		c.node(1).lead()
		c.live(5 * time.Second)
		c.node(4).keep(2, "k", late)
	},
	want: "v",
}, {
	name: "floor4: owners raise their floors without an exchange",
	omit: OmitExchange,
	run: func(c *cluster) {
		late := c.node(1).put("k", "v", none)
		c.node(1).lead()
		c.live(5 * time.Second)
		c.node(4).keep(2, "k", late)
	},
	want: "v",
}, {
	name: "what the exchange collects is not given back",
	omit: OmitReturn,
	run: func(c *cluster) {
		c.node(3).put("k", "v", none)
		c.node(1).lead()
	},
	want: "v",
}, {
	name:  "floor5: a floor is durable before the data that it covers",
	store: replica.OmitDataBeforeFloor,
	run: func(c *cluster) {
		c.node(2).put("k", "v", none)
		c.node(1).lead()
		c.live(5 * time.Second)
		for _, n := range c.nodes[:3] {
			n.crash()
		}
	},
	want: "v",
}, {
	name:     "floor6: a node that was wiped writes under its old id",
	identity: true,
	run: func(c *cluster) {
		c.node(2).put("other", "v", none)
		c.node(1).lead()
		c.live(5 * time.Second)
		n := c.node(2)
		if c.identity {
			n = c.node(6)
			c.move(2, 1, 6, 3)
		} else {
			n.seq = 0
		}
		n.disk = &disk{}
		n.start()
		n.put("k", "v", none)
	},
	want: "v",
}, {
	name:  "floor9: a floor is kept when its copy is dropped",
	store: replica.OmitFloorReset,
	run: func(c *cluster) {
		o := c.node(5).hint(2, "k", "v")
		c.node(1).merge("k", o)
		c.handOver()
		c.node(1).lead()
		c.live(5 * time.Second)
		c.move(2, 1, 4, 3)
		c.live(30 * time.Second)
		c.move(3, 1, 2, 3)
	},
	want: "v",
}, {
	name: "an owner loses what it was given before it raises its floor",
	omit: OmitBoots,
	run: func(c *cluster) {
		c.node(1).put("k", "v", none)
		c.node(1).lead()
		c.until(stepFloor)
		c.node(2).crash()
		c.run()
	},
	want: "v",
}, {
	name: "an owner loses what its low-water mark covers before it was exchanged",
	omit: OmitBoots,
	run: func(c *cluster) {
		late := c.node(2).put("k", "v", none)
		c.node(5).lead()
		c.hold = func(m *message) bool { return m.String() == "5→2 report" }
		c.run()
		c.node(4).keep(3, "k", late) // and so it is acknowledged, by two
		c.node(2).crash()
		c.hold = nil
		c.live(5 * time.Second)
	},
	want: "v",
}, {
	name: "the ring moves between the reports and the exchange",
	omit: OmitEpochs,
	run: func(c *cluster) {
		c.node(3).put("k", "v", none)
		c.node(1).lead()
		c.hold = func(m *message) bool { return m.String() == "2→1 report answer" }
		c.live(2 * time.Second)
		c.move(2, 1, 2, 4)
		c.hold = func(m *message) bool { return m.from.id == 3 || m.to.id == 3 && m.answer }
		c.live(5 * time.Second)
		c.hold = nil
	},
	want: "v",
}, {
	name: "a floor of a round that is past comes when the ring has moved away and back",
	omit: OmitEpochs,
	run: func(c *cluster) {
		c.node(1).put("k", "v", none)
		c.node(1).lead()
		c.until(stepFloor)
		late := c.pending[c.find("1→2 floor")]
		c.run()
		c.move(2, 1, 4, 3)
		c.live(30 * time.Second) // the left-over copy of node 2 is dropped
		c.move(3, 1, 2, 3)
		c.pending = append(c.pending, late)
		c.run()
	},
	want: "v",
}, {
	name:  "an old put comes late when what deleted it is reaped",
	store: replica.OmitFloor,
	run: func(c *cluster) {
		o := c.node(1).put("k", "v", none)
		deleted := c.node(1).put("k", "", o)
		c.node(2).merge("k", deleted)
		c.node(3).merge("k", deleted)
		for _, n := range c.nodes[:3] {
			n.upkeep()
		}
		c.node(4).keep(2, "k", o)
		c.node(3).merge("k", o)
	},
	want: "",
}, {
	name: "all owners move away, and an old put comes late",
	omit: OmitTakeover,
	run: func(c *cluster) {
		o := c.node(1).put("k", "v", none)
		c.exchange()
		c.node(1).put("k", "", o)
		c.live(20 * time.Second)
		for _, n := range c.nodes[:3] {
			n.upkeep()
		}
		c.move(2, 4, 5, 6)
		c.live(30 * time.Second)
		c.node(4).merge("k", o)
	},
	want: "",
}, {
	name: "an exchange overwrites",
	omit: OmitMerge,
	run: func(c *cluster) {
		c.node(1).put("k", "v", none)
		c.node(2).put("k", "w", none)
	},
	want: "v,w",
}}

// TestScenarios: with all rules, every history ends well.
func TestScenarios(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			c := s.play(t, 0, 0, true)
			for _, id := range c.nodes[0].ring.Owners(0) {
				if got := c.node(id).values("k"); got != s.want {
					t.Errorf("node %v has %q, want %q", id, got, s.want)
				}
			}
			c.equal()
		})
	}
}

// TestEachRuleIsNeeded: without its rule each history ends badly.
func TestEachRuleIsNeeded(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			c := s.play(t, s.omit, s.store, !s.identity)
			for _, id := range c.nodes[0].ring.Owners(0) {
				if c.node(id).values("k") != s.want {
					return
				}
			}
			t.Errorf("all owners have %q although the rule is left out", s.want)
		})
	}
}

func (s *scenario) play(t *testing.T, omit Omit, store replica.Omit, identity bool) *cluster {
	cfg := testConfig()
	cfg.Omit = omit
	cfg.Every = time.Hour // exchanges are those of rounds, and those asked for
	c := newCluster(t, 6, testRing(t, 1, 1, 1, 2, 3), cfg)
	c.identity, c.omit = identity, store
	for _, n := range c.nodes {
		n.disk.overtaking = true
		n.seq = 0
		n.start()
	}
	c.live(time.Second)
	s.run(c)
	c.finish()
	return c
}
