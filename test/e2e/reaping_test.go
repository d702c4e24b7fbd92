package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// deleteAll deletes keys prefix-0 to prefix-(n-1) through nodes and returns
// them. Each delete that was not acknowledged is an error.
func (c *cluster) deleteAll(t *testing.T, prefix string, n int, nodes ...int) (keys []string) {
	t.Helper()
	for i := range n {
		keys = append(keys, fmt.Sprintf("%s-%d", prefix, i))
	}
	bulk(t, "delete", n, func(client *http.Client, i int) string {
		if a := c.nodes[nodes[i%len(nodes)]].do(client, "DELETE", keyPath(keys[i]), nil); a.status != 204 {
			return fmt.Sprintf("%s: %v", keys[i], a)
		}
		return ""
	})
	return keys
}

// logSizes logs the keys and the disk of each node.
func (c *cluster) logSizes(t *testing.T, when string) {
	t.Helper()
	for _, p := range c.nodes {
		s := p.stats()
		t.Logf("%s: %s: %d keys, %d reapable, %.1f MiB", when, p.name, s.Keys, s.Reapable, float64(s.DiskBytes)/(1<<20))
	}
}

// awaitKeys waits until every node holds n records.
func (c *cluster) awaitKeys(t *testing.T, n uint64) {
	t.Helper()
	began := time.Now()
	last := await(3*time.Minute, func() string {
		for _, p := range c.nodes {
			if s, _, err := p.view(); err != nil {
				return err.Error()
			} else if s.Keys != n {
				return fmt.Sprintf("%s has %d keys, %d reapable, want %d", p.name, s.Keys, s.Reapable, n)
			}
		}
		return ""
	})
	if last != "" {
		t.Fatalf("after %v: %s", time.Since(began).Round(time.Second), last)
	}
	t.Logf("%d keys at each node after %v", n, time.Since(began).Round(100*time.Millisecond))
}

// reaped sums what the given nodes have reaped.
func (c *cluster) reaped(t *testing.T, nodes ...int) (sum float64) {
	t.Helper()
	for _, i := range nodes {
		sum += c.nodes[i].metric(t, "ringtail_reaped_total")
	}
	return sum
}

// TestReaping: what is deleted is reaped where all nodes are there, and stays
// away through restarts; with a node down nothing is reaped, and its old values
// do not come back with it.
func TestReaping(t *testing.T) {
	full(t)
	c := start(t, 3, "--reap-at", "1", "--repair-every", "2s")
	const living = 500
	alive := c.putAll(t, "alive", living, 200, "?w=3", 0, 1, 2)

	t.Run("a healthy cluster", func(t *testing.T) {
		const n = 100_000
		c.putAll(t, "gone", n, 1000, "?dw=1", 0, 1, 2)
		c.awaitKeys(t, n+living)
		c.logSizes(t, "put")
		keys := c.deleteAll(t, "gone", n, 0, 1, 2)
		c.awaitKeys(t, living)
		c.logSizes(t, "reaped")
		c.nowhere(t, keys[:2000])
		if a := c.get(0, keys[0]).want(t, 404, ""); a.context != "" {
			t.Error("a reaped key has a context still")
		}
		for _, p := range c.nodes {
			p.stop()
		}
		for _, p := range c.nodes {
			p.start()
		}
		c.awaitReady()
		c.nowhere(t, keys[:2000])
		for _, p := range c.nodes {
			p.kill()
		}
		for _, p := range c.nodes {
			p.start()
		}
		c.awaitReady()
		c.awaitConverged(t)
		c.awaitKeys(t, living)
		c.nowhere(t, keys[:2000])
		c.everywhere(t, alive)
		c.logSizes(t, "restarted")
	})

	t.Run("a node down", func(t *testing.T) {
		const n = 10_000
		c.putAll(t, "old", n, 200, "?w=3&dw=1", 0, 1, 2)
		c.awaitKeys(t, n+living)
		c.nodes[2].kill()
		c.awaitDown(t, 0, 2)
		c.awaitDown(t, 1, 2)
		before := c.reaped(t, 0, 1)
		keys := c.deleteAll(t, "old", n, 0, 1)
		time.Sleep(15 * time.Second) // several rounds would fit
		if now := c.reaped(t, 0, 1); now != before {
			t.Errorf("%.0f were reaped with a node down", now-before)
		}
		for _, p := range c.nodes[:2] {
			if s := p.stats(); s.Keys != n+living || s.Reapable != n {
				t.Errorf("%s: %d keys, %d reapable, want %d and %d", p.name, s.Keys, s.Reapable, n+living, n)
			}
		}
		c.nodes[2].start()
		c.awaitReady()
		c.awaitKeys(t, living)
		c.awaitConverged(t)
		c.nowhere(t, keys)
		c.everywhere(t, alive)
	})
}

// busyIdle is the part of a core past which an idle node counts as busy. It is
// 0.007 on a quiet machine, and the test logs what it is; on one that does other
// things as well, waking up takes two or three times as long.
const busyIdle = 0.02

// TestIdleTraffic: a million keys on which all nodes agree cost next to nothing:
// under 1 KB/s of repair a node, and about 1 % of a core for all that it does.
func TestIdleTraffic(t *testing.T) {
	full(t)
	c := start(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	preload := exec.CommandContext(ctx, binary, "bench", "--addr", strings.TrimPrefix(c.nodes[0].url(""), "http://"),
		"--workload", "c", "--keys", "1000000", "--value-size", "16", "--dw", "0", "--duration", "1s", "--warmup", "0s")
	began := time.Now()
	if out, err := preload.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("loaded in %v", time.Since(began).Round(time.Second))
	c.awaitKeys(t, 1_000_000)
	c.awaitConverged(t)
	c.awaitQuiet(t)

	const watched = time.Minute
	type sample struct{ cpu, bytes float64 }
	take := func() (all []sample) {
		for _, p := range c.nodes {
			all = append(all, sample{p.stats().CPUSeconds, p.metric(t, "ringtail_repair_bytes_total")})
		}
		return all
	}
	before, began := take(), time.Now()
	time.Sleep(watched)
	after, took := take(), time.Since(began).Seconds()
	for i, p := range c.nodes {
		cpu, traffic := (after[i].cpu-before[i].cpu)/took, (after[i].bytes-before[i].bytes)/took
		t.Logf("%s: %.2f %% of a core, %.0f B/s of repair", p.name, 100*cpu, traffic)
		if cpu >= busyIdle {
			t.Errorf("%s uses %.2f %% of a core when idle", p.name, 100*cpu)
		}
		if traffic >= 1000 {
			t.Errorf("%s has %.0f B/s of repair traffic when idle", p.name, traffic)
		}
	}
}

// awaitQuiet waits until the storage engines have nothing left to compact, and
// the garbage of the load is collected.
func (c *cluster) awaitQuiet(t *testing.T) {
	t.Helper()
	const window = 10 * time.Second
	last := make([]float64, len(c.nodes))
	if p := await(3*time.Minute, func() string {
		time.Sleep(window)
		busy := ""
		for i, p := range c.nodes {
			cpu := p.stats().CPUSeconds
			if cpu-last[i] > busyIdle*window.Seconds() {
				busy = p.name + " is busy"
			}
			last[i] = cpu
		}
		return busy
	}); p != "" {
		t.Error(p)
	}
}
