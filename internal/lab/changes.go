package lab

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ringtaildb/ringtail/internal/ring"
)

// Change is what one change of membership means for a cluster.
type Change struct {
	// Nodes is the number of nodes before, Partitions is Q.
	Nodes, Partitions int
	// What says what changes.
	What string
	// Moved is the number of copies of partitions that are made, Least the fewest
	// with which the loads of the next ring can be reached, All the number of all
	// copies.
	Moved, Least, All int
	// Claim is how long it took to compute the next ring, Steps to find the steps
	// to it.
	Claim, Steps time.Duration
	// RingBytes is the encoding of the next ring, as it is gossiped once; MarkBytes
	// that of all marks at the end.
	RingBytes, MarkBytes int
}

// sizes are the clusters that Changes looks at, with a number of partitions at
// which one more or less is under 5 % of a node's share.
var sizes = []struct{ nodes, partitions int }{{10, 1024}, {100, 4096}, {1000, 16384}}

// Changes returns what typical changes mean for clusters of 10, 100 and 1,000
// nodes in three zones, with three replicas. now is a clock.
func Changes(now func() time.Time) ([]Change, error) {
	var out []Change
	for _, size := range sizes {
		params := ring.Params{N: 3, R: 2, W: 2, Q: size.partitions}
		before := zoned(size.nodes)
		prev, err := ring.Claim(nil, params, 1, before)
		if err != nil {
			return nil, err
		}
		for _, v := range variants(before) {
			c := Change{Nodes: size.nodes, Partitions: size.partitions, What: v.what, All: params.Q * prev.Replicas()}
			if err := c.play(now, prev, v.nodes); err != nil {
				return nil, fmt.Errorf("%s of %d nodes: %w", v.what, size.nodes, err)
			}
			out = append(out, c)
		}
	}
	return out, nil
}

func (c *Change) play(now func() time.Time, prev *ring.Ring, nodes []ring.Node) error {
	began := now()
	next, err := ring.Claim(prev, prev.Params(), prev.Epoch()+1, nodes)
	if err != nil {
		return err
	}
	c.Claim = now().Sub(began)
	began = now()
	t, err := ring.NewTransition(prev, next, nil)
	if err != nil {
		return err
	}
	c.Steps = now().Sub(began)
	d := ring.Diff(prev, next)
	c.Moved, c.Least, c.RingBytes = d.Moved, d.Least, len(next.AppendTo(nil))
	g := ring.NewProgress(t)
	for i := range t.Len() {
		g.Add(i, ^ring.Marks(0))
	}
	c.MarkBytes = len(g.AppendTo(nil))
	return nil
}

// zoned returns n nodes in three zones.
func zoned(n int) []ring.Node {
	out := nodes(n)
	for i := range out {
		out[i].Zone = string(rune('a' + i%3))
	}
	return out
}

type variant struct {
	what  string
	nodes []ring.Node
}

// variants returns changes of a cluster of these nodes.
func variants(before []ring.Node) []variant {
	n := len(before)
	tenth := max(n/10, 1)
	more := zoned(n + tenth)
	heavier := append([]ring.Node(nil), before...)
	heavier[0].Weight = 2
	return []variant{
		{"one joins", more[:n+1]},
		{"a tenth joins", more},
		{"one leaves", before[:n-1]},
		{"a tenth leaves", before[:n-tenth]},
		{"one doubles its weight", heavier},
	}
}

// Gossip is how long news takes to reach everybody.
type Gossip struct {
	Nodes int
	// Loss is the share of messages that are lost.
	Loss float64
	// Mean and Most are rounds until every node knows, the mean and the worst of
	// the runs.
	Mean float64
	Most int
}

// gossipFanout is to how many nodes a node tells its news in each round.
const gossipFanout = 3

// Gossips plays the spread of one piece of news among 10, 100 and 1,000 nodes:
// in each round every node that knows it tells three others at random.
func Gossips(seed uint64, runs int) []Gossip {
	var out []Gossip
	for _, size := range sizes {
		for _, loss := range []float64{0, 0.1, 0.3} {
			g := Gossip{Nodes: size.nodes, Loss: loss}
			rng := rand.New(rand.NewPCG(seed, uint64(size.nodes)))
			for range runs {
				rounds := spread(rng, size.nodes, loss)
				g.Mean += float64(rounds) / float64(runs)
				g.Most = max(g.Most, rounds)
			}
			out = append(out, g)
		}
	}
	return out
}

// spread returns after how many rounds all of n nodes know what one knew.
func spread(rng *rand.Rand, n int, loss float64) int {
	knows := make([]bool, n)
	knows[0] = true
	for rounds, known := 0, []int{0}; ; rounds++ {
		if len(known) == n {
			return rounds
		}
		for _, from := range known {
			for range gossipFanout {
				to := rng.IntN(n - 1)
				if to >= from {
					to++
				}
				if rng.Float64() >= loss && !knows[to] {
					knows[to] = true
					known = append(known, to)
				}
			}
		}
	}
}
