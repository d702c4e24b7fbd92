package e2e_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAcceptLoss: two of five nodes are gone for good in the middle of a change,
// which then waits for them where both were owners. An operator says that they do
// not come back, is told in which partitions promises lapse, and the change ends.
func TestAcceptLoss(t *testing.T) {
	rate := fmt.Sprint(enough(100_000, 2_500_000))
	c := start(t, 5, "--fill-rate", rate, "--partitions", fmt.Sprint(enough(64, 1024)))
	base := c.putAll(t, "base", enough(2_000, 50_000), 1024, "?w=3", 0, 1, 2, 3, 4)
	both := c.withBoth(t, 3, 4)
	c.grow(t, 1, "--fill-rate", rate)
	c.nodes[0].ringtail(t, "cluster", "commit").want(t, 0, "committed: epoch 3 begins: join n6")
	c.awaitSteps(t, 0, 0.1)
	for _, p := range c.nodes[3:5] {
		p.kill()
		if err := os.RemoveAll(p.data); err != nil {
			t.Fatal(err)
		}
	}
	c.hurry(t)
	c.awaitDown(t, 0, 3, 4)
	c.awaitWaiting(t, "n4", "n5")

	first := c.accept(t, "n4").want(t, 0, "staged: remove n4", "the change to epoch 3 goes on without n4", "what was acknowledged is still there, in all partitions")
	c.stillChanging(t, 0)
	second := c.accept(t, "n5").want(t, 0, "staged: remove n5", "the change to epoch 3 goes on without n5")
	t.Log(first.text, second.text)
	if got := lapsed(t, second.text); !slices.Equal(got, both) {
		t.Errorf("promises lapse in %v, both were owners of %v", got, both)
	}
	left := []*process{c.nodes[0], c.nodes[1], c.nodes[2], c.nodes[5]}
	c.awaitSettledAt(t, 3, left...)

	last := c.nodes[0].ringtail(t, "cluster", "commit", "--accept-loss", "n4,n5", "--wait").want(t, 0, "committed: epoch 4 begins: remove n4, remove n5", "over after", "epoch 4 has n1, n2, n3, n6")
	lapsed(t, last.text)
	c.nodes = left
	c.awaitSettled(t, 4)
	c.awaitReady()
	c.checkWhole(t, base, 0)
}

// accept accepts the loss of a node, as soon as the first node knows that it is
// dead.
func (c *cluster) accept(t *testing.T, name string) (said told) {
	t.Helper()
	if last := await(time.Minute, func() string {
		if said = c.nodes[0].ringtail(t, "cluster", "remove", name, "--accept-loss"); strings.Contains(said.text, "is up") {
			return said.text
		}
		return ""
	}); last != "" {
		t.Fatal(last)
	}
	return said
}

// withBoth returns the partitions of which both nodes have a copy, ascending.
func (c *cluster) withBoth(t *testing.T, a, b int) (both []int) {
	t.Helper()
	as, _ := c.nodes[a].sizes(t)
	bs, _ := c.nodes[b].sizes(t)
	for p := range as {
		if _, has := bs[p]; has {
			both = append(both, p)
		}
	}
	slices.Sort(both)
	return both
}

// lapsed returns the partitions that a command lists as those in which promises
// lapse.
func lapsed(t *testing.T, text string) (parts []int) {
	t.Helper()
	const words = "! acknowledged writes may be gone for good, and strict reads miss them, in "
	_, rest, found := strings.Cut(text, words)
	line, _, _ := strings.Cut(rest, "\n")
	count, list, _ := strings.Cut(line, " partitions: ")
	if !found {
		t.Errorf("no partition is listed:\n%s", text)
		return nil
	}
	for word := range strings.SplitSeq(list, ", ") {
		from, to, run := strings.Cut(word, "-")
		if !run {
			to = from
		}
		a, err := strconv.Atoi(from)
		b, err2 := strconv.Atoi(to)
		if err != nil || err2 != nil {
			t.Fatalf("no partitions: %q", word)
		}
		for p := a; p <= b; p++ {
			parts = append(parts, p)
		}
	}
	if count != fmt.Sprint(len(parts)) {
		t.Errorf("%s partitions are said to be %v", count, parts)
	}
	return parts
}

// awaitWaiting waits until the change is as far as it comes without some nodes,
// and the first node says that it waits for them.
func (c *cluster) awaitWaiting(t *testing.T, names ...string) {
	t.Helper()
	var said told
	if last := await(time.Minute, func() string {
		said = c.nodes[0].ringtail(t, "status").want(t, 0)
		for _, name := range names {
			if !strings.Contains(said.text, name+", which is down, is waited for") {
				return said.text
			}
		}
		return ""
	}); last != "" {
		t.Fatal(last)
	}
}
