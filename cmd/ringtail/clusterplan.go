package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// planCmd is ringtail cluster plan.
type planCmd struct {
	addrFlags
	JSON       bool     `name:"json" help:"Print what the node answers, as JSON."`
	AcceptLoss []string `placeholder:"NODE" help:"Show which promises lapse if the change that is under way goes on without these nodes."`
}

// Help is shown by ringtail cluster plan --help.
func (planCmd) Help() string {
	return `Shows what each node would gain and lose, now and then: TOKENS are the partitions of which it is
the first owner, REPLICAS those of which it is any, SHARE its part of all replicas. What it receives is
reckoned by the mean of all partitions. Nothing changes.

Examples:

    ringtail cluster plan
    ringtail cluster plan --accept-loss n3`
}

// Run carries out the command.
func (c *planCmd) Run(ctx context.Context, s streams) error {
	d, err := c.door()
	if err != nil {
		return err
	}
	q := question{method: http.MethodGet, path: "/cluster/plan", timeout: pageTimeout}
	if len(c.AcceptLoss) > 0 {
		q.query = url.Values{"accept_loss": {strings.Join(c.AcceptLoss, ",")}}
	}
	if c.JSON {
		var page json.RawMessage
		if err := d.page(ctx, q, &page); err != nil {
			return err
		}
		_, err := fmt.Fprintf(s.out, "%s\n", page)
		return err
	}
	var plan httpapi.PlanView
	if err := d.page(ctx, q, &plan); err != nil {
		return err
	}
	if len(c.AcceptLoss) > 0 {
		fmt.Fprintf(s.out, "the change to epoch %d without %s:\n", plan.Epoch, strings.Join(c.AcceptLoss, ", "))
		printLosses(s.out, plan)
		return nil
	}
	printPlan(s.out, plan)
	return nil
}

// printPlan shows a plan to a person.
func printPlan(w io.Writer, p httpapi.PlanView) {
	if len(p.Changes) == 0 {
		fmt.Fprintln(w, "nothing is staged")
		return
	}
	fmt.Fprintf(w, "staged for epoch %d: %s\n", p.Epoch, inWords(p.Changes))
	if len(p.Loads) > 0 {
		fmt.Fprintln(w)
		printLoads(w, p.Loads)
		printZones(w, p)
		fmt.Fprintf(w, "\n%d replicas move, about %s in %d records; the fewest possible are %d\n", p.Moves, size(p.Bytes), p.Keys, p.Least)
	}
	for _, text := range p.Warnings {
		fmt.Fprintf(w, "! %s\n", text)
	}
	if p.Obstacle != "" {
		fmt.Fprintf(w, "! a commit would be refused: %s\n", p.Obstacle)
	} else {
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
	t := newTable(left("NODE"), left("ZONE"), right("WEIGHT"), right("GAINED"), right("LOST"), right("RECEIVES"), right("RECORDS"),
		right("TOKENS"), right("THEN"), right("REPLICAS"), right("THEN"), right("SHARE"), right("THEN"))
	for _, l := range loads {
		t.row(l.Node, l.Zone, fmt.Sprint(l.Weight), fmt.Sprint(l.Gained), fmt.Sprint(l.Lost), size(l.BytesIn), fmt.Sprint(l.KeysIn),
			fmt.Sprint(l.TokensBefore), fmt.Sprint(l.TokensAfter), fmt.Sprint(l.Before), fmt.Sprint(l.After),
			percentOf(l.Before, before), percentOf(l.After, after))
	}
	t.print(w)
}

// printZones shows the zones, if nodes were given any, and what is left of the
// owners of a key when one is lost.
func printZones(w io.Writer, p httpapi.PlanView) {
	if len(p.Zones) == 0 || len(p.Zones) == 1 && p.Zones[0].Zone == "" {
		return
	}
	fmt.Fprintln(w)
	t := newTable(left("ZONE"), right("NODES"), right("WEIGHT"), right("SHARE"), right("THEN"), left("OWNERS LEFT WITHOUT IT"))
	for _, z := range p.Zones {
		t.row(z.Zone, fmt.Sprint(z.Nodes), fmt.Sprint(z.Weight), percent(z.Before), percent(z.After), ownersLeft(p, z))
	}
	t.print(w)
	fmt.Fprintf(w, "each of %d partitions has owners in %s", p.Partitions, counted(p.SpanAfter, "zone"))
	if p.SpanBefore != p.SpanAfter && p.SpanBefore > 0 {
		fmt.Fprintf(w, ", before in %d", p.SpanBefore)
	}
	fmt.Fprintln(w)
}

// ownersLeft says what the loss of a zone leaves.
func ownersLeft(p httpapi.PlanView, z httpapi.ZoneView) string {
	switch {
	case z.Nodes == 0:
		return ""
	case z.LeftIn == p.Partitions:
		return fmt.Sprintf("%d of %d", z.Left, p.Replicas)
	}
	return fmt.Sprintf("%d of %d in %d partitions, more in others", z.Left, p.Replicas, z.LeftIn)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func percentOf(part, whole int) string {
	if whole == 0 {
		return percent(0)
	}
	return percent(float64(part) / float64(whole))
}

// printLosses says where promises lapse.
func printLosses(w io.Writer, p httpapi.PlanView) {
	if len(p.Lapsed) == 0 {
		fmt.Fprintln(w, "what was acknowledged is still there, in all partitions")
		return
	}
	fmt.Fprintf(w, "! acknowledged writes may be gone for good, and strict reads miss them, in %d partitions: %s\n", len(p.Lapsed), ranges(p.Lapsed))
}

// ranges lists ascending partitions, those that follow each other as one.
func ranges(parts []kv.Partition) string {
	var words []string
	for i := 0; i < len(parts); {
		j := i
		for j+1 < len(parts) && parts[j+1] == parts[j]+1 {
			j++
		}
		word := fmt.Sprint(parts[i])
		if j > i {
			word = fmt.Sprintf("%d-%d", parts[i], parts[j])
		}
		words = append(words, word)
		i = j + 1
	}
	return strings.Join(words, ", ")
}
