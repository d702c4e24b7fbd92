package e2e_test

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestTwoCommits: two operators have a node join each, at two nodes in the same
// second, and neither node knows of the other's change. One is chosen. The other's
// operator is told which, and that his stays staged; his next commit carries it out.
func TestTwoCommits(t *testing.T) {
	c := prepareApart(t, 5)
	joiners := c.nodes[3:]
	c.nodes = c.nodes[:3]
	c.launch("--insecure")
	acked := c.putAll(t, "base", enough(300, 5000), 100, "?w=3", 0, 1, 2)
	for _, p := range joiners {
		c.admit(p, "--insecure")
	}
	c.nodes[0].ringtail(t, "cluster", "clear").want(t, 0, "taken back: join n4, join n5")
	c.awaitStatus(t, "none", "n4", "n5")

	var said [2]told
	if last := await(time.Minute, func() string {
		if said = c.collide(t); said[0].status != 0 && said[1].status != 0 {
			return said[0].text + said[1].text // n3 was not back in time
		}
		return ""
	}); last != "" {
		t.Fatal(last)
	}
	won, lost := 0, 1
	if said[0].status != 0 {
		won, lost = 1, 0
	}
	mine, theirs := "join "+joiners[lost].name, "join "+joiners[won].name
	said[won].want(t, 0, "committed: epoch 3 begins: "+theirs)
	said[lost].want(t, 1, "another change was chosen: "+theirs+", by node "+c.nodes[won].name, "still staged for the next commit: "+mine, "kind: refused, applied: no")
	t.Log(said[lost].text)
	c.awaitSettled(t, 3)
	c.nodes[lost].ringtail(t, "cluster", "commit").want(t, 0, "committed: epoch 4 begins: "+mine)
	c.awaitSettled(t, 4)
	c.awaitReady()
	c.checkWhole(t, acked, 0)
}

// collide has n4 join by a commit at n1, and n5 by one at n2. These cannot reach
// each other, and n3, whose vote both need, sleeps until both have asked it.
func (c *cluster) collide(t *testing.T) (said [2]told) {
	t.Helper()
	c.net.cut([]int{0, 3}, []int{1, 4})
	c.nodes[2].signal(syscall.SIGSTOP)
	var wg sync.WaitGroup
	for i := range said {
		c.do(i, "POST", "/cluster/join", fmt.Appendf(nil, `{"node":%q}`, c.nodes[3+i].name)).want(t, 200, "")
		wg.Go(func() { said[i] = c.nodes[i].ringtail(t, "cluster", "commit") })
	}
	time.Sleep(300 * time.Millisecond)
	c.nodes[2].signal(syscall.SIGCONT)
	wg.Wait()
	c.heal(t)
	return said
}

// TestCommitsAtOnce: the same without faults, as fast as two operators can. Now the
// one chosen may do what both want; whoever is refused has his change staged still.
func TestCommitsAtOnce(t *testing.T) {
	c := start(t, 3)
	acked := c.putAll(t, "base", enough(300, 5000), 100, "?w=3", 0, 1, 2)
	c.grow(t, 2)
	c.nodes[0].ringtail(t, "cluster", "clear").want(t, 0, "taken back: join n4, join n5")
	c.awaitStatus(t, "none", "n4", "n5")
	var said [2]answer
	var wg sync.WaitGroup
	for i := range said {
		wg.Go(func() {
			if said[i] = c.do(i, "POST", "/cluster/join", fmt.Appendf(nil, `{"node":%q}`, c.nodes[3+i].name)); said[i].status == 200 {
				said[i] = c.do(i, "POST", "/cluster/commit", nil)
			}
		})
	}
	wg.Wait()
	for i, a := range said {
		t.Logf("%s: %v", c.nodes[i].name, a)
		legal := a.status == 200
		for _, words := range []string{"is under way: commit again when it is over", "still staged for the next commit: join " + c.nodes[3+i].name, "nothing is staged"} {
			legal = legal || a.status == 409 && strings.Contains(string(a.body), words)
		}
		if !legal {
			t.Errorf("%s: %v", c.nodes[i].name, a)
		}
	}
	var v ringPage
	if last := await(time.Minute, func() string {
		if err := c.nodes[0].json("/cluster", &v); err != nil {
			return err.Error()
		}
		for _, m := range v.Members {
			if m.Status == "staged" && v.Transition == nil {
				c.do(0, "POST", "/cluster/commit", nil)
			}
			if m.Status != "member" || v.Transition != nil {
				return fmt.Sprintf("epoch %d: %s is %s", v.Ring.Epoch, m.Name, m.Status)
			}
		}
		return ""
	}); last != "" {
		t.Fatal(last)
	}
	if v.Ring.Epoch > 4 {
		t.Errorf("two changes ended in epoch %d", v.Ring.Epoch)
	}
	c.awaitSettled(t, v.Ring.Epoch)
	c.awaitReady()
	c.checkWhole(t, acked, 0)
}
