package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/ringtaildb/ringtail/internal/httpapi"
)

// joinCmd is ringtail cluster join.
type joinCmd struct {
	addrFlags
	Node string `arg:"" help:"The node's name."`
}

// Help is shown by ringtail cluster join --help.
func (joinCmd) Help() string {
	return `The node has been started with --seeds. It is staged by itself then, unless somebody has taken that
back.

Example:

    ringtail cluster join n4`
}

// Run carries out the command.
func (c *joinCmd) Run(ctx context.Context, s streams) error {
	return stage(ctx, s, c.addrFlags, "join", map[string]any{"node": c.Node}, "join "+c.Node)
}

// leaveCmd is ringtail cluster leave.
type leaveCmd struct {
	addrFlags
	Node string `arg:"" help:"The node's name."`
}

// Help is shown by ringtail cluster leave --help.
func (leaveCmd) Help() string {
	return `The node serves until the others have what it has. Then it ends by itself, with exit status 0.

Example:

    ringtail cluster leave n4
    ringtail cluster commit --wait`
}

// Run carries out the command.
func (c *leaveCmd) Run(ctx context.Context, s streams) error {
	return stage(ctx, s, c.addrFlags, "leave", map[string]any{"node": c.Node}, "leave "+c.Node)
}

// removeCmd is ringtail cluster remove.
type removeCmd struct {
	addrFlags
	Node       string `arg:"" help:"The node's name."`
	AcceptLoss bool   `help:"The change that is under way shall go on without the node and what it had, now."`
}

// Help is shown by ringtail cluster remove --help.
func (removeCmd) Help() string {
	return `For a node that never comes back; the others make new copies of what it had. A node that is up is
refused: have it leave, or stop it first.

With --accept-loss, while a change is under way that waits for the node: the change goes on as if the
node had nothing. See first which promises lapse by that: ringtail cluster plan --accept-loss n3

Examples:

    ringtail cluster remove n3
    ringtail cluster remove n3 --accept-loss`
}

// Run carries out the command.
func (c *removeCmd) Run(ctx context.Context, s streams) error {
	body, told := map[string]any{"node": c.Node}, "remove "+c.Node
	if !c.AcceptLoss {
		return stage(ctx, s, c.addrFlags, "remove", body, told)
	}
	d, err := c.door()
	if err != nil {
		return err
	}
	var view httpapi.ClusterView
	if err := d.get(ctx, "/cluster", &view); err != nil {
		return err
	}
	if stays(view, c.Node) {
		if err := d.stage(ctx, "remove", body); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "staged: %s\n", told)
	}
	if view.Transition == nil {
		_, err := fmt.Fprintf(s.out, "no change is under way; to carry it out: ringtail cluster commit --accept-loss %s\n", c.Node)
		return err
	}
	var plan httpapi.PlanView
	q := question{method: http.MethodPost, path: "/cluster/commit", body: commitBody(false, []string{c.Node}), timeout: pageTimeout}
	if err := d.page(ctx, q, &plan); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "the change to epoch %d goes on without %s\n", plan.Epoch, c.Node)
	printLosses(s.out, plan)
	return nil
}

// stays tells whether a node is to be in the ring after the change under way.
func stays(v httpapi.ClusterView, node string) bool {
	for _, m := range v.Members {
		if m.Name == node && (m.Status == "member" || m.Status == "joining") {
			return true
		}
	}
	return false
}

// replaceCmd is ringtail cluster replace.
type replaceCmd struct {
	addrFlags
	Old string `arg:"" help:"The node to be replaced."`
	New string `arg:"" optional:"" help:"The node that takes its place; the one of the same name unless given."`
}

// Help is shown by ringtail cluster replace --help.
func (replaceCmd) Help() string {
	return `The new node takes over exactly the partitions of the old one. A node whose disk was lost is started
anew on an empty one, under its old name and address, and replaces itself.

Examples:

    ringtail cluster replace n3 n6
    ringtail cluster replace n3`
}

// Run carries out the command.
func (c *replaceCmd) Run(ctx context.Context, s streams) error {
	body, told := map[string]any{"node": c.Old}, "replace "+c.Old
	if c.New != "" {
		body["by"], told = c.New, told+" "+c.New
	}
	return stage(ctx, s, c.addrFlags, "replace", body, told)
}

// weightCmd is ringtail cluster weight.
type weightCmd struct {
	addrFlags
	Node   string `arg:"" help:"The node's name."`
	Weight uint32 `arg:"" help:"Its capacity relative to the other nodes', 1 or more."`
}

// Help is shown by ringtail cluster weight --help.
func (weightCmd) Help() string {
	return `A node of weight 2 owns twice as many partitions as one of weight 1. Only the difference moves.

Example:

    ringtail cluster weight n1 2`
}

// Run carries out the command.
func (c *weightCmd) Run(ctx context.Context, s streams) error {
	body := map[string]any{"node": c.Node, "weight": c.Weight}
	return stage(ctx, s, c.addrFlags, "weight", body, fmt.Sprintf("weight %s %d", c.Node, c.Weight))
}

// clearCmd is ringtail cluster clear.
type clearCmd struct {
	addrFlags
}

// Help is shown by ringtail cluster clear --help.
func (clearCmd) Help() string {
	return `A change that was committed is not taken back: let it end, and change back.

Example:

    ringtail cluster clear`
}

// Run carries out the command.
func (c *clearCmd) Run(ctx context.Context, s streams) error {
	d, err := c.door()
	if err != nil {
		return err
	}
	var body struct{ Cleared []httpapi.ChangeView }
	if err := d.page(ctx, question{method: http.MethodPost, path: "/cluster/clear", timeout: pageTimeout}, &body); err != nil {
		return err
	}
	told := "nothing was staged"
	if len(body.Cleared) > 0 {
		told = "taken back: " + inWords(body.Cleared)
	}
	_, err = fmt.Fprintln(s.out, told)
	return err
}
