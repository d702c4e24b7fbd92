package e2e_test

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// ringPage is what the tests of changes read of /cluster.
type ringPage struct {
	Ring       struct{ Epoch uint64 }
	Transition *struct{ Steps, Done int }
	Members    []struct {
		Name, Status string
		Up           bool
		Weight       float64
		Share        float64
	}
}

// grow starts more nodes, and waits until a member lists them.
func (c *cluster) grow(t *testing.T, more int, flags ...string) {
	t.Helper()
	base := freePorts(t, more)
	for i := range more {
		c.admit(newProcess(t, fmt.Sprintf("n%d", len(c.nodes)+1), base+10*i), flags...)
	}
}

// admit starts a node that joins, and waits until a member lists it.
func (c *cluster) admit(p *process, flags ...string) {
	c.t.Helper()
	p.args = append(append(p.args, "--seeds", c.nodes[0].gossip()), flags...)
	p.start()
	p.await("/healthz")
	c.nodes = append(c.nodes, p)
}

// awaitSettled waits until every node has the ring of that epoch, and none sees a
// change under way.
func (c *cluster) awaitSettled(t *testing.T, epoch uint64) time.Duration {
	t.Helper()
	return c.awaitSettledAt(t, epoch, c.nodes...)
}

// awaitSettledAt is awaitSettled for some of the nodes.
func (c *cluster) awaitSettledAt(t *testing.T, epoch uint64, nodes ...*process) time.Duration {
	t.Helper()
	began := time.Now()
	if p := await(4*time.Minute, func() string {
		for _, p := range nodes {
			var v ringPage
			if err := p.json("/cluster?local=true", &v); err != nil {
				return err.Error()
			}
			if v.Ring.Epoch != epoch || v.Transition != nil {
				return fmt.Sprintf("%s is in epoch %d, changing: %+v", p.name, v.Ring.Epoch, v.Transition)
			}
		}
		return ""
	}); p != "" {
		t.Fatal(p)
	}
	took := time.Since(began).Round(100 * time.Millisecond)
	t.Logf("epoch %d is settled after %v", epoch, took)
	return took
}

// awaitSteps waits until about a share of the steps of the change under way are
// over, or all of them.
func (c *cluster) awaitSteps(t *testing.T, at int, share float64) {
	t.Helper()
	last := await(4*time.Minute, func() string {
		var v ringPage
		if err := c.nodes[at].json("/cluster?local=true", &v); err != nil {
			return err.Error()
		}
		if t := v.Transition; t != nil && (t.Steps == 0 || float64(t.Done) < share*float64(t.Steps)) {
			return fmt.Sprintf("%d of %d steps", v.Transition.Done, v.Transition.Steps)
		}
		return ""
	})
	if last != "" {
		t.Fatal(last)
	}
}

// checkShares checks that each node has the share of the replicas that its weight
// asks for, within 5 %.
func (c *cluster) checkShares(t *testing.T) {
	t.Helper()
	var v ringPage
	if err := c.nodes[0].json("/cluster", &v); err != nil {
		t.Fatal(err)
	}
	members, weights := 0, 0.0
	for _, m := range v.Members {
		if m.Status == "member" {
			members++
			weights += m.Weight
		}
	}
	for _, m := range v.Members {
		if fair := m.Weight / weights; m.Status == "member" && math.Abs(m.Share-fair) > 0.05*fair {
			t.Errorf("%s has %.1f %% of the replicas, %.1f %% would be fair", m.Name, 100*m.Share, 100*fair)
		}
	}
	if members != len(c.nodes) {
		t.Errorf("%d members, want %d", members, len(c.nodes))
	}
}

// checkWhole checks that nothing is lost, and nothing is left where it was. As many
// keys as maybe may be there besides those that are wanted.
func (c *cluster) checkWhole(t *testing.T, want map[string]string, maybe int) {
	t.Helper()
	c.awaitConverged(t)
	c.checkShares(t)
	copies := min(3, len(c.nodes))
	if p := await(time.Minute, func() string {
		sum := 0
		for _, p := range c.nodes {
			sum += int(p.stats().Keys)
		}
		if sum < copies*len(want) || sum > copies*(len(want)+maybe) {
			return fmt.Sprintf("the nodes have %d records, want %d, or a few more for %d keys", sum, copies*len(want), maybe)
		}
		return ""
	}); p != "" {
		t.Error(p)
	}
	c.noFormerCopies(t)
	c.readAll(t, want)
}

// manyKeys is how many keys are read at every node; of more, each at one of them.
const manyKeys = 30_000

