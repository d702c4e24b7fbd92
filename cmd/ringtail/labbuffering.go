package main

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/experiment"
)

// labBufferingCmd is ringtail lab buffering.
type labBufferingCmd struct {
	labClusterFlags
	Engine    string        `default:"logstore" placeholder:"ENGINE" help:"What the nodes store their data in (logstore)."`
	Share     float64       `default:"0.9" placeholder:"SHARE" help:"The rate, as a part of what durable puts reach (0.9)."`
	Duration  time.Duration `default:"1m" placeholder:"DURATION" help:"How long each kind of put lasts (1m)."`
	Slice     time.Duration `default:"2s" placeholder:"DURATION" help:"How much of it a point of the drawing covers (2s)."`
	ValueSize int           `default:"1024" placeholder:"BYTES" help:"Size of each value (1024)."`
	Keys      int           `default:"100000" placeholder:"COUNT" help:"How many keys (100000)."`
}

// Help is shown by ringtail lab buffering --help.
func (labBufferingCmd) Help() string {
	return `Starts three nodes, finds how many durable puts a second 64 callers get, and puts at a part of that rate
in an open loop: first with dw=2, then, on three new nodes, with dw=0, which acknowledges from memory.

Example:

    ringtail lab buffering --to docs/img`
}

// Run carries out the command.
func (c *labBufferingCmd) Run(ctx context.Context, s streams) error {
	cfg := experiment.BufferingConfig{
		Engine: c.Engine, Share: c.Share, For: c.Duration, Slice: c.Slice, ValueBytes: c.ValueSize, Keys: c.Keys,
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	return c.play(ctx, s, func(ctx context.Context, lab experiment.Lab) (experiment.Result, error) {
		return experiment.Buffering(ctx, lab, cfg)
	})
}
