package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/ringtaildb/ringtail/internal/httpapi"
)

// clusterCmd is ringtail cluster: what operators do to the cluster.
type clusterCmd struct {
	Join   joinCmd   `cmd:"" help:"Stage a node, by name, for the next commit."`
	Plan   planCmd   `cmd:"" help:"Show what a commit would do."`
	Commit commitCmd `cmd:"" help:"Carry out what is staged."`
	Props  propsCmd  `cmd:"" help:"Show or change the properties of a bucket."`
}

// Help is shown by ringtail cluster --help.
func (clusterCmd) Help() string {
	return `A node that is started with --seeds is staged by itself; nothing moves before a commit.

Example:

    ringtail cluster plan
    ringtail cluster commit`
}

// joinCmd is ringtail cluster join.
type joinCmd struct {
	addrFlags
	Node string `arg:"" help:"The node's name."`
}

// Help is shown by ringtail cluster join --help.
func (joinCmd) Help() string {
	return `Example:

    ringtail cluster join n4`
}

// Run carries out the command.
func (c *joinCmd) Run(ctx context.Context, s streams) error {
	d, err := c.door()
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"node": c.Node})
	if err != nil {
		return err
	}
	if _, err := d.ask(ctx, question{method: http.MethodPost, path: "/cluster/join", body: body, timeout: pageTimeout}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "staged %s; see: ringtail cluster plan\n", c.Node)
	return err
}

// planCmd is ringtail cluster plan.
type planCmd struct {
	addrFlags
	JSON bool `name:"json" help:"Print what the node answers, as JSON."`
}

// Help is shown by ringtail cluster plan --help.
func (planCmd) Help() string {
	return `Shows what each node would gain and lose, now and then: TOKENS are the partitions of which it is
the first owner, REPLICAS those of which it is any, SHARE its part of all replicas. Nothing changes.

Example:

    ringtail cluster plan`
}

// Run carries out the command.
func (c *planCmd) Run(ctx context.Context, s streams) error {
	d, err := c.door()
	if err != nil {
		return err
	}
	if c.JSON {
		var page json.RawMessage
		if err := d.get(ctx, "/cluster/plan", &page); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s\n", page)
		return err
	}
	var plan httpapi.PlanView
	if err := d.get(ctx, "/cluster/plan", &plan); err != nil {
		return err
	}
	printPlan(s.out, plan)
	return nil
}

// printPlan shows a plan to a person.
func printPlan(w io.Writer, p httpapi.PlanView) {
	if len(p.Changes) == 0 {
		fmt.Fprintln(w, "nothing is staged")
	} else {
		var staged []string
		for _, c := range p.Changes {
			staged = append(staged, c.Action+" "+c.Node)
		}
		slices.SortFunc(staged, byName)
		fmt.Fprintf(w, "staged for epoch %d: %s\n", p.Epoch, strings.Join(staged, ", "))
	}
	if len(p.Loads) == 0 {
		return
	}
	fmt.Fprintln(w)
	printLoads(w, p.Loads)
	fmt.Fprintf(w, "\n%d replicas move, %s; the fewest possible are %d\n", p.Moves, size(p.Bytes), p.Least)
	for _, text := range p.Warnings {
		fmt.Fprintf(w, "! %s\n", text)
	}
	switch {
	case len(p.Changes) == 0:
	case p.Obstacle != "":
		fmt.Fprintf(w, "! a commit would be refused: %s\n", p.Obstacle)
	default:
		fmt.Fprintln(w, "to carry it out: ringtail cluster commit")
	}
}

func printLoads(w io.Writer, loads []httpapi.LoadView) {
	before, after := 0, 0
	for _, l := range loads {
		before, after = before+l.Before, after+l.After
	}
	loads = slices.Clone(loads)
	slices.SortFunc(loads, func(a, b httpapi.LoadView) int { return byName(a.Node, b.Node) })
	t := newTable(left("NODE"), left("ZONE"), right("WEIGHT"), right("GAINED"), right("LOST"), right("RECEIVES"),
		right("TOKENS"), right("THEN"), right("REPLICAS"), right("THEN"), right("SHARE"), right("THEN"))
	for _, l := range loads {
		t.row(l.Node, l.Zone, fmt.Sprint(l.Weight), fmt.Sprint(l.Gained), fmt.Sprint(l.Lost), size(l.BytesIn),
			fmt.Sprint(l.TokensBefore), fmt.Sprint(l.TokensAfter), fmt.Sprint(l.Before), fmt.Sprint(l.After),
			percentOf(l.Before, before), percentOf(l.After, after))
	}
	t.print(w)
}

func percentOf(part, whole int) string {
	if whole == 0 {
		return percent(0)
	}
	return percent(float64(part) / float64(whole))
}

// commitCmd is ringtail cluster commit.
type commitCmd struct {
	addrFlags
}

// Help is shown by ringtail cluster commit --help.
func (commitCmd) Help() string {
	return `Example:

    ringtail cluster commit`
}

// Run carries out the command.
func (c *commitCmd) Run(ctx context.Context, s streams) error {
	d, err := c.door()
	if err != nil {
		return err
	}
	var begun struct{ Epoch uint64 }
	if err := d.page(ctx, question{method: http.MethodPost, path: "/cluster/commit", timeout: pageTimeout}, &begun); err != nil {
		return err
	}
	var view httpapi.ClusterView
	if err := d.get(ctx, "/cluster", &view); err != nil {
		return fmt.Errorf("committed as epoch %d, but: %w", begun.Epoch, err)
	}
	var names []string
	for _, m := range present(view) {
		if m.Status == "member" {
			names = append(names, m.Name)
		}
	}
	_, err = fmt.Fprintf(s.out, "committed: epoch %d has %s\n", begun.Epoch, strings.Join(names, ", "))
	return err
}