// readAll reads what was acknowledged with strict gets.
func (c *cluster) readAll(t *testing.T, want map[string]string) {
	t.Helper()
	parts := make([]map[string]string, len(c.nodes))
	for i := range parts {
		parts[i] = want
		if len(want) > manyKeys {
			parts[i] = map[string]string{}
		}
	}
	if i := 0; len(want) > manyKeys {
		for k, v := range want {
			parts[i%len(parts)][k] = v
			i++
		}
	}
	for i := range c.nodes {
		c.getAll(t, "strict get", parts[i], "?r=2&strict=true", i)
	}
}

// crash kills a node half-way and starts it again.
func (c *cluster) crash(t *testing.T, l *load, i int) {
	t.Helper()
	l.avoid(i)
	c.nodes[i].kill()
	l.run(settle)
	c.nodes[i].start()
	c.nodes[i].await("/healthz") // one that joins is ready when the change is over
	c.awaitSeen(t, c.nodes[i].name)
}

// stillChanging checks that a change is under way: what a test does in its middle
// was not done after its end.
func (c *cluster) stillChanging(t *testing.T, at int) {
	t.Helper()
	var v ringPage
	if err := c.nodes[at].json("/cluster?local=true", &v); err != nil || v.Transition == nil {
		t.Fatalf("%s is in epoch %d, and the change was to last longer: %v", c.nodes[at].name, v.Ring.Epoch, err)
	}
	t.Logf("%d of %d steps are over", v.Transition.Done, v.Transition.Steps)
}

// sum returns what was acknowledged, all together.
func sum(maps ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range maps {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

// TestGrowAndShrink: three nodes become five, then eight, then four, under load,
// while nodes that give, gain and took the commit are killed half-way.
func TestGrowAndShrink(t *testing.T) {
	full(t)
	c := start(t, 3)
	base := c.putAll(t, "base", 20_000, 1000, "?w=2", 0, 1, 2)
	l := c.startStrictLoad(6)
	c.grow(t, 2)
	c.commit()
	c.awaitSettled(t, 3)
	acked := l.end()
	noneFailed(t, l, time.Time{})
	maybe := len(l.failures)
	c.checkWhole(t, sum(base, acked), maybe)

	l = c.startStrictLoad(6)
	c.grow(t, 3, "--fill-rate", "300000")
	c.commit()
	for k, i := range []int{6, 1, 0} { // one that gains, one that gives, and who took the commit
		c.awaitSteps(t, 2, 0.1*float64(k+1))
		c.crash(t, l, i)
	}
	c.stillChanging(t, 2)
	c.hurry(t)
	c.awaitSettled(t, 4)
	acked = sum(acked, l.end())
	noneWrong(t, l)
	maybe += len(l.failures)
	c.checkWhole(t, sum(base, acked), maybe)

	l = c.startStrictLoad(6)
	for i := 4; i < 8; i++ {
		l.avoid(i)
		c.do(0, "POST", "/cluster/leave", fmt.Appendf(nil, `{"node":%q}`, c.nodes[i].name)).want(t, 200, "")
	}
	c.commit()
	for _, p := range c.nodes[4:] {
		p.awaitEnd(t)
	}
	c.nodes = c.nodes[:4]
	c.awaitSettled(t, 5)
	acked = sum(acked, l.end())
	noneFailed(t, l, time.Time{})
	maybe += len(l.failures)
	c.checkWhole(t, sum(base, acked), maybe)
}

// TestReplaceWiped: a node whose disk is wiped comes back under its name and
// address as a new one, and takes the old one's place, under load.
func TestReplaceWiped(t *testing.T) {
	full(t)
	c := start(t, 3)
	base := c.putAll(t, "base", 5_000, 1000, "?w=3", 0, 1, 2)
	l := c.startStrictLoad(6)
	n2 := c.nodes[1]
	l.avoid(1)
	n2.kill()
	if err := os.RemoveAll(n2.data); err != nil {
		t.Fatal(err)
	}
	n2.start()
	n2.await("/healthz")
	if p := await(time.Minute, func() string {
		if a := c.do(0, "POST", "/cluster/replace", []byte(`{"node":"n2"}`)); a.status != http.StatusOK {
			return string(a.body)
		}
		return ""
	}); p != "" {
		t.Fatal(p)
	}
	c.commit()
	c.awaitSettled(t, 3)
	acked := l.end()
	noneWrong(t, l)
	c.checkWhole(t, sum(base, acked), len(l.failures))
	if !strings.Contains(n2.log.String(), "replace") {
		t.Error("the node did not say how it is taken in")
	}
}
