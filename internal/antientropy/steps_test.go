package antientropy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// fill has all owners hold n keys.
func (c *cluster) fill(n int, value string) {
	c.t.Helper()
	for i := range n {
		k := fmt.Sprintf("k%d", i)
		owners := c.nodes[0].ring.Owners(c.nodes[0].place(key(k)))
		o := c.node(owners[0]).put(k, value, none)
		for _, id := range owners[1:] {
			c.node(id).merge(k, o)
		}
	}
	for _, x := range c.nodes {
		_ = x.engine.Sync()
	}
}

// whole checks that all owners hold n keys, that their copies are equal, and that
// nobody else holds any.
func (c *cluster) whole(n int, value string) {
	c.t.Helper()
	for _, x := range c.nodes {
		x.upkeep()
	}
	r := c.nodes[0].ring
	for i := range n {
		k := fmt.Sprintf("k%d", i)
		c.want(k, value, r.Owners(c.nodes[0].place(key(k)))...)
	}
	c.equal()
	for _, x := range c.nodes {
		for _, p := range x.store.Held() {
			if !r.Owns(p, x.id) {
				c.t.Errorf("node %v holds partition %d", x.id, p)
			}
		}
	}
}

// TestChanges: whoever comes and goes, all owners have everything in the end, and
// nobody else has anything.
func TestChanges(t *testing.T) {
	for _, change := range []struct {
		name   string
		before []kv.NodeID
		after  [][]kv.NodeID
		dead   kv.NodeID
		keys   int
	}{
		{"3 to 4", []kv.NodeID{1, 2, 3}, [][]kv.NodeID{{1, 2, 3, 4}}, 0, 300},
		{"4 to 3", []kv.NodeID{1, 2, 3, 4}, [][]kv.NodeID{{1, 2, 3}}, 0, 300},
		{"3 to 5", []kv.NodeID{1, 2, 3}, [][]kv.NodeID{{1, 2, 3, 4, 5}}, 0, 300},
		{"5 to 3", []kv.NodeID{1, 2, 3, 4, 5}, [][]kv.NodeID{{1, 4, 5}}, 0, 300},
		{"replaced", []kv.NodeID{1, 2, 3}, [][]kv.NodeID{{1, 2, 4}}, 3, 300},
		{"all others", []kv.NodeID{1, 2, 3}, [][]kv.NodeID{{4, 5, 6}}, 0, 300},
		{"1 to 2 to 3, empty", []kv.NodeID{1}, [][]kv.NodeID{{1, 2}, {1, 2, 3}}, 0, 0},
		{"1 to 3 to 1", []kv.NodeID{1}, [][]kv.NodeID{{1, 2, 3}, {2}}, 0, 100},
	} {
		t.Run(change.name, func(t *testing.T) {
			c := newChanging(t, 6, quiet(), testParams(16), change.before...)
			c.fill(change.keys, "value")
			if change.dead != 0 {
				c.node(change.dead).down = true
			}
			for _, ids := range change.after {
				began := c.now
				c.commit(1, nil, ids...)
				c.settled(2 * time.Minute)
				t.Logf("%v after %v", ids, c.now.Sub(began))
				if change.keys == 0 && c.now.Sub(began) > time.Second {
					t.Errorf("an empty change took %v", c.now.Sub(began))
				}
			}
			if change.dead != 0 {
				c.node(change.dead).ring = c.nodes[0].ring
				c.node(change.dead).down = false
				c.settled(2 * time.Minute)
			}
			c.whole(change.keys, "value")
			last := c.nodes[0].ring
			for _, id := range change.after[len(change.after)-1] {
				if !last.Contains(id) {
					t.Errorf("the ring lacks node %v", id)
				}
			}
			if s := c.nodes[0].keeper.Status().Steps; s.Epoch != 0 && !slices.Equal(s.Waits, nil) {
				t.Errorf("status %+v", s)
			}
		})
	}
}
