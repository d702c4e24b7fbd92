package handoff

import (
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// leaving returns a transition in which node 5 takes part of node 2's place, and
// a key of which it does, with the step's owners.
func leaving(t *testing.T) (*ring.Transition, kv.Key, *ring.Step) {
	t.Helper()
	from, to := claim(t, 1, 1, 2, 3), claim(t, 2, 1, 3, 5)
	tr, err := ring.NewTransition(from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	k := kv.AppendKey(nil, "b", []byte("key"))
	steps := tr.Steps(from.PartitionOf(k))
	if len(steps) != 1 || !slices.Contains(steps[0].Old, 2) || slices.Contains(steps[0].New, 2) {
		t.Fatalf("the steps are %+v", steps)
	}
	return tr, k, &steps[0]
}

// at returns the transition in a phase of all its steps.
func at(tr *ring.Transition, phase int) *ring.Current {
	g := ring.NewProgress(tr)
	for i := range tr.Len() {
		for place := range 32 {
			if phase > 1 {
				g.Add(i, ring.MarkDone(place))
			}
			if phase > 2 {
				g.Add(i, ring.MarkStage2(place))
			}
		}
	}
	return &ring.Current{Ring: tr.From(), Progress: g}
}

// TestTargetsOfAStep: a hint for an owner that leaves goes to it as long as it
// takes what it lacks, and from phase 2 on to each owner that stays or is new; a
// hint for one that is new goes to it from the beginning.
func TestTargetsOfAStep(t *testing.T) {
	tr, k, step := leaving(t)
	for _, want := range []struct {
		phase int
		owner kv.NodeID
		to    []kv.NodeID
	}{
		{1, 2, []kv.NodeID{2}}, {2, 2, step.New}, {3, 2, step.New},
		{1, 5, []kv.NodeID{5}}, {2, 5, []kv.NodeID{5}}, {3, 5, []kv.NodeID{5}},
		{1, 1, []kv.NodeID{1}}, {2, 1, []kv.NodeID{1}},
	} {
		c := newCluster(t, 5, Default())
		for _, n := range c.nodes {
			n.cur = at(tr, want.phase)
		}
		o := c.node(4).hint(want.owner, k, "value")
		c.settle(time.Second)
		for _, n := range c.nodes {
			if n.has(k, o) != slices.Contains(want.to, n.id) {
				t.Errorf("phase %d: a hint for node %v is at node %v: %v", want.phase, want.owner, n.id, n.has(k, o))
			}
		}
		if len(c.sent) != len(want.to) {
			t.Errorf("phase %d: a hint for node %v was sent %d times", want.phase, want.owner, len(c.sent))
		}
	}
}

// TestFormerOwnerRefuses: from phase 2 on a former owner takes no hint of a sender
// that knows less; one who knows more may know better.
func TestFormerOwnerRefuses(t *testing.T) {
	tr, k, _ := leaving(t)
	c := newCluster(t, 5, Default())
	for _, n := range c.nodes {
		n.cur = at(tr, 1)
	}
	former := c.node(2)
	former.cur = at(tr, 2)
	o := c.node(4).hint(2, k, "value")
	c.pass(time.Second)
	c.run()
	if former.has(k, o) || c.hints() != 1 || len(c.node(4).refreshed) == 0 {
		t.Error("a former owner took a hint, or the sender did not ask for news")
	}
	for _, n := range c.nodes {
		n.cur = at(tr, 3)
	}
	c.settle(time.Minute)
	if former.has(k, o) {
		t.Error("the hint is at the former owner")
	}

	// A node that is behind: it takes what it is given by who knows more.
	c = newCluster(t, 5, Default())
	for _, n := range c.nodes {
		n.cur = at(tr, 1)
	}
	behind := c.node(5)
	behind.cur = &ring.Current{Ring: tr.From()}
	o = c.node(4).hint(5, k, "value")
	c.settle(time.Second)
	if !behind.has(k, o) || len(behind.refreshed) == 0 {
		t.Error("a node that is behind refused, or did not ask for news")
	}
}
