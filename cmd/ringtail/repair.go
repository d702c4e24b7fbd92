package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/ringtaildb/ringtail/internal/httpapi"
)

// repairCmd is ringtail repair.
type repairCmd struct {
	runFlags
}

// Help is shown by ringtail repair --help.
func (repairCmd) Help() string {
	return `Compares every partition of the node with each of its other owners, by hash trees, and brings both
sides up to date. Nodes do so by themselves every few seconds and when a peer comes back; this is for
those who would rather know now. Ctrl-C leaves the run going on.

Examples:

    ringtail repair
    ringtail repair --addr 127.0.0.1:7410 --detach`
}

// Run carries out the command.
func (c *repairCmd) Run(ctx context.Context, s streams) error {
	return runPage(ctx, s, c.runFlags, "/repair", printRepair)
}

// printRepair shows where a repair stands.
func printRepair(w io.Writer, v httpapi.RepairView) {
	fmt.Fprintf(w, "%s, %s exchanged, %d copies brought up to date\n", progress("repair", v.RunView), size(v.Bytes), v.Found)
	if len(v.Damaged) > 0 {
		fmt.Fprintf(w, "! %d partitions have lost data here and are being refilled\n", len(v.Damaged))
	}
	var never []string
	for _, p := range v.Peers {
		if p.Last.IsZero() {
			never = append(never, p.Node)
		}
	}
	if len(never) > 0 && !v.Running {
		fmt.Fprintf(w, "! not compared yet with: %s\n", strings.Join(never, ", "))
	}
}
