package coordinator

import (
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// TestAGetOfStandIns: the copies that were acknowledged are hints, and their
// owners do not answer.
func TestAGetOfStandIns(t *testing.T) {
	for _, known := range []bool{true, false} {
		c := newCluster(t, 5)
		list := c.prefer("a")
		kill(true, list[1], list[2])
		p := c.put(list[0].index(), "a", "v", nil, opts(2, 3, 3))
		c.run()
		want(t, p, "[]")
		revive(list[1], list[2])
		kill(known, list[0])
		// Two owners that have nothing are a quorum too: a sloppy one promises no
		// more. With r=3 a stand-in is heard as well.
		g := c.get(list[1].index(), "a", opts(3, 3, 3))
		c.settle(g)
		want(t, g, "[v]")
		c.end()
	}
}

// TestAStandInThatHasNothing is no answer while an owner may give a better one.
func TestAStandInThatHasNothing(t *testing.T) {
	for _, slow := range []bool{false, true} {
		c := newCluster(t, 5)
		list := c.prefer("a")
		// The value is at the third owner alone, the first one is down.
		c.put(list[2].index(), "a", "v", nil, opts(1, 1, 1))
		c.pending = nil
		kill(true, list[0])
		g := c.get(list[1].index(), "a", kv.Defaults())
		c.runOnly(without(list[2]))
		want(t, g, "pending")
		if slow {
			// What there is must do.
			c.pass(DefaultStandInAfter + time.Millisecond)
			want(t, g, "[]")
		} else {
			c.run()
			want(t, g, "[v]")
		}
		c.end()
	}
}

// TestStandInsAreAskedForHints and owners are not.
func TestStandInsAreAskedForHints(t *testing.T) {
	c := newCluster(t, 4)
	list := c.prefer("a")
	kill(true, list[2])
	c.get(list[0].index(), "a", kv.Defaults())
	hints := map[kv.NodeID]bool{}
	for _, m := range c.pending {
		read, err := wire.ParseReplicaRead(m.payload)
		if err != nil {
			t.Fatal(err)
		}
		hints[m.to.id] = read.Hints
	}
	if len(hints) != 2 || hints[list[1].id] || !hints[list[3].id] {
		t.Errorf("asked for hints: %v", hints)
	}
	c.run()
	c.idle()
}

// TestAGetThatIsPassedOnAndTakesTooLong is passed on to the next owner as well,
// and the first answer is its outcome. A put is not: it might be carried out
// twice.
func TestAGetThatIsPassedOnAndTakesTooLong(t *testing.T) {
	for _, late := range []bool{false, true} {
		c := newCluster(t, 5)
		list := c.prefer("a")
		c.put(list[0].index(), "a", "v", nil, opts(3, 3, 3))
		c.run()
		first := list[0]
		for _, n := range list[1:3] {
			if n.id < first.id {
				first = n // by Latency
			}
		}
		g := c.get(list[3].index(), "a", kv.Defaults())
		p := c.put(list[3].index(), "a", "w", nil, kv.Defaults())
		asked := c.pending
		c.pending = nil
		c.pass(DefaultStandInAfter + time.Millisecond)
		if len(c.pending) != 1 || c.pending[0].to == first || c.pending[0].typ != wire.TypeGet {
			t.Fatalf("%d messages after StandInAfter, want the get to another owner", len(c.pending))
		}
		if late {
			c.pending = append(asked, c.pending...)
		}
		c.run()
		if !slices.Contains(g.values, "v") {
			t.Errorf("got %v (%v)", g, g.err)
		}
		c.end()
		if late {
			want(t, p, "[]")
		} else {
			want(t, p, "timeout, applied unknown")
		}
	}
}
