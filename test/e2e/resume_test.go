package e2e_test

import (
	"fmt"
	"testing"
	"time"
)

// hurry has all nodes move data as fast as they can.
func (c *cluster) hurry(t *testing.T) {
	t.Helper()
	c.nodes[0].ringtail(t, "cluster", "pace", "500M").want(t, 0)
}

// joinHalf starts three nodes with keys of 1 KiB and a strict load, has a fourth
// join, and kills it when it has half of what it is to own. The load may go on
// through the other three.
func joinHalf(t *testing.T, keys int) (c *cluster, base map[string]string, l *load, killed time.Time) {
	t.Helper()
	rate := fmt.Sprint(enough(1_000_000, 8_000_000))
	c = start(t, 3, "--fill-rate", rate, "--partitions", fmt.Sprint(enough(32, 1024)))
	base = c.putAll(t, "base", keys, 1024, "?w=3", 0, 1, 2)
	l = c.startSlowLoad(2, 40*time.Millisecond)
	c.grow(t, 1, "--fill-rate", rate)
	c.nodes[0].ringtail(t, "cluster", "commit").want(t, 0, "committed: epoch 3 begins: join n4")
	c.awaitSteps(t, 0, 0.5)
	c.nodes[3].kill()
	killed = time.Now()
	c.stillChanging(t, 0)
	return c, base, l, killed
}

// perRecord is what a record takes in a fill besides what a node counts as its
// size, with its part of the trees: up to 26 bytes, measured without a crash.
const perRecord = 26

// oneMessage is the most that a source sends at once, with its last record. What is
// under way when a node dies is lost with it, also if it is of several small
// partitions.
const oneMessage = 256<<10 + 2<<10

// TestJoinerKilled: a node that joins under load is killed half-way, and goes on
// where it was when it is started again: its sources send no more than a partition,
// or a message, each a second time.
func TestJoinerKilled(t *testing.T) {
	c, base, l, killed := joinHalf(t, enough(8_000, 200_000))
	n4 := c.nodes[3]
	n4.start()
	n4.await("/healthz")
	c.hurry(t)
	c.awaitSettled(t, 3)
	acked := l.end()
	noneFailed(t, l, killed.Add(settle))
	noneWrong(t, l)

	sent, largest, sources := 0.0, uint64(oneMessage), c.nodes[:3]
	for _, p := range sources {
		sent += p.metric(t, "ringtail_transition_sent_bytes_total")
	}
	has, _ := n4.sizes(t)
	for _, bytes := range has {
		largest = max(largest, bytes)
	}
	needed := total(has) + perRecord*n4.stats().Keys
	t.Logf("%.0f bytes were sent for %d, %.0f of them after the crash; each may send %d again",
		sent, needed, n4.metric(t, "ringtail_transition_received_bytes_total"), largest)
	if again := sent - float64(needed); again > float64(len(sources))*float64(largest) {
		t.Errorf("%.0f bytes were sent twice, more than a partition or a message for each of %d sources", again, len(sources))
	}
	c.checkWhole(t, sum(base, acked), len(l.failures))
}

// total sums sizes.
func total(sizes map[int]uint64) (bytes uint64) {
	for _, n := range sizes {
		bytes += n
	}
	return bytes
}

// TestJoinerLost: as above, but the node never comes back. The change ends without
// it. Then another replaces it, and every partition has all its copies again.
func TestJoinerLost(t *testing.T) {
	full(t)
	c, base, l, killed := joinHalf(t, 50_000)
	c.awaitSettledAt(t, 3, c.nodes[:3]...)
	c.grow(t, 1)
	c.nodes[0].change(t, "replace", "n4", "n5")
	c.nodes = append(c.nodes[:3], c.nodes[4])
	c.hurry(t)
	c.awaitSettled(t, 4)
	c.awaitReady()
	acked := l.end()
	noneFailed(t, l, killed.Add(settle))
	noneWrong(t, l)
	c.checkWhole(t, sum(base, acked), len(l.failures))
}
