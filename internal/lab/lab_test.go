package lab

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestLoad: the parts of a circle have all of the load, and each its keys'.
func TestLoad(t *testing.T) {
	l := newLoad(rand.New(rand.NewPCG(1, 1)), 1000, 0.7)
	for _, q := range []int{1, 2, 64, 65536} {
		sum := 0.0
		for p := range q {
			sum += l.partition(p, q)
		}
		if math.Abs(sum-1) > 1e-9 {
			t.Errorf("%d partitions have %g of the load", q, sum)
		}
	}
	if got, want := l.between(5, 5), 1.0; math.Abs(got-want) > 1e-9 {
		t.Errorf("the whole circle has %g", got)
	}
	if a, b := l.between(1<<63, 1<<62), l.between(1<<62, 1<<63); math.Abs(a+b-1) > 1e-9 {
		t.Errorf("two parts have %g and %g", a, b)
	}
}

// TestOwners: the first distinct nodes clockwise.
func TestOwners(t *testing.T) {
	tokens := []token{{1, 0}, {2, 0}, {3, 1}, {4, 0}, {5, 2}}
	for first, want := range [][2]int{{0, 1}, {0, 1}, {1, 0}, {0, 2}, {2, 0}} {
		if got := owners(tokens, first, 2); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("from token %d: %v, want %v", first, got, want)
		}
	}
}

// TestFigure8: what the paper found holds on this ring. With equal tokens a
// small table balances as well as random tokens do with a table many times as
// large, and random tokens balance better the more there are.
func TestFigure8(t *testing.T) {
	c := Default()
	c.Runs, c.Keys = 3, 20_000
	points, err := Partitioning(c)
	if err != nil {
		t.Fatal(err)
	}
	best := map[Strategy]Point{}
	first := map[Strategy]Point{}
	for _, p := range points {
		if p.Low > p.Efficiency || p.High < p.Efficiency || p.Low <= 0 || p.High > 1+1e-9 {
			t.Errorf("%+v is no efficiency", p)
		}
		if first[p.Strategy].Metadata == 0 {
			first[p.Strategy] = p
		}
		if p.Efficiency > best[p.Strategy].Efficiency {
			best[p.Strategy] = p
		}
	}
	for _, s := range []Strategy{RandomTokens, RandomTokensEqualParts} {
		if best[s].Efficiency < first[s].Efficiency+0.2 {
			t.Errorf("%v: %.2f with one token, %.2f at best", s, first[s].Efficiency, best[s].Efficiency)
		}
	}
	for _, p := range points {
		if p.Strategy == EqualParts && p.Partitions == 1024 {
			for _, o := range points {
				if o.Strategy != EqualParts && o.Metadata <= p.Metadata && o.Efficiency > p.Efficiency {
					t.Errorf("%v at %d bytes has %.3f, strategy 3 at %d bytes %.3f", o.Strategy, o.Metadata, o.Efficiency, p.Metadata, p.Efficiency)
				}
			}
		}
	}
}

// TestChanges: a change moves hardly more than the least.
func TestChanges(t *testing.T) {
	changes, err := Changes(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		if float64(c.Moved) > 1.1*float64(c.Least)+1 || c.Moved == 0 || c.Moved > c.All {
			t.Errorf("%d nodes, %s: %d of %d copies move, %d would do", c.Nodes, c.What, c.Moved, c.All, c.Least)
		}
		if c.RingBytes == 0 || c.MarkBytes == 0 {
			t.Errorf("%d nodes, %s: %d and %d bytes", c.Nodes, c.What, c.RingBytes, c.MarkBytes)
		}
	}
}

// TestGossip: news reaches everybody, in the order of log(n) rounds.
func TestGossip(t *testing.T) {
	for _, g := range Gossips(1, 20) {
		if least := math.Log(float64(g.Nodes)) / math.Log(gossipFanout+1); g.Mean < least-1 || g.Mean > 6*least+6 || g.Most < int(g.Mean) {
			t.Errorf("%+v", g)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	for _, change := range []func(*Config){
		func(c *Config) { c.Replicas = 0 }, func(c *Config) { c.Replicas = 17 }, func(c *Config) { c.Nodes = 2 }, func(c *Config) { c.Nodes = 4097 },
		func(c *Config) { c.Keys = 0 }, func(c *Config) { c.Keys = 10_000_001 }, func(c *Config) { c.Skew = -1 }, func(c *Config) { c.Skew = 3.1 },
		func(c *Config) { c.Runs = 0 }, func(c *Config) { c.Runs = 1001 },
	} {
		c := Default()
		if change(&c); c.Validate() == nil {
			t.Errorf("%+v passes", c)
		}
	}
}
