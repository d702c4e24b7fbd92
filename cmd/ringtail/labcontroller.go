package main

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/experiment"
)

// labControllerCmd is ringtail lab controller.
type labControllerCmd struct {
	labClusterFlags
	Engine    string        `default:"logstore" placeholder:"ENGINE" help:"What the nodes store their data in (logstore)."`
	Share     float64       `default:"0.4" placeholder:"SHARE" help:"The rate of the clients' puts, as a part of what saturates the cluster (0.4)."`
	Hints     int           `default:"60000" placeholder:"COUNT" help:"How many objects are put while a node is away (60000)."`
	Calm      time.Duration `default:"8s" placeholder:"DURATION" help:"How long clients are served before it comes back (8s)."`
	Duration  time.Duration `default:"40s" placeholder:"DURATION" help:"How long they are served in all (40s)."`
	Slice     time.Duration `default:"1s" placeholder:"DURATION" help:"How much of it a point of the drawing covers (1s)."`
	ValueSize int           `default:"1024" placeholder:"BYTES" help:"Size of each value (1024)."`
	Keys      int           `default:"10000" placeholder:"COUNT" help:"How many keys clients put (10000)."`
}

// Help is shown by ringtail lab controller --help.
func (labControllerCmd) Help() string {
	return `Starts four nodes, stops one, puts objects, and lets it go on while clients put at a steady rate: the others
deliver what they kept for it. Then all of it again, on new nodes, with --no-yield.

Example:

    ringtail lab controller --to docs/img`
}

// Run carries out the command.
func (c *labControllerCmd) Run(ctx context.Context, s streams) error {
	cfg := experiment.ControllerConfig{
		Engine: c.Engine, Share: c.Share, Hints: c.Hints, Calm: c.Calm, For: c.Duration, Slice: c.Slice, ValueBytes: c.ValueSize, Keys: c.Keys,
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	return c.play(ctx, s, func(ctx context.Context, lab experiment.Lab) (experiment.Result, error) {
		return experiment.Controller(ctx, lab, cfg)
	})
}
