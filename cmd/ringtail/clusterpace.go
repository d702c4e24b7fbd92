package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/ringtaildb/ringtail/internal/httpapi"
)

// paceCmd is ringtail cluster pace.
type paceCmd struct {
	addrFlags
	Rate byteRate `arg:"" optional:"" help:"The most bytes a second that a node fetches: 500k, 16M, 16777216."`
	Node string   `placeholder:"NODE" help:"One node only, by name."`
}

// Help is shown by ringtail cluster pace --help.
func (paceCmd) Help() string {
	return `Partitions that move are fetched by their new owners, each at its own pace at the most, and more slowly
while requests of clients queue. A new pace holds at once, and until the node is started anew; serve
has --fill-rate for good. Without a rate the command shows what is set.

Examples:

    ringtail cluster pace
    ringtail cluster pace 4M
    ringtail cluster pace 64M --node n5`
}

// Run carries out the command.
func (c *paceCmd) Run(ctx context.Context, s streams) error {
	d, err := c.door()
	if err != nil {
		return err
	}
	q := question{method: http.MethodGet, path: "/cluster/pace", timeout: pageTimeout}
	if c.Rate != 0 {
		q.method = http.MethodPut
		if q.body, err = json.Marshal(map[string]any{"rate": c.Rate, "node": c.Node}); err != nil {
			return err
		}
	}
	var page httpapi.PaceView
	if err := d.page(ctx, q, &page); err != nil {
		return err
	}
	slices.SortFunc(page.Nodes, func(a, b httpapi.NodePace) int { return byName(a.Node, b.Node) })
	failed := 0
	t := newTable(left("NODE"), right("PACE"))
	for _, n := range page.Nodes {
		switch {
		case c.Node != "" && n.Node != c.Node:
		case n.Error != "":
			failed++
			t.row(n.Node, n.Error)
		default:
			t.row(n.Node, size(uint64(n.Rate))+"/s")
		}
	}
	t.print(s.out)
	if failed > 0 {
		return fmt.Errorf("%d nodes did not answer", failed)
	}
	return nil
}

// byteRate is a number of bytes a second, with an optional unit.
type byteRate int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *byteRate) UnmarshalText(text []byte) error {
	word, unit := strings.ToUpper(string(text)), int64(1)
	for suffix, factor := range map[string]int64{"K": 1000, "M": 1e6, "G": 1e9} {
		if number, ok := strings.CutSuffix(word, suffix); ok {
			word, unit = number, factor
		}
	}
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil || n < 1 || n > 1e18/unit {
		return fmt.Errorf("%q is no number of bytes a second such as 500k, 16M or 16777216", text)
	}
	*r = byteRate(n * unit)
	return nil
}
