package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// settle is how long a fault may cost requests (P1).
const settle = time.Second

// run lets the load go on for a while.
func (l *load) run(d time.Duration) { time.Sleep(d) }

// noneFailed checks that no request which began after t failed.
func noneFailed(t *testing.T, l *load, after time.Time) {
	t.Helper()
	if f := l.failedAfter(after); len(f) > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", len(f), l.ops.Load(), f[0])
	}
}

// noneWrong checks that every get that was answered showed the acknowledged value.
func noneWrong(t *testing.T, l *load) {
	t.Helper()
	if w := l.wrong(); len(w) > 0 {
		t.Errorf("%d of %d requests had a wrong answer, the first: %s", len(w), l.ops.Load(), w[0])
	}
	if n := len(l.failedAfter(time.Time{})); n > 0 {
		t.Logf("%d of %d requests failed", n, l.ops.Load())
	}
}

// noneRefused checks that every request was answered. A get of a sloppy quorum may
// miss a put that an owner and a stand-in have just taken, but hardly ever does.
func noneRefused(t *testing.T, l *load) {
	t.Helper()
	failed, missed := len(l.failedAfter(time.Time{})), len(l.wrong())
	if failed > missed || 100*missed > int(l.ops.Load()) {
		t.Errorf("%d of %d requests failed, %d gets among them missed what had been put, the first: %s", failed, l.ops.Load(), missed, l.failedAfter(time.Time{})[0])
	}
}

// checkAcked reads every acknowledged value at some node.
func (c *cluster) checkAcked(t *testing.T, acked map[string]string, nodes ...int) {
	t.Helper()
	if len(acked) < 100 {
		t.Errorf("only %d puts were acknowledged", len(acked))
	}
	i, lost := 0, 0
	for key, value := range acked {
		if a := c.get(nodes[i%len(nodes)], key); a.status != 200 || string(a.body) != value {
			if lost++; lost < 5 {
				t.Errorf("%s was acknowledged: %v", key, a)
			}
		}
		i++
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged puts are lost", lost, len(acked))
	}
}

