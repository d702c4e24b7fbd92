package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/ringtaildb/ringtail/internal/chart"
	"github.com/ringtaildb/ringtail/internal/lab"
)

// labCmd is ringtail lab: measurements of the ring itself, without a cluster, and
// experiments on clusters of this machine.
type labCmd struct {
	Partitioning labPartitioningCmd `cmd:"" help:"Compare the paper's three strategies of partitioning (figure 8)."`
	Changes      labChangesCmd      `cmd:"" help:"What changes of membership move and cost, at 10, 100 and 1,000 nodes."`
	SlowReplica  labSlowReplicaCmd  `cmd:"" help:"What gets take while one of three nodes is slow."`
	Buffering    labBufferingCmd    `cmd:"" help:"Puts that are durable against puts that are buffered, over time (figure 5)."`
	Overload     labOverloadCmd     `cmd:"" help:"Goodput and tail under up to three times the load that saturates, with admission control and without."`
	Controller   labControllerCmd   `cmd:"" help:"The tail while a node that was away is given what it missed, with work in the background making room and without."`
}

// labPartitioningCmd is ringtail lab partitioning.
type labPartitioningCmd struct {
	Nodes int     `default:"30" placeholder:"COUNT" help:"S, the nodes (30)."`
	N     int     `default:"3" placeholder:"COUNT" help:"N, the replicas of each key (3)."`
	Keys  int     `default:"100000" placeholder:"COUNT" help:"Keys of the load (100000)."`
	Skew  float64 `default:"0.6" placeholder:"EXPONENT" help:"Zipf's exponent of the keys' popularity (0.6)."`
	Runs  int     `default:"10" placeholder:"COUNT" help:"Draws of tokens and keys (10)."`
	Seed  uint64  `default:"1" placeholder:"NUMBER" help:"Repeats the draws (1)."`
	SVG   string  `name:"svg" placeholder:"FILE" help:"Draw the curves into a file."`
	JSON  bool    `name:"json" help:"Print the points as JSON."`
}

// Help is shown by ringtail lab partitioning --help.
func (labPartitioningCmd) Help() string {
	return `EFFICIENCY is the average node's load as a share of the hottest node's, the mean, the worst and the best
of all runs; METADATA is what a node must know of the ring.

Example:

    ringtail lab partitioning --svg figure8.svg`
}

// Run carries out the command.
func (c *labPartitioningCmd) Run(_ context.Context, s streams) error {
	cfg := lab.Config{Nodes: c.Nodes, Replicas: c.N, Keys: c.Keys, Skew: c.Skew, Runs: c.Runs, Seed: c.Seed}
	if err := cfg.Validate(); err != nil {
		return err
	}
	points, err := lab.Partitioning(cfg)
	if err != nil {
		return err
	}
	if c.SVG != "" {
		if err := draw(c.SVG, figure8(cfg, points)); err != nil {
			return err
		}
	}
	if c.JSON {
		return json.NewEncoder(s.out).Encode(points)
	}
	t := newTable(left("STRATEGY"), right("TOKENS"), right("PARTITIONS"), right("METADATA"), right("EFFICIENCY"), right("WORST"), right("BEST"))
	for _, p := range points {
		t.row(fmt.Sprint(int(p.Strategy)), fmt.Sprintf("%.1f", p.Tokens), fmt.Sprint(p.Partitions), size(uint64(p.Metadata)),
			fmt.Sprintf("%.3f", p.Efficiency), fmt.Sprintf("%.3f", p.Low), fmt.Sprintf("%.3f", p.High))
	}
	t.print(s.out)
	for _, st := range []lab.Strategy{lab.RandomTokens, lab.RandomTokensEqualParts, lab.EqualParts} {
		fmt.Fprintf(s.out, "\n%v", st)
	}
	_, err = fmt.Fprintln(s.out)
	return err
}

// figure8 draws points as the paper's figure does.
func figure8(cfg lab.Config, points []lab.Point) chart.Chart {
	c := chart.Chart{
		Title:  fmt.Sprintf("Load balancing against metadata: %d nodes, N=%d, Zipf %g", cfg.Nodes, cfg.Replicas, cfg.Skew),
		XLabel: "metadata of a node, bytes", YLabel: "load-balancing efficiency", LogX: true, MaxY: 1,
		Lines: []chart.Line{{Name: "1: random tokens"}, {Name: "2: the same, equal parts"}, {Name: "3: equal tokens and parts"}},
	}
	for _, p := range points {
		line := &c.Lines[p.Strategy-1]
		line.Points = append(line.Points, chart.Point{X: float64(p.Metadata), Y: p.Efficiency, Low: p.Low, High: p.High})
	}
	return c
}

// draw writes a chart into a file.
func draw(path string, c chart.Chart) error {
	return writeFile(path, func(w io.Writer) error {
		_, err := c.WriteTo(w)
		return err
	})
}

// labChangesCmd is ringtail lab changes.
type labChangesCmd struct {
	Seed uint64 `default:"1" placeholder:"NUMBER" help:"Repeats the draws of the gossip (1)."`
	Runs int    `default:"100" placeholder:"COUNT" help:"How often the gossip is played (100)."`
	JSON bool   `name:"json" help:"Print what was found as JSON."`
}

// Help is shown by ringtail lab changes --help.
func (labChangesCmd) Help() string {
	return `Three zones, N=3. MOVED copies of partitions are made, of ALL, and LEAST is the fewest possible. CLAIM is
the time to compute the next ring, STEPS to find the steps to it; RING and MARKS are what is gossiped of a change, once.
ROUNDS of gossip pass until every node knows the news that one node has, each telling three others in each.

Example:

    ringtail lab changes`
}

// Run carries out the command.
func (c *labChangesCmd) Run(_ context.Context, s streams) error {
	if c.Runs < 1 || c.Runs > 10_000 {
		return usagef("--runs: 1 to 10,000 are possible")
	}
	changes, err := lab.Changes(time.Now)
	if err != nil {
		return err
	}
	gossip := lab.Gossips(c.Seed, c.Runs)
	if c.JSON {
		return json.NewEncoder(s.out).Encode(map[string]any{"changes": changes, "gossip": gossip})
	}
	t := newTable(right("NODES"), right("PARTITIONS"), left("CHANGE"), right("MOVED"), right("LEAST"), right("ALL"), right("CLAIM"), right("STEPS"), right("RING"), right("MARKS"))
	for _, v := range changes {
		t.row(fmt.Sprint(v.Nodes), fmt.Sprint(v.Partitions), v.What, fmt.Sprint(v.Moved), fmt.Sprint(v.Least), fmt.Sprint(v.All),
			v.Claim.Round(10*time.Microsecond).String(), v.Steps.Round(10*time.Microsecond).String(), size(uint64(v.RingBytes)), size(uint64(v.MarkBytes)))
	}
	t.print(s.out)
	fmt.Fprintln(s.out)
	g := newTable(right("NODES"), right("LOSS"), right("ROUNDS"), right("AT MOST"))
	for _, v := range gossip {
		g.row(fmt.Sprint(v.Nodes), fmt.Sprintf("%.0f %%", 100*v.Loss), fmt.Sprintf("%.1f", v.Mean), fmt.Sprint(v.Most))
	}
	g.print(s.out)
	return nil
}
