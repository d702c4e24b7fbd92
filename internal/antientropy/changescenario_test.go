package antientropy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// cut holds back what two nodes say to each other in exchanges.
func cut(pairs ...[2]kv.NodeID) func(m *message) bool {
	return func(m *message) bool {
		return m.typ == wire.TypeExchange && !m.gossip && slices.ContainsFunc(pairs, func(p [2]kv.NodeID) bool {
			return p == [2]kv.NodeID{m.from.id, m.to.id} || p == [2]kv.NodeID{m.to.id, m.from.id}
		})
	}
}

// write has a put at the level of the settled ring acknowledged, durably, by some
// owners of partition 0; false if one refuses.
func (c *cluster) write(epoch uint64, k, value string, ids ...kv.NodeID) bool {
	c.t.Helper()
	level := kv.LevelOf(epoch)
	first := c.node(ids[0])
	// Its coordinator may believe anything of the ring: so the object is made
	// apart, and sent.
	made := object.Write{Now: kv.TimeOf(c.now), Value: []byte(value)}
	spare := c.nodes[len(c.nodes)-1]
	o, _, _, err := spare.store.PutHint(spare.Current().View(0).Level, first.id, 0, key(k), made, nil, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, id := range ids {
		m := wire.ReplicaPut{Ack: wire.AckDurable, Key: key(k), Object: o.Bytes()}
		var got verdict
		c.node(id).store.Handle(wire.Request{
			Type: wire.TypeReplicaPut, From: spare.id, Level: level, Payload: m.AppendTo(nil),
			Reply: wire.Reply{To: &got, Type: wire.TypeReplicaPut},
		})
		if !got.ok {
			return false
		}
	}
	return true
}

// seen returns what a get at the present view of a node finds in the copies of
// the given readers; refused if one does not answer, or is no reader.
func (c *cluster) seen(at kv.NodeID, k string, ids ...kv.NodeID) (values string, refused bool) {
	v := c.node(at).Current().View(0)
	var out []string
	for _, id := range ids {
		o, _, _, _, err := c.node(id).store.ReadUnder(v.Level, 0, key(k), nil)
		if err != nil || !slices.Contains(v.Readers, id) {
			return "", true
		}
		for s := o.Siblings(); s.Next(); {
			out = append(out, string(s.Value))
		}
	}
	return strings.Join(slices.Compact(out), ","), false
}

// A changeScenario is a history that a rule of the mover is there for: without it
// a get finds nothing of what was acknowledged, or it is lost. run returns true if
// all is well.
var changeScenarios = []struct {
	name string
	omit Omit
	run  func(t *testing.T, c *cluster) bool
}{{
	name: "a source that has not sealed takes a put after it was a source",
	omit: OmitSealed,
	run: func(_ *testing.T, c *cluster) bool {
		c.node(2).stuck, c.node(3).stuck = true, true
		c.commit(1, nil, 1, 2, 4)
		c.hold = cut([2]kv.NodeID{4, 1})
		c.live(45 * time.Second)
		wrote := c.write(1, "k", "v", 2, 3)
		c.hold = cut([2]kv.NodeID{4, 1}, [2]kv.NodeID{2, 3}, [2]kv.NodeID{2, 1}, [2]kv.NodeID{2, 4})
		c.live(45 * time.Second)
		if v, refused := c.seen(1, "k", 1, 4); wrote && !refused && v != "v" {
			return false
		}
		c.hold = nil
		c.node(2).stuck, c.node(3).stuck = false, false
		return true
	},
}, {
	name: "a copy is filled from one owner, which lacks a put",
	omit: OmitSources,
	run: func(t *testing.T, c *cluster) bool {
		if !c.write(1, "k", "v", 1, 3) {
			t.Fatal("the put was refused")
		}
		c.hold = cut([2]kv.NodeID{4, 1}, [2]kv.NodeID{4, 3}, [2]kv.NodeID{2, 1}, [2]kv.NodeID{2, 3})
		c.commit(1, nil, 1, 2, 4)
		c.live(45 * time.Second)
		v, refused := c.seen(1, "k", 2, 4)
		c.hold = nil
		return refused || v == "v"
	},
}, {
	name: "a copy that tells that it is filled crashes",
	omit: OmitFillLog,
	run: func(t *testing.T, c *cluster) bool {
		if !c.write(1, "k", "v", 1, 3) {
			t.Fatal("the put was refused")
		}
		c.hold = cut([2]kv.NodeID{2, 1}, [2]kv.NodeID{2, 3}, [2]kv.NodeID{2, 4})
		c.commit(1, nil, 1, 2, 4)
		for range 40 {
			c.pass(50 * time.Millisecond)
			c.run()
			if _, phase := c.node(1).phase(); phase >= 2 {
				break
			}
		}
		c.node(4).crash()
		v, refused := c.seen(1, "k", 2, 4)
		c.hold = nil
		return refused || v == "v"
	},
}, {
	name: "a step begins before the one before is over",
	omit: OmitWait,
	run: func(t *testing.T, c *cluster) bool {
		c.commit(1, nil, 1, 4, 5)
		steps := c.node(1).Current().Progress.Steps(0)
		first, second := gained(steps[0].Old, steps[0].New), gained(steps[1].Old, steps[1].New)
		gone, stays := gained(steps[0].New, steps[0].Old), gained(steps[1].New, steps[1].Old)
		if !c.write(1, "k", "v", 1, gone) {
			t.Fatal("the put was refused")
		}
		c.hold = cut([2]kv.NodeID{first, 1}, [2]kv.NodeID{first, gone}, [2]kv.NodeID{second, 1}, [2]kv.NodeID{stays, 1}, [2]kv.NodeID{stays, gone})
		c.live(45 * time.Second)
		c.hold = cut([2]kv.NodeID{second, 1}, [2]kv.NodeID{second, stays}, [2]kv.NodeID{second, gone})
		c.node(first).down = true
		c.live(c.cfg.FillPatience + 30*time.Second)
		c.node(first).down = false
		v, refused := c.seen(1, "k", first, second)
		c.hold = nil
		return refused || v == "v"
	},
}, {
	name: "a former copy is dropped that alone has a put",
	omit: OmitFormer,
	run: func(t *testing.T, c *cluster) bool {
		if !c.write(1, "k", "v", 3) {
			t.Fatal("the put was refused")
		}
		c.node(4).down = true
		c.hold = cut([2]kv.NodeID{3, 1}, [2]kv.NodeID{3, 2})
		c.commit(1, nil, 1, 2, 4)
		c.live(c.cfg.FillPatience + 30*time.Second)
		c.hold = nil
		c.node(4).down = false
		c.settled(2 * time.Minute)
		return c.node(1).values("k") == "v"
	},
}}

// gained returns the first of b that is not in a.
func gained(a, b []kv.NodeID) kv.NodeID {
	return b[slices.IndexFunc(b, func(id kv.NodeID) bool { return !slices.Contains(a, id) })]
}

// phase returns where a node believes partition 0 to be.
func (n *node) phase() (k, phase int) {
	c := n.Current()
	if c.Progress == nil {
		return 0, 3
	}
	return c.Progress.At(0)
}

// TestEachRuleOfStepsIsNeeded: with all rules these histories end well, without its
// rule each of them does not.
func TestEachRuleOfStepsIsNeeded(t *testing.T) {
	for _, s := range changeScenarios {
		t.Run(s.name, func(t *testing.T) {
			for _, omit := range []Omit{0, s.omit} {
				cfg := quiet()
				cfg.Omit = omit
				cfg.Every = time.Hour
				cfg.FillPatience = 2 * time.Second
				c := newChanging(t, 6, cfg, testParams(1), 1, 2, 3)
				c.live(2 * time.Second)
				if well := s.run(t, c); well != (omit == 0) {
					t.Errorf("omit %#x: it ends well is %v", omit, well)
				}
				if omit != 0 {
					continue
				}
				c.settled(2 * time.Minute)
				c.exchange()
				c.want("k", "v", c.nodes[0].ring.Owners(0)...)
				c.equal()
			}
		})
	}
}

// stages are a node's, of which it may be stuck: its disk takes nothing.
type stages struct {
	*replica.Store
	n *node
}

// Advance implements Stages.
func (s stages) Advance(to []replica.Advance) error {
	if s.n.stuck {
		return kv.Errorf(kv.KindDiskFull, "advance", "no space")
	}
	return s.Store.Advance(to)
}
