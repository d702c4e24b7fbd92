package e2e_test

import (
	"testing"
	"time"
)

// TestLeaveEnds: under load a node leaves, and ends by itself when the others have
// what it had. Another dies and is removed, and every partition has three copies
// again.
func TestLeaveEnds(t *testing.T) {
	c := start(t, 5)
	base := c.putAll(t, "base", enough(1_000, 20_000), 1000, "?w=2", 0, 1, 2, 3, 4)
	l := c.startStrictLoad(4)
	l.avoid(4)
	c.nodes[0].change(t, "leave", "n5")
	c.nodes[4].awaitEnd(t)
	c.nodes = c.nodes[:4]
	c.awaitSettled(t, 3)
	acked := l.end()
	noneFailed(t, l, time.Time{})
	c.checkWhole(t, sum(base, acked), len(l.failures))

	l = c.startStrictLoad(4)
	c.nodes[0].ringtail(t, "cluster", "remove", "n4").want(t, 1, "node n4 is up")
	l.avoid(3)
	c.nodes[3].kill()
	killed := time.Now()
	c.awaitDown(t, 0, 3)
	if last := await(time.Minute, func() string {
		if said := c.nodes[0].ringtail(t, "cluster", "remove", "n4"); said.status != 0 {
			return said.text
		}
		return ""
	}); last != "" {
		t.Fatal(last)
	}
	c.nodes[0].ringtail(t, "cluster", "commit", "--wait").want(t, 0, "committed: epoch 4 begins: remove n4", "over after", "epoch 4 has n1, n2, n3")
	c.nodes = c.nodes[:3]
	c.awaitSettled(t, 4)
	acked = sum(acked, l.end())
	noneFailed(t, l, killed.Add(settle))
	noneWrong(t, l)
	c.checkWhole(t, sum(base, acked), len(l.failures))
}
