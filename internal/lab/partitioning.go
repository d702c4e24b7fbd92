// Package lab measures the ring itself, without a cluster: how well the paper's
// three strategies of partitioning balance load, against what a node must know
// of the ring (§6.2, figure 8), and what a change of membership moves and costs
// at sizes that no test cluster has. Everything follows from a seed, but for
// the times that are taken.
package lab

import (
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// Strategy is a way to place partitions (§6.2).
type Strategy int

const (
	// RandomTokens is strategy 1: T random tokens for each node, and the
	// partitions are what lies between two tokens.
	RandomTokens Strategy = iota + 1
	// RandomTokensEqualParts is strategy 2: T random tokens for each node, and Q
	// equal partitions; the first N nodes met behind a partition's end own it.
	RandomTokensEqualParts
	// EqualParts is strategy 3: Q equal partitions, Q/S tokens for each node. It
	// is Ringtail's, placed by ring.Claim.
	EqualParts
)

var strategyNames = [...]string{"", "1: T random tokens a node, partitions between tokens", "2: T random tokens a node, equal partitions", "3: Q/S tokens a node, equal partitions"}

// String describes the strategy.
func (s Strategy) String() string { return strategyNames[s] }

// Config is what Partitioning is played with.
type Config struct {
	// Nodes is S, Replicas N.
	Nodes, Replicas int
	// Keys are the keys of the load; the one of rank i is asked for 1/i^Skew as
	// often as the first.
	Keys int
	Skew float64
	// Runs is how many draws of tokens and keys the figures are taken from.
	Runs int
	Seed uint64
}

// Default returns the paper's S=30 and N=3, with a load of 100,000 keys of Zipf's
// exponent 0.6, at which the hottest key is asked for in 0.4 % of the requests.
func Default() Config {
	return Config{Nodes: 30, Replicas: 3, Keys: 100_000, Skew: 0.6, Runs: 10, Seed: 1}
}

// Validate returns an error of KindInvalid that names the field.
func (c Config) Validate() error {
	const op = "check lab"
	switch {
	case c.Replicas < 1 || c.Replicas > kv.MaxReplicas:
		return kv.Errorf(kv.KindInvalid, op, "%d replicas: 1 to %d are possible", c.Replicas, kv.MaxReplicas)
	case c.Nodes < c.Replicas || c.Nodes > kv.MaxMembers:
		return kv.Errorf(kv.KindInvalid, op, "%d nodes: %d to %d are possible", c.Nodes, c.Replicas, kv.MaxMembers)
	case c.Keys < 1 || c.Keys > 10_000_000:
		return kv.Errorf(kv.KindInvalid, op, "%d keys: 1 to 10,000,000 are possible", c.Keys)
	case c.Skew < 0 || c.Skew > 3:
		return kv.Errorf(kv.KindInvalid, op, "a skew of %g: 0 to 3 is possible", c.Skew)
	case c.Runs < 1 || c.Runs > 1000:
		return kv.Errorf(kv.KindInvalid, op, "%d runs: 1 to 1,000 are possible", c.Runs)
	}
	return nil
}

// Point is one point of figure 8.
type Point struct {
	Strategy Strategy
	// Tokens is the number of tokens of each node, on average.
	Tokens float64
	// Partitions is the number of partitions.
	Partitions int
	// Metadata is what a node must know of the ring, in bytes.
	Metadata int
	// Efficiency is the average node's load as a share of the hottest node's, the
	// mean over all runs; Low and High are the worst and the best run's.
	Efficiency, Low, High float64
}

// tokenBytes is what a random token takes in a table: its place and its node.
const tokenBytes = 8 + 2

// equalParts is Q of strategy 2: far more than there are tokens, as the paper
// has it.
const equalParts = 1 << 16

// Partitioning returns the points of all strategies, each with more and more
// tokens. The configuration is valid.
func Partitioning(c Config) ([]Point, error) {
	var out []Point
	for t := 1; t <= 512; t *= 2 {
		tokens := c.Nodes * t
		for _, s := range []Strategy{RandomTokens, RandomTokensEqualParts} {
			p := Point{Strategy: s, Tokens: float64(t), Partitions: tokens, Metadata: tokens * tokenBytes}
			if s == RandomTokensEqualParts {
				p.Partitions = equalParts
			}
			c.play(&p, func(rng *rand.Rand, l load) []float64 { return c.random(rng, l, t, s) })
			out = append(out, p)
		}
	}
	for q := 1; q <= ring.MaxPartitions; q *= 2 {
		if q < c.Nodes {
			continue
		}
		p, err := c.equal(q)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	slices.SortStableFunc(out, func(a, b Point) int { return int(a.Strategy - b.Strategy) })
	return out, nil
}

// play fills in the efficiency of p, given the loads of the nodes of a run.
func (c Config) play(p *Point, loads func(*rand.Rand, load) []float64) {
	p.Low = 1
	for run := range c.Runs {
		rng := rand.New(rand.NewPCG(c.Seed, uint64(run)))
		all := loads(rng, newLoad(rng, c.Keys, c.Skew))
		sum := 0.0
		for _, v := range all {
			sum += v
		}
		e := sum / float64(len(all)) / slices.Max(all)
		p.Efficiency += e / float64(c.Runs)
		p.Low, p.High = min(p.Low, e), max(p.High, e)
	}
}

// token is a place on the circle that belongs to a node.
type token struct {
	place uint64
	node  int
}

// random returns the load of each node when each has t random tokens.
func (c Config) random(rng *rand.Rand, l load, t int, s Strategy) []float64 {
	tokens := make([]token, 0, c.Nodes*t)
	for node := range c.Nodes {
		for range t {
			tokens = append(tokens, token{rng.Uint64(), node})
		}
	}
	slices.SortFunc(tokens, func(a, b token) int {
		if a.place < b.place {
			return -1
		}
		return 1
	})
	loads := make([]float64, c.Nodes)
	give := func(first int, amount float64) {
		for _, node := range owners(tokens, first, c.Replicas) {
			loads[node] += amount
		}
	}
	if s == RandomTokens {
		for i := range tokens {
			before := tokens[(i+len(tokens)-1)%len(tokens)]
			give(i, l.between(before.place, tokens[i].place))
		}
		return loads
	}
	for p := range equalParts {
		end := uint64(p+1) * (1 << 64 / equalParts) // 0 for the last one
		first := 0
		if end != 0 {
			first = sort.Search(len(tokens), func(i int) bool { return tokens[i].place >= end })
		}
		give(first%len(tokens), l.partition(p, equalParts))
	}
	return loads
}

// owners returns the first n nodes clockwise from a token.
func owners(tokens []token, first, n int) []int {
	var out []int
	for i := range tokens {
		if node := tokens[(first+i)%len(tokens)].node; !slices.Contains(out, node) {
			if out = append(out, node); len(out) == n {
				break
			}
		}
	}
	return out
}

// equal plays strategy 3 with q partitions.
func (c Config) equal(q int) (Point, error) {
	params := ring.Params{N: c.Replicas, R: 1, W: 1, Q: q}
	r, err := ring.Claim(nil, params, 1, nodes(c.Nodes))
	if err != nil {
		return Point{}, err
	}
	p := Point{Strategy: EqualParts, Tokens: float64(q) / float64(c.Nodes), Partitions: q, Metadata: len(r.AppendTo(nil))}
	c.play(&p, func(_ *rand.Rand, l load) []float64 {
		loads := make([]float64, c.Nodes)
		for i := range q {
			amount := l.partition(i, q)
			for _, id := range r.Owners(kv.Partition(i)) {
				loads[id-1] += amount
			}
		}
		return loads
	})
	return p, nil
}

// nodes returns n nodes of one weight, with the ids 1 to n.
func nodes(n int) []ring.Node {
	out := make([]ring.Node, n)
	for i := range out {
		out[i] = ring.Node{ID: kv.NodeID(i + 1), Weight: 1}
	}
	return out
}
