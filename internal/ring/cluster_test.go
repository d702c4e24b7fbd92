package ring

import (
	"fmt"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"pgregory.net/rapid"
)

// cluster draws clusters and changes of their members for property tests.
type cluster struct {
	params Params
	nodes  []Node
	// zones and weights are the number of zones, and the greatest weight, from
	// which nodes are drawn; made counts nodes for their ids.
	zones, weights int
	made           uint64
	epoch          uint64
}

// drawCluster draws a cluster of 3 to 100 nodes in 1 to 5 zones.
func drawCluster(t *rapid.T) *cluster {
	return drawClusterIn(t, rapid.IntRange(1, 5).Draw(t, "zones"))
}

func drawClusterIn(t *rapid.T, zones int) *cluster {
	c := &cluster{params: DefaultParams(), zones: zones}
	c.params.N = rapid.IntRange(1, 5).Draw(t, "n")
	c.params.R, c.params.W = 1, 1
	c.params.Q = 1 << rapid.IntRange(4, 10).Draw(t, "log q")
	c.weights = rapid.SampledFrom([]int{1, 3, 10, 1000, MaxWeight}).Draw(t, "greatest weight")
	size := rapid.OneOf(rapid.IntRange(3, 10), rapid.IntRange(3, 100)).Draw(t, "nodes")
	for range size {
		c.join(t)
	}
	return c
}

func (c *cluster) join(t *rapid.T) {
	c.made++
	c.nodes = append(c.nodes, Node{
		ID:     kv.NodeID(mix(c.made)),
		Weight: uint32(rapid.IntRange(1, c.weights).Draw(t, "weight")),
		Zone:   fmt.Sprintf("zone %d", rapid.IntRange(1, c.zones).Draw(t, "zone")),
	})
}

// leave takes a node away, but not one of the last three.
func (c *cluster) leave(t *rapid.T) {
	if len(c.nodes) > 3 {
		at := c.any(t)
		c.nodes = slices.Delete(c.nodes, at, at+1)
	}
}

func (c *cluster) any(t *rapid.T) int { return rapid.IntRange(0, len(c.nodes)-1).Draw(t, "node") }

// change draws what an operator may stage: one to three joins or leaves, a
// replacement, or a new weight.
func (c *cluster) change(t *rapid.T) {
	switch rapid.SampledFrom([]string{"join", "leave", "replace", "weight"}).Draw(t, "change") {
	case "join":
		for range rapid.IntRange(1, 3).Draw(t, "joiners") {
			c.join(t)
		}
	case "leave":
		for range rapid.IntRange(1, 3).Draw(t, "leavers") {
			c.leave(t)
		}
	case "replace":
		c.leave(t)
		c.join(t)
	case "weight":
		c.nodes[c.any(t)].Weight = uint32(rapid.IntRange(1, c.weights).Draw(t, "weight"))
	}
}

// claim returns the ring of the next epoch.
func (c *cluster) claim(t *rapid.T, prev *Ring) *Ring {
	c.epoch++
	r, err := Claim(prev, c.params, c.epoch, c.nodes)
	if err != nil {
		t.Fatalf("claim of epoch %d: %v", c.epoch, err)
	}
	return r
}
