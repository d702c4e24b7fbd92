package e2e_test

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// told is what a command of an operator's said, and its exit status.
type told struct {
	command string
	text    string
	status  int
}

// ringtail runs a command of the program against a node, as an operator does. One
// that hangs is an error.
func (p *process) ringtail(t *testing.T, args ...string) told {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append(args, "--addr", p.addr())...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil || cmd.ProcessState == nil {
		t.Fatalf("ringtail %v does not end: %v\n%s", args, err, out)
	}
	return told{command: strings.Join(args, " ") + " at " + p.name, text: string(out), status: cmd.ProcessState.ExitCode()}
}

// want checks the exit status of a command, and that it said all of words.
func (r told) want(t *testing.T, status int, words ...string) told {
	t.Helper()
	if r.status != status {
		t.Errorf("%s: exit status %d, want %d:\n%s", r.command, r.status, status, r.text)
	}
	for _, w := range words {
		if !strings.Contains(r.text, w) {
			t.Errorf("%s does not say %q:\n%s", r.command, w, r.text)
		}
	}
	return r
}

// change stages a change at a node, and commits it there, by commands.
func (p *process) change(t *testing.T, args ...string) {
	t.Helper()
	p.ringtail(t, append([]string{"cluster"}, args...)...).want(t, 0, "staged: "+strings.Join(args, " "))
	p.ringtail(t, "cluster", "commit").want(t, 0, "committed: epoch", strings.Join(args, " "))
}

// awaitUp waits until each of the nodes sees that all of them are up.
func awaitUp(t *testing.T, nodes ...*process) {
	t.Helper()
	if last := await(time.Minute, func() string {
		for _, p := range nodes {
			up, err := p.sees()
			if err != nil {
				return err.Error()
			}
			for _, other := range nodes {
				if !up[other.name] {
					return fmt.Sprintf("%s does not reach %s", p.name, other.name)
				}
			}
		}
		return ""
	}); last != "" {
		t.Fatal(last)
	}
}

// awaitStatus waits until every node knows that some of them have a status.
func (c *cluster) awaitStatus(t *testing.T, status string, names ...string) {
	t.Helper()
	if last := await(time.Minute, func() string {
		for _, p := range c.nodes {
			var v ringPage
			if err := p.json("/cluster", &v); err != nil {
				return err.Error()
			}
			for _, m := range v.Members {
				if slices.Contains(names, m.Name) && m.Status != status {
					return fmt.Sprintf("%s takes %s for %s, not %s", p.name, m.Name, m.Status, status)
				}
			}
		}
		return ""
	}); last != "" {
		t.Fatal(last)
	}
}

// sees returns the names of the nodes that a node can reach.
func (p *process) sees() (up map[string]bool, err error) {
	var v ringPage
	err = p.json("/cluster", &v)
	up = map[string]bool{}
	for _, m := range v.Members {
		up[m.Name] = up[m.Name] || m.Up
	}
	return up, err
}

// sizes returns the bytes of each partition of which the node has a copy, and how
// many of them are left over from an earlier ring, or not its own yet.
func (p *process) sizes(t *testing.T) (bytes map[int]uint64, others int) {
	t.Helper()
	var v struct {
		Partitions []struct {
			Partition int
			Role      string
			Bytes     uint64
		}
	}
	if err := p.json("/partitions", &v); err != nil {
		t.Fatal(err)
	}
	bytes = map[int]uint64{}
	for _, e := range v.Partitions {
		bytes[e.Partition] = e.Bytes
		if e.Role != "owner" {
			others++
		}
	}
	return bytes, others
}

// noFormerCopies checks that no node has a copy that it does not own.
func (c *cluster) noFormerCopies(t *testing.T) {
	t.Helper()
	if last := await(time.Minute, func() string {
		for _, p := range c.nodes {
			if _, others := p.sizes(t); others > 0 {
				return fmt.Sprintf("%s has %d copies that it does not own", p.name, others)
			}
		}
		return ""
	}); last != "" {
		t.Error(last)
	}
}

// awaitEnd waits until a node has ended by itself, as one does that has left: with
// a line that says so, and without an error.
func (p *process) awaitEnd(t *testing.T) {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(4 * time.Minute):
		t.Fatalf("%s does not end:\n%s", p.name, tail(p.log.String(), 20))
	}
	const line = "this node has left the cluster and holds nothing any more: it ends, and its data directory may be deleted"
	if p.err != nil || !strings.Contains(p.log.String(), line) {
		t.Errorf("%s has left, and ended with %v:\n%s", p.name, p.err, tail(p.log.String(), 5))
	}
}
