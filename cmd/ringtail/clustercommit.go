package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/httpapi"
)

// commitCmd is ringtail cluster commit.
type commitCmd struct {
	addrFlags
	Wait       bool          `help:"Show the progress, and end when the change is over."`
	Every      time.Duration `default:"1s" placeholder:"DURATION" help:"How often to show the progress (1s)."`
	Force      bool          `help:"Do without a majority of the members, which is gone for good. Never on two sides of a cut network: that breaks the cluster."`
	AcceptLoss []string      `placeholder:"NODE" help:"Go on without these nodes, which are gone for good with all that they had."`
}

// Help is shown by ringtail cluster commit --help.
func (commitCmd) Help() string {
	return `A majority of the members has to answer for the change to begin; from then on it goes on by itself,
whatever ends or is cut off. The exit status is 0 when it has begun, with --wait when it is over.

Examples:

    ringtail cluster commit
    ringtail cluster commit --wait
    ringtail cluster commit --accept-loss n3,n4`
}

// Run carries out the command.
func (c *commitCmd) Run(ctx context.Context, s streams) error {
	d, err := c.door()
	if err != nil {
		return err
	}
	if c.Every <= 0 {
		return usagef("--every: %v is not positive", c.Every)
	}
	var begun httpapi.PlanView
	q := question{method: http.MethodPost, path: "/cluster/commit", body: commitBody(c.Force, c.AcceptLoss), timeout: pageTimeout}
	if err := d.page(ctx, q, &begun); err != nil {
		return err
	}
	if len(c.AcceptLoss) > 0 {
		printLosses(s.out, begun)
	}
	if !c.Wait {
		_, err := fmt.Fprintf(s.out, "committed: epoch %d begins: %s; see: ringtail status\n", begun.Epoch, inWords(begun.Changes))
		return err
	}
	return awaitEpoch(ctx, s, d, begun, c.Every)
}

// commitBody returns the body of /cluster/commit, nil where there is nothing to
// say.
func commitBody(force bool, loss []string) []byte {
	if !force && len(loss) == 0 {
		return nil
	}
	b, err := json.Marshal(httpapi.CommitOptions{Force: force, AcceptLoss: loss})
	if err != nil {
		panic("ringtail: options that are no JSON: " + err.Error())
	}
	return b
}

// awaitEpoch shows the progress of a change that has begun until it is over. Any
// node may tell, since the one that was asked first may leave.
func awaitEpoch(ctx context.Context, s streams, d door, begun httpapi.PlanView, every time.Duration) error {
	fmt.Fprintf(s.out, "committed: epoch %d begins: %s\n", begun.Epoch, inWords(begun.Changes))
	began, show := time.Now(), newShow(s.out)
	for {
		var view httpapi.ClusterView
		_, err := d.first(ctx, question{method: http.MethodGet, path: "/cluster", timeout: pollTimeout}, &view)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			show.line("! no node tells how far it is: " + err.Error())
		case view.Ring.Epoch >= begun.Epoch:
			show.end()
			return told(s.out, view, time.Since(began))
		default:
			d = d.with(view)
			show.progress(view, time.Now())
		}
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return errors.New("the change is not over yet; it goes on: see ringtail status")
		}
	}
}

// with returns d with the addresses of all nodes that are up after its own.
func (d door) with(v httpapi.ClusterView) door {
	addrs := d.addrs[:min(1, len(d.addrs))]
	for _, m := range v.Members {
		if m.Up && m.HTTP != "" && m.HTTP != addrs[0] {
			addrs = append(addrs[:len(addrs):len(addrs)], m.HTTP)
		}
	}
	return newDoor(addrs...)
}

// told says that a change is over, and who is in the ring.
func told(w io.Writer, v httpapi.ClusterView, took time.Duration) error {
	var names, leaving []string
	for _, m := range present(v) {
		switch m.Status {
		case "member":
			names = append(names, m.Name)
		case "leaving":
			leaving = append(leaving, m.Name)
		}
	}
	_, err := fmt.Fprintf(w, "over after %s: epoch %d has %s\n", took.Round(100*time.Millisecond), v.Ring.Epoch, strings.Join(names, ", "))
	for _, name := range leaving {
		fmt.Fprintf(w, "%s gives back what is left, and ends by itself\n", name)
	}
	return err
}
