package main

import (
	"context"
	"os"
	"os/exec"

	"github.com/ringtaildb/ringtail/internal/bench"
)

// benchPartCmd is ringtail bench part, which ringtail bench --processes starts.
type benchPartCmd struct{}

// Help is shown by ringtail bench part --help.
func (benchPartCmd) Help() string {
	return `Makes a part of the load that ringtail bench --processes describes at its standard input.`
}

// Run carries out the command.
func (benchPartCmd) Run(ctx context.Context, s streams) error { return bench.Part(ctx, s.in, s.out) }

// benchPart returns the command that makes a part of the load. It ends with this
// process.
func benchPart() (*exec.Cmd, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(own, "bench", "part")
	cmd.SysProcAttr = dieWithParent()
	return cmd, nil
}
