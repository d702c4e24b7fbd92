package main

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/experiment"
)

// labSlowReplicaCmd is ringtail lab slow-replica.
type labSlowReplicaCmd struct {
	labClusterFlags
	Engine    string        `default:"memory" placeholder:"ENGINE" help:"What the nodes store their data in (memory)."`
	Delay     time.Duration `default:"100ms" placeholder:"DURATION" help:"By how much one node is slow, and how long it pauses (100ms)."`
	Every     time.Duration `default:"1s" placeholder:"DURATION" help:"How often it pauses (1s)."`
	Rate      float64       `default:"1000" placeholder:"COUNT" help:"Operations a second, nine in ten of them gets (1000)."`
	Duration  time.Duration `default:"10s" placeholder:"DURATION" help:"How long each kind of trouble lasts in each round (10s)."`
	Slice     time.Duration `default:"2s" placeholder:"DURATION" help:"How much of it a point of the drawing covers (2s)."`
	Rounds    int           `default:"3" placeholder:"COUNT" help:"How often all kinds are played in turn (3)."`
	ValueSize int           `default:"1024" placeholder:"BYTES" help:"Size of each value (1024)."`
	Keys      int           `default:"10000" placeholder:"COUNT" help:"How many keys (10000)."`
}

// Help is shown by ringtail lab slow-replica --help.
func (labSlowReplicaCmd) Help() string {
	return `Starts three nodes, of which one is slow: all that it receives is held up (serve --delay), or its process
pauses each second. Gets and puts come in an open loop. Played with requests that go round what is slow
and gets that are hedged, which is how Ringtail works, and without either.

Example:

    ringtail lab slow-replica --to docs/img`
}

// Run carries out the command.
func (c *labSlowReplicaCmd) Run(ctx context.Context, s streams) error {
	cfg := experiment.SlowReplicaConfig{
		Engine: c.Engine, Delay: c.Delay, Every: c.Every, Rate: c.Rate, For: c.Duration, Slice: c.Slice, Rounds: c.Rounds,
		ValueBytes: c.ValueSize, Keys: c.Keys,
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	return c.play(ctx, s, func(ctx context.Context, lab experiment.Lab) (experiment.Result, error) {
		return experiment.SlowReplica(ctx, lab, cfg)
	})
}
