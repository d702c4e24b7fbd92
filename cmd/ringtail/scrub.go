package main

import (
	"context"
	"fmt"
	"io"

	"github.com/ringtaildb/ringtail/internal/httpapi"
)

// scrubCmd is ringtail scrub.
type scrubCmd struct {
	runFlags
}

// Help is shown by ringtail scrub --help.
func (scrubCmd) Help() string {
	return `Reads every record of the node and checks its checksum, its form and its place in the hash tree.
What is damaged is set aside and refilled from the other owners. Nodes do so by themselves, slowly, all
the time. Ctrl-C leaves the run going on.

Examples:

    ringtail scrub
    ringtail scrub --addr 127.0.0.1:7410 --detach`
}

// Run carries out the command.
func (c *scrubCmd) Run(ctx context.Context, s streams) error {
	return runPage(ctx, s, c.runFlags, "/scrub", printScrub)
}

// printScrub shows where a scrub stands.
func printScrub(w io.Writer, v httpapi.RunView) {
	fmt.Fprintf(w, "%s, %s read, %d damaged places found\n", progress("scrub", v), size(v.Bytes), v.Found)
}
