package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/ringtaildb/ringtail/internal/httpapi"
)

// clusterCmd is ringtail cluster: what operators do to the cluster.
type clusterCmd struct {
	Join    joinCmd    `cmd:"" help:"Stage a node, to be taken into the ring."`
	Leave   leaveCmd   `cmd:"" help:"Stage a live node, to give what it has to the others and go."`
	Remove  removeCmd  `cmd:"" help:"Stage a node that is dead for good, to be taken out of the ring."`
	Replace replaceCmd `cmd:"" help:"Stage a node, to take the place of another."`
	Weight  weightCmd  `cmd:"" help:"Stage a new weight of a node."`
	Clear   clearCmd   `cmd:"" help:"Take back all that is staged."`
	Plan    planCmd    `cmd:"" help:"Show what a commit would do."`
	Commit  commitCmd  `cmd:"" help:"Carry out what is staged."`
	Pace    paceCmd    `cmd:"" help:"Show or change how fast data moves."`
	SLA     slaCmd     `cmd:"" name:"sla" help:"Show or change what requests are held to."`
	Props   propsCmd   `cmd:"" help:"Show or change the properties of a bucket."`
}

// Help is shown by ringtail cluster --help.
func (clusterCmd) Help() string {
	return `Changes are staged, looked at, and then committed, any number of them at once. A node that is started
with --seeds is staged by itself; nothing moves before a commit.

Example:

    ringtail cluster leave n2
    ringtail cluster plan
    ringtail cluster commit --wait`
}

// stage stages a change at the page of its action.
func stage(ctx context.Context, s streams, f addrFlags, action string, body map[string]any, told string) error {
	d, err := f.door()
	if err != nil {
		return err
	}
	if err := d.stage(ctx, action, body); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "staged: %s; see: ringtail cluster plan\n", told)
	return err
}

func (d door) stage(ctx context.Context, action string, body map[string]any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	_, err = d.ask(ctx, question{method: http.MethodPost, path: "/cluster/" + action, body: b, timeout: pageTimeout})
	return err
}

// inWords lists changes, by node, in the words of the commands that stage them.
func inWords(changes []httpapi.ChangeView) string {
	var words []string
	changes = slices.Clone(changes)
	slices.SortStableFunc(changes, func(a, b httpapi.ChangeView) int { return byName(a.Node, b.Node) })
	for _, c := range changes {
		words = append(words, c.String())
	}
	return strings.Join(words, ", ")
}