// TestKillOne: kill -9 of one node under load costs no request after the first
// second, and nothing that was acknowledged.
func TestKillOne(t *testing.T) {
	c := start(t, 3)
	l := c.startLoad(8)
	l.run(2 * time.Second)
	noneFailed(t, l, time.Time{})
	l.avoid(2)
	c.nodes[2].kill()
	killed := time.Now()
	l.run(4 * time.Second)
	noneFailed(t, l, killed.Add(settle))

	// What needs the dead node fails at once, and says so.
	began := time.Now()
	a := c.do(0, "PUT", "/buckets/default/keys/three?w=3&strict=true", []byte("v")).want(t, 503, "")
	if f := a.failure(t); f.Error.Applied != "no" {
		t.Errorf("applied %q, want no: the failure was known", f.Error.Applied)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("a known failure took the whole timeout, %v", took)
	}
	acked := l.end()
	c.checkAcked(t, acked, 0, 1)

	// A second one: no quorum is left.
	c.nodes[1].kill()
	for range 20 {
		if a := c.put(0, "two-dead", "v"); a.status == 503 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.put(0, "two-dead", "v").want(t, 503, "")
	c.get(0, "two-dead").want(t, 503, "")
	c.do(0, "PUT", "/buckets/default/keys/one?w=1", []byte("v")).want(t, 204, "")

	// Both come back, with their data.
	for _, p := range c.nodes[1:] {
		p.start()
	}
	for _, p := range c.nodes {
		p.await("/readyz")
	}
	c.checkAcked(t, acked, 0, 1, 2)
}

// TestKillAll: kill -9 of all nodes during load loses nothing that was
// acknowledged.
func TestKillAll(t *testing.T) {
	c := start(t, 3)
	l := c.startLoad(8)
	l.run(2 * time.Second)
	for _, p := range c.nodes {
		p.kill()
	}
	acked := l.end()
	for _, p := range c.nodes {
		p.start()
	}
	for _, p := range c.nodes {
		p.await("/readyz")
	}
	c.checkAcked(t, acked, 0, 1, 2)
}

// TestPauseOne: a node that hangs, with its connections open, is routed around
// within a second, and taken in again when it goes on.
func TestPauseOne(t *testing.T) {
	full(t)
	c := start(t, 3)
	l := c.startLoad(8)
	l.run(2 * time.Second)
	l.avoid(1)
	c.nodes[1].signal(syscall.SIGSTOP)
	paused := time.Now()
	l.run(6 * time.Second)
	c.nodes[1].signal(syscall.SIGCONT)
	l.run(3 * time.Second)
	noneFailed(t, l, paused.Add(settle))
	acked := l.end()
	c.nodes[1].await("/readyz")
	c.checkAcked(t, acked, 0, 1, 2)
}

// TestRollingRestart stops the nodes one after the other, as an operator does.
func TestRollingRestart(t *testing.T) {
	full(t)
	c := start(t, 3)
	l := c.startLoad(8)
	for i, p := range c.nodes {
		l.run(time.Second)
		before := l.drain(i)
		p.signal(term)
		if code := p.wait(); code != 0 {
			t.Errorf("%s: exit status %d", p.name, code)
		}
		p.start()
		p.await("/readyz")
		l.talkTo(before)
	}
	noneFailed(t, l, time.Time{})
	c.checkAcked(t, l.end(), 0, 1, 2)
}

// TestFive: keys that a node does not own are passed on, also while an owner is
// dead or paused.
func TestFive(t *testing.T) {
	full(t)
	c := start(t, 5)
	l := c.startLoad(8)
	l.run(2 * time.Second)
	noneFailed(t, l, time.Time{})
	l.avoid(4)
	c.nodes[4].kill()
	killed := time.Now()
	l.run(3 * time.Second)
	noneFailed(t, l, killed.Add(settle))
	c.nodes[4].start()
	c.nodes[4].await("/readyz")
	l.avoid(3)
	c.nodes[3].signal(syscall.SIGSTOP)
	paused := time.Now()
	l.run(4 * time.Second)
	c.nodes[3].signal(syscall.SIGCONT)
	noneFailed(t, l, paused.Add(settle))
	c.checkAcked(t, l.end(), 0, 1, 2)
}

// TestBuffered: with dw=0 the acknowledgement comes from memory, and the disks
// follow within a second.
func TestBuffered(t *testing.T) {
	c := start(t, 3)
	for i := range 50 {
		c.do(i%3, "PUT", fmt.Sprintf("/buckets/default/keys/b%d?dw=0", i), []byte("v")).want(t, 204, "")
	}
	time.Sleep(1500 * time.Millisecond)
	for _, p := range c.nodes {
		p.kill()
	}
	for _, p := range c.nodes {
		p.start()
	}
	for _, p := range c.nodes {
		p.await("/readyz")
	}
	for i := range 50 {
		c.get(i%3, fmt.Sprintf("b%d", i)).want(t, 200, "v")
	}
}

// TestIdentity: an old copy of a directory, a second ring and a port in use are
// each refused, by name; a wiped directory waits for an operator's word.
func TestIdentity(t *testing.T) {
	c := start(t, 3)
	c.put(0, "a", "v").want(t, 204, "")
	n3 := c.nodes[2]
	n3.signal(term)
	n3.wait()

	old := n3.data + ".old"
	if out, err := exec.Command("cp", "-r", n3.data, old).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	n3.start()
	n3.await("/readyz")
	n3.kill()

	t.Run("an old copy", func(t *testing.T) {
		swap(t, old, n3.data)
		n3.start()
		if code := n3.wait(); code == 0 || !strings.Contains(n3.log.String(), "old copy of a data directory, use replace") {
			t.Errorf("exit status %d:\n%s", code, tail(n3.log.String(), 5))
		}
		swap(t, old, n3.data)
	})
	t.Run("a wiped disk", func(t *testing.T) {
		wiped := newProcess(t, "n3", n3.port)
		wiped.args = append(wiped.args, "--seeds", fmt.Sprintf("127.0.0.1:%d", c.nodes[0].port+2))
		wiped.start()
		wiped.awaitLog(t, "ringtail cluster replace n3")
		wiped.kill()
	})
	t.Run("no second ring by accident", func(t *testing.T) {
		alone := newProcess(t, "n9", freePorts(t, 1))
		alone.start()
		if code := alone.wait(); code != 2 || !strings.Contains(alone.log.String(), "--create") {
			t.Errorf("exit status %d:\n%s", code, tail(alone.log.String(), 5))
		}
	})
	t.Run("a port in use", func(t *testing.T) {
		second := newProcess(t, "n8", c.nodes[0].port)
		second.args = append(second.args, "--create")
		second.start()
		if code := second.wait(); code != 1 || !strings.Contains(second.log.String(), "the port is in use") {
			t.Errorf("exit status %d:\n%s", code, tail(second.log.String(), 5))
		}
	})
	n3.start()
	n3.await("/readyz")
	c.get(2, "a").want(t, 200, "v")
}

// swap exchanges two directories.
func swap(t *testing.T, a, b string) {
	t.Helper()
	for _, mv := range [][2]string{{a, a + ".tmp"}, {b, a}, {a + ".tmp", b}} {
		if err := os.Rename(mv[0], mv[1]); err != nil {
			t.Fatal(err)
		}
	}
}
