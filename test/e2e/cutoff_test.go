package e2e_test

import (
	"fmt"
	"maps"
	"testing"
	"time"
)

// startInZones starts five nodes with a network each, the first two in one zone,
// the next two in another, the last in a third. What moves takes some seconds.
func startInZones(t *testing.T) *cluster {
	t.Helper()
	c := prepareApart(t, 5)
	for i, zone := range []string{"a", "a", "b", "b", "c"} {
		c.nodes[i].args = append(c.nodes[i].args, "--zone", zone)
	}
	c.launch("--insecure", "--fill-rate", fmt.Sprint(enough(100_000, 1_000_000)))
	return c
}

// TestCommitCutOff: two of five nodes are cut off. They go on with puts and gets,
// and cannot change the ring: a commit there says so and ends. The three can, and
// the change is over before the two are back, as they are one zone and no
// partition has both.
func TestCommitCutOff(t *testing.T) {
	c := startInZones(t)
	few, most := []int{0, 1}, []int{2, 3, 4}
	acked := c.putAll(t, "base", enough(500, 10_000), 1000, "?w=3", 0, 1, 2, 3, 4)
	c.split(t, few, most)
	c.nodes[0].ringtail(t, "cluster", "weight", "n3", "2").want(t, 0, "staged: weight n3 2")
	refused := c.nodes[0].ringtail(t, "cluster", "commit").want(t, 1, "2 of 5 members answer, a change of membership takes 3", "kind: unavailable", "applied: no")
	t.Log(refused.text)
	maps.Copy(acked, c.putAll(t, "cut off", enough(500, 5000), 100, "", few...))
	for _, i := range few {
		c.getAll(t, "read where it is cut off", acked, "", i)
	}
	c.nodes[1].ringtail(t, "cluster", "commit").want(t, 1, "2 of 5 members answer")
	c.heal(t)
	c.nodes[0].ringtail(t, "cluster", "commit").want(t, 0, "committed: epoch 3 begins: weight n3 2")
	c.awaitSettled(t, 3)
	c.checkAgreed(t, acked)

	c.split(t, few, most)
	l := c.startLoadWith(4, traffic{query: "?strict=true", nodes: most})
	c.nodes[2].change(t, "weight", "n3", "1")
	c.awaitSettledAt(t, 4, c.nodes[2:]...)
	maps.Copy(acked, l.end())
	noneFailed(t, l, time.Time{})
	var v ringPage
	if err := c.nodes[0].json("/cluster?local=true", &v); err != nil || v.Ring.Epoch != 3 {
		t.Errorf("the change was to be over without those who were cut off: %s is in epoch %d, %v", c.nodes[0].name, v.Ring.Epoch, err)
	}
	c.heal(t)
	c.awaitSettled(t, 4)
	c.checkAgreed(t, acked)
}

// TestCommitCutOffOwners: as above, and some partitions have two of their three
// owners among the nodes that are cut off. Their steps wait, and say for whom; all
// others end. After healing the change ends by itself.
func TestCommitCutOffOwners(t *testing.T) {
	full(t)
	c := startApart(t, 5)
	few, most := []int{0, 1}, []int{2, 3, 4}
	acked := c.putAll(t, "base", 10_000, 1000, "?w=3", 0, 1, 2, 3, 4)
	stuck := 0
	first, _ := c.nodes[0].sizes(t)
	second, _ := c.nodes[1].sizes(t)
	for p := range first {
		if _, both := second[p]; both {
			stuck++
		}
	}
	c.split(t, few, most)
	c.nodes[2].change(t, "weight", "n3", "2")
	var v ringPage
	if last := await(2*time.Minute, func() string {
		if err := c.nodes[2].json("/cluster?local=true", &v); err != nil {
			return err.Error()
		}
		if v.Transition == nil || v.Transition.Steps == 0 || v.Transition.Steps-v.Transition.Done > stuck {
			return fmt.Sprintf("more wait than can have both nodes among their owners, %d: %+v", stuck, v.Transition)
		}
		return ""
	}); last != "" {
		t.Fatal(last)
	}
	if v.Transition.Done == v.Transition.Steps {
		t.Error("no step waits: the test shows nothing")
	}
	t.Logf("%d of %d steps are over, %d partitions have both nodes among their owners", v.Transition.Done, v.Transition.Steps, stuck)
	c.nodes[2].ringtail(t, "status").want(t, 0, "n1, which is down, is waited for", "n2, which is down, is waited for")
	maps.Copy(acked, c.putAll(t, "most", 2000, 100, "", most...))
	maps.Copy(acked, c.putAll(t, "few", 2000, 100, "", few...))
	c.heal(t)
	c.awaitSettled(t, 3)
	c.checkShares(t)
	c.checkAgreed(t, acked)
}

// split cuts every link between two groups, and waits until all know it.
func (c *cluster) split(t *testing.T, as, bs []int) {
	t.Helper()
	c.net.cut(as, bs)
	for _, a := range as {
		c.awaitDown(t, a, bs...)
	}
	for _, b := range bs {
		c.awaitDown(t, b, as...)
	}
}

// heal mends every link, and waits until all nodes reach each other.
func (c *cluster) heal(t *testing.T) {
	t.Helper()
	c.net.heal()
	awaitUp(t, c.nodes...)
}

// checkAgreed checks that no copies differ, and that every node shows what was
// acknowledged.
func (c *cluster) checkAgreed(t *testing.T, acked map[string]string) {
	t.Helper()
	c.awaitConverged(t)
	c.readAll(t, acked)
}
