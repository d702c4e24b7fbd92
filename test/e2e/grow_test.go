package e2e_test

import (
	"fmt"
	"testing"
	"time"
)

// planPage is what the tests read of /cluster/plan.
type planPage struct {
	Moves, Least float64
	Bytes, Keys  float64
}

// TestGrowUnderLoad: three nodes with keys of 1 KiB become five under reads and
// writes. No request fails, no get is wrong, and hardly more is moved than has to be.
func TestGrowUnderLoad(t *testing.T) {
	c := start(t, 3, "--partitions", fmt.Sprint(enough(64, 1024)))
	base := c.putAll(t, "base", enough(5_000, 200_000), 1024, "?w=3", 0, 1, 2)
	l := c.startStrictLoad(4)
	l.run(time.Duration(enough(2, 20)) * time.Second)
	calm, calmCount := l.lap()
	c.grow(t, 2)
	var plan planPage
	if err := c.nodes[0].json("/cluster/plan", &plan); err != nil {
		t.Fatal(err)
	}
	c.nodes[0].ringtail(t, "cluster", "plan").want(t, 0, "staged for epoch 3: join n4, join n5", "replicas move", "to carry it out: ringtail cluster commit")
	before := c.sum(t, "ringtail_repair_bytes_total")
	l.lap()
	began := time.Now()
	c.nodes[0].ringtail(t, "cluster", "commit", "--wait").want(t, 0, "committed: epoch 3 begins: join n4, join n5", "over after", "epoch 3 has n1, n2, n3, n4, n5")
	took := time.Since(began)
	moving, movingCount := l.lap()
	c.awaitSettled(t, 3)
	c.awaitReady()
	acked := l.end()
	noneFailed(t, l, time.Time{})
	t.Logf("p99 %v calm (%d requests), %v while data moved (%d requests, %v)", calm, calmCount, moving, movingCount, took.Round(time.Millisecond))

	c.checkWhole(t, sum(base, acked), len(l.failures))
	least := plan.Bytes * plan.Least / plan.Moves
	moved := c.sum(t, "ringtail_transition_received_bytes_total")
	travelled := c.sum(t, "ringtail_repair_bytes_total") - before
	t.Logf("%.0f bytes were fetched for %.0f at the least, %.1f %%, and %.0f travelled with what compared copies; %.0f replicas move for %.0f at the least",
		moved, least, 100*moved/least, travelled, plan.Moves, plan.Least)
	if moved > 1.15*least || moved < 0.9*least {
		t.Errorf("%.0f bytes were fetched, %.0f are the least possible", moved, least)
	}
	if isFull && travelled > 1.15*least { // of little data what compares it is a larger part
		t.Errorf("%.0f bytes travelled, %.0f are the least possible", travelled, least)
	}
}

// sum sums a metric over all nodes.
func (c *cluster) sum(t *testing.T, name string) (sum float64) {
	t.Helper()
	for _, p := range c.nodes {
		sum += p.metric(t, name)
	}
	return sum
}
