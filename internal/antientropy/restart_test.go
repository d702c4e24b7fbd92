package antientropy

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// TestAllStartAnewButOne: when every node was started anew at each moment of a
// change of two steps, and one does not come back, the change ends all the same.
func TestAllStartAnewButOne(t *testing.T) {
	for _, dead := range []kv.NodeID{1, 2, 3, 4, 5} {
		for after := 0; after < 60; after++ {
			c := newChanging(t, 5, quiet(), testParams(2), 1, 2, 3)
			c.fill(20, "v")
			c.commit(dead%5+1, nil, 1, 4, 5)
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
			c.node(dead).down = true
			if !c.ends(2 * time.Minute) {
				t.Errorf("node %v is dead, after %d messages", dead, after)
			}
		}
	}
}

// ends lets time go by until no node that is up knows of a transition.
func (c *cluster) ends(within time.Duration) bool {
	for ; within > 0; within -= 50 * time.Millisecond {
		c.pass(50 * time.Millisecond)
		c.run()
		over := true
		for _, n := range c.nodes {
			over = over && (n.down || n.Current().Progress == nil && n.ring.Epoch() == 2)
		}
		if over {
			return true
		}
	}
	return false
}

// TestGuessIsNoWitness: a node that has lost its stages takes the highest, which
// tells nobody that the change has come that far.
func TestGuessIsNoWitness(t *testing.T) {
	c := newChanging(t, 4, quiet(), testParams(1), 1, 2, 3)
	c.fill(20, "v")
	c.node(4).down, c.node(3).down = true, true
	c.commit(2, nil, 1, 2, 4)
	c.live(2 * time.Second)
	n := c.node(1)
	n.disk = &disk{}
	n.start()
	if err := n.store.MarkLost(kv.Errorf(kv.KindCorrupt, "open engine", "it is gone")); err != nil {
		t.Fatal(err)
	}
	c.live(10 * time.Second)
	if _, phase := c.node(2).phase(); phase != 1 {
		t.Errorf("phase %d, and one of the new owners is filled at most", phase)
	}
	c.node(4).down, c.node(3).down = false, false
	c.settled(2 * time.Minute)
	c.whole(20, "v")
}
