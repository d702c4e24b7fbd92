package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// awaitDown waits until node i knows that every node of dead is.
func (c *cluster) awaitDown(t *testing.T, i int, dead ...int) {
	t.Helper()
	last := await(time.Minute, func() string {
		var v struct {
			Members []struct {
				Name string
				Up   bool
			}
		}
		if err := c.nodes[i].json("/cluster", &v); err != nil {
			return err.Error()
		}
		for _, m := range v.Members {
			for _, d := range dead {
				if m.Name == c.nodes[d].name && m.Up {
					return m.Name + " counts as up"
				}
			}
		}
		return ""
	})
	if last != "" {
		t.Errorf("%s: %s", c.nodes[i].name, last)
	}
}

// TestSloppyW1: with W=1 puts go on at the last of five nodes, gets there see
// them, also after the node itself was killed; once the others are back every
// acknowledged value is at all its owners.
func TestSloppyW1(t *testing.T) {
	full(t)
	c := start(t, 5, "--w", "1", "--r", "1")
	acked := c.putAll(t, "before", 200, 0, "?w=3", 0, 1, 2, 3, 4)
	for _, p := range c.nodes[1:] {
		p.kill()
	}
	c.awaitDown(t, 0, 1, 2, 3, 4)

	alone := c.putAll(t, "alone", 1000, 100, "", 0)
	if len(alone) < 1000 {
		t.Errorf("%d of 1000 puts succeeded at the last node", len(alone))
	}
	c.getAll(t, "read at the survivor", alone, "", 0)
	if n := c.nodes[0].hints(); n == 0 {
		t.Error("the survivor shows no hints")
	}
	if n := c.nodes[0].metric(t, "ringtail_hints_keys"); n == 0 {
		t.Error("the survivor's metrics show no hints")
	}

	// Hints outlive the one who keeps them, and a node that finds nobody to ask
	// how far its numbers went takes writes all the same.
	c.nodes[0].kill()
	c.nodes[0].start()
	c.nodes[0].await("/readyz")
	c.awaitDown(t, 0, 1, 2, 3, 4)
	c.getAll(t, "read at the survivor, restarted", alone, "", 0)
	maps.Copy(alone, c.putAll(t, "restarted", 200, 100, "", 0))
	// Keys that exist are written too.
	maps.Copy(alone, c.overwrite(t, alone, 300, 0))

	for _, p := range c.nodes[1:] {
		p.start()
	}
	c.awaitReady()
	c.awaitConverged(t)
	maps.Copy(acked, alone)
	c.everywhere(t, acked)
}

// overwrite replaces the values of n of the keys through a node, with the
// context of what it shows, and returns the new ones.
func (c *cluster) overwrite(t *testing.T, keys map[string]string, n, node int) map[string]string {
	t.Helper()
	acked := map[string]string{}
	for key := range keys {
		if len(acked) == n {
			break
		}
		value := "again " + key
		a := c.get(node, key).want(t, 200, "")
		c.put(node, key, value, "X-Ringtail-Context", a.context).want(t, 204, "")
		acked[key] = value
	}
	return acked
}

// TestSloppyAnyThreeDead: N=3, W=2: whichever three of five nodes are dead, all
// puts to the two live ones succeed, and gets there see them.
func TestSloppyAnyThreeDead(t *testing.T) {
	full(t)
	c := start(t, 5)
	acked := map[string]string{}
	for a := range 5 {
		for b := range a {
			live := []int{b, a}
			var dead []int
			for i := range 5 {
				if i != a && i != b {
					dead = append(dead, i)
				}
			}
			for _, d := range dead {
				c.nodes[d].kill()
			}
			c.awaitDown(t, a, dead...)
			c.awaitDown(t, b, dead...)
			puts := c.putAll(t, fmt.Sprintf("live-%d-%d", b, a), 300, 20, "", live...)
			c.getAll(t, "read at the live", puts, "", b)
			c.getAll(t, "read at the live", puts, "", a)
			maps.Copy(acked, puts)
			for _, d := range dead {
				c.nodes[d].start()
			}
			c.awaitReady()
		}
	}
	c.awaitConverged(t)
	c.everywhere(t, acked)
}

