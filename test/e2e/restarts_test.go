package e2e_test

import (
	"fmt"
	"testing"
	"time"
)

// TestRestartsWhileChanging: all nodes are restarted, one after the other, while
// data moves to two that join. Then again while the only seed is dead. No get is
// wrong, and as long as one node at a time is away no request fails.
func TestRestartsWhileChanging(t *testing.T) {
	full(t)
	const pace, members = "50000", 4
	c := start(t, members, "--fill-rate", pace)
	base := c.putAll(t, "base", 20_000, 1000, "?w=3", 0, 1, 2, 3)
	l := c.startStrictLoad(4)
	c.grow(t, 2, "--fill-rate", pace)
	c.nodes[1].ringtail(t, "cluster", "commit").want(t, 0, "committed: epoch 3 begins: join n5, join n6")
	c.awaitSteps(t, 1, 0.02)
	for i := range c.nodes {
		c.restart(t, l, i, members)
	}
	noneFailed(t, l, time.Time{})

	l.avoid(0)
	c.nodes[0].kill()
	for i := range c.nodes[1:] {
		c.restart(t, l, i+1, members)
	}
	c.nodes[0].start()
	c.nodes[0].await("/readyz")
	c.stillChanging(t, 1)
	c.hurry(t)
	c.awaitSettled(t, 3)
	c.awaitReady()
	acked := l.end()
	noneWrong(t, l)
	c.checkWhole(t, sum(base, acked), len(l.failures))
}

// restart stops a node as an operator does, with its clients gone before, and
// starts it again. The first ones are members of the ring already.
func (c *cluster) restart(t *testing.T, l *load, i, members int) {
	t.Helper()
	p, before := c.nodes[i], l.drain(i)
	p.signal(term)
	if code := p.wait(); code != 0 {
		t.Errorf("%s: exit status %d", p.name, code)
	}
	p.start()
	if i < members {
		p.await("/readyz")
	} else {
		p.await("/healthz") // it is ready when the change is over
		c.awaitSeen(t, p.name)
	}
	l.talkTo(before)
}

// awaitSeen waits until every node that runs reaches one of them.
func (c *cluster) awaitSeen(t *testing.T, name string) {
	t.Helper()
	for _, p := range c.nodes {
		select {
		case <-p.ended:
			continue
		default:
		}
		if last := await(time.Minute, func() string {
			if up, err := p.sees(); err != nil || !up[name] {
				return fmt.Sprintf("%s does not reach %s: %v", p.name, name, err)
			}
			return ""
		}); last != "" {
			t.Fatal(last)
		}
	}
}
