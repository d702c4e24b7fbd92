package main

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/experiment"
)

// labOverloadCmd is ringtail lab overload.
type labOverloadCmd struct {
	labClusterFlags
	Engine    string        `default:"logstore" placeholder:"ENGINE" help:"What the nodes store their data in (logstore)."`
	Loads     []float64     `default:"0.25,0.5,0.75,0.9,1,1.25,1.5,2,2.5,3" placeholder:"LOAD" help:"What is offered, as multiples of what saturates the cluster (0.25 to 3)."`
	Duration  time.Duration `default:"5s" placeholder:"DURATION" help:"How long each load lasts (5s)."`
	Rounds    int           `default:"1" placeholder:"COUNT" help:"How often each load is offered, of which the median counts (1)."`
	Gets      int           `default:"0" placeholder:"PERCENT" help:"How many of 100 operations are gets; the others are puts (0)."`
	ValueSize int           `default:"1024" placeholder:"BYTES" help:"Size of each value (1024)."`
	Keys      int           `default:"100000" placeholder:"COUNT" help:"How many keys (100000)."`
	Timeout   time.Duration `default:"2s" placeholder:"DURATION" help:"How long an operation may take (2s)."`
}

// Help is shown by ringtail lab overload --help.
func (labOverloadCmd) Help() string {
	return `Starts three nodes, and after them three with --admission off, and offers them the same loads in an open loop, up to three times what 512 callers in a closed loop get. Where the system can, the nodes have the first processor
and the load the others.

Example:

    ringtail lab overload --to docs/img`
}

// Run carries out the command.
func (c *labOverloadCmd) Run(ctx context.Context, s streams) error {
	cfg := experiment.OverloadConfig{
		Engine: c.Engine, Loads: c.Loads, For: c.Duration, Rounds: c.Rounds, Gets: c.Gets,
		ValueBytes: c.ValueSize, Keys: c.Keys, Timeout: c.Timeout,
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	return c.play(ctx, s, func(ctx context.Context, lab experiment.Lab) (experiment.Result, error) {
		return experiment.Overload(ctx, lab, cfg)
	})
}