// TestConvergence: a cluster is split with writes on both sides; once it is
// whole again all owners of all keys hold the same.
func TestConvergence(t *testing.T) {
	full(t)
	t.Run("by hints", func(t *testing.T) {
		// The default budget keeps a hint for every write.
		testConvergence(t, "handoff")
	})
	t.Run("by exchange", func(t *testing.T) {
		// Next to nothing is kept as a hint: the trees have to find it.
		testConvergence(t, "exchange", "--hint-bytes", "4096", "--repair-every", "5s")
	})
}

func testConvergence(t *testing.T, by string, flags ...string) {
	const differing = 10_000
	c := startApart(t, 5, flags...)
	c.putAll(t, "both", 1000, 100, "?w=3", 0, 1, 2, 3, 4)
	c.net.cut([]int{0, 1}, []int{2, 3, 4})
	for i := range 2 {
		c.awaitDown(t, i, 2, 3, 4)
	}
	for i := 2; i < 5; i++ {
		c.awaitDown(t, i, 0, 1)
	}
	before := c.copies(t, by)
	// W=1, so that a side which may keep no hints takes what it owns itself.
	acked, lost := map[string]string{}, 0
	for i, side := range [][]int{{0, 1}, {2, 3, 4}} {
		puts, refused := c.putMost(t, fmt.Sprintf("side-%d", i), differing/2, "?w=1", side...)
		maps.Copy(acked, puts)
		lost += refused
	}
	// The same keys on both sides: siblings.
	both := map[string][]string{}
	for _, side := range []int{0, 3} {
		for k := range 100 {
			key, value := fmt.Sprintf("both-%d", k), c.nodes[side].name
			if a := c.put(side, key+"?w=1", value); a.status == 204 {
				both[key] = append(both[key], value)
			}
		}
	}
	t.Logf("%d differing keys, %d refused", len(acked), lost)
	if by == "handoff" && lost > 0 {
		t.Errorf("%d puts were refused, though stand-ins could take them", lost)
	}
	if len(acked) < differing {
		t.Errorf("%d keys were written on the two sides, want %d", len(acked), differing)
	}
	c.net.heal()
	c.awaitConverged(t)
	t.Logf("%.0f copies repaired by %s", c.copies(t, by)-before, by)
	if c.copies(t, by) == before {
		t.Errorf("nothing was repaired by %s", by)
	}
	c.everywhere(t, acked)
	siblings := 0
	for key, values := range both {
		for i := range c.nodes {
			a := c.do(i, "GET", keyPath(key)+"?r=1", nil, "Accept", "application/json").want(t, 300, "")
			got, _ := jsonValues(t, a)
			for _, v := range values {
				if !slices.Contains(got, v) {
					t.Errorf("%s at %s: %q was acknowledged, and is not among %.40q", key, c.nodes[i].name, v, got)
				}
			}
		}
		siblings += len(values)
	}
	if siblings < 150 {
		t.Errorf("only %d of 200 concurrent puts of the same keys were acknowledged", siblings)
	}
}

// copies sums what the nodes have repaired in a way.
func (c *cluster) copies(t *testing.T, by string) (sum float64) {
	for _, p := range c.nodes {
		sum += p.metric(t, "ringtail_repair_copies_total", fmt.Sprintf("by=%q", by))
	}
	return sum
}

// putMost is putAll of n keys where puts may be refused for lack of hints: it
// goes on until n are acknowledged, and returns how many were refused.
func (c *cluster) putMost(t *testing.T, prefix string, n int, query string, nodes ...int) (acked map[string]string, refused int) {
	t.Helper()
	acked = map[string]string{}
	var once sync.Once
	for round := 0; len(acked) < n && round < 10; round++ {
		type result struct {
			key, value string
		}
		got := make([]result, n-len(acked))
		bulk(t, "put", len(got), func(client *http.Client, i int) string {
			key := fmt.Sprintf("%s-%d-%d", prefix, round, i)
			value := "value of " + key
			switch a := c.nodes[nodes[i%len(nodes)]].do(client, "PUT", keyPath(key)+query, []byte(value)); {
			case a.status == 204:
				got[i] = result{key, value}
			case a.status != 503:
				return fmt.Sprintf("%s: %v", key, a)
			default:
				once.Do(func() { t.Logf("refused, for one: %v", a) })
			}
			return ""
		})
		for _, r := range got {
			if r.key != "" {
				acked[r.key] = r.value
			} else {
				refused++
			}
		}
	}
	return acked, refused
}
