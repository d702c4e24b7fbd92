package e2e_test

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPartitioned: links cut one way and both, kill -9, SIGSTOP, under clients
// that share their keys. At the end every acknowledged write is there or was
// superseded by one that had seen it, nothing deleted is back, all owners agree.
func TestPartitioned(t *testing.T) {
	full(t)
	c := startApart(t, 5)
	h := c.startHistory(8, 200)
	c.play(t, "testdata/partitioned.txt", h.progress)
	h.end()
	c.awaitReady()
	c.awaitConverged(t)
	h.check(t)
}

// fault is a line of a script of faults.
type fault struct {
	at   time.Duration
	verb string
	args [][]int
}

// play carries out the faults of a script, each at its time, and logs what
// progress says at each.
func (c *cluster) play(t *testing.T, script string, progress func() int) {
	t.Helper()
	began := time.Now()
	for _, f := range c.faults(t, script) {
		time.Sleep(time.Until(began.Add(f.at)))
		c.suffer(t, f)
		t.Logf("%v %s %v: %d acknowledged so far", f.at, f.verb, f.args, progress())
	}
}

func (c *cluster) suffer(t *testing.T, f fault) {
	t.Helper()
	each := func(do func(*process)) {
		for _, i := range f.args[0] {
			do(c.nodes[i])
		}
	}
	switch f.verb {
	case "cut":
		c.net.cut(f.args[0], f.args[1])
	case "deafen":
		for _, a := range f.args[0] {
			for _, b := range f.args[1] {
				c.net.cutOneWay(a, b)
			}
		}
	case "heal":
		c.net.heal()
	case "kill":
		each((*process).kill)
	case "start":
		each((*process).start)
	case "pause":
		each(func(p *process) { p.signal(syscall.SIGSTOP) })
	case "resume":
		each(func(p *process) { p.signal(syscall.SIGCONT) })
	case "end":
	default:
		t.Fatalf("no fault is called %q", f.verb)
	}
}

// faults reads a script: seconds, verb, and lists of names of nodes.
func (c *cluster) faults(t *testing.T, script string) (faults []fault) {
	t.Helper()
	file, err := os.Open(script)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	arity := map[string]int{"cut": 2, "deafen": 2, "kill": 1, "start": 1, "pause": 1, "resume": 1}
	for s := bufio.NewScanner(file); s.Scan(); {
		words := strings.Fields(s.Text())
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		seconds, err := strconv.Atoi(words[0])
		if err != nil || len(words) != 2+arity[words[min(1, len(words)-1)]] {
			t.Fatalf("%s: no fault: %q", script, s.Text())
		}
		f := fault{at: time.Duration(seconds) * time.Second, verb: words[1]}
		for _, names := range words[2:] {
			f.args = append(f.args, c.named(t, names))
		}
		faults = append(faults, f)
	}
	return faults
}

// named returns the indices of nodes, given as n1,n3.
func (c *cluster) named(t *testing.T, names string) (nodes []int) {
	t.Helper()
search:
	for name := range strings.SplitSeq(names, ",") {
		for i, p := range c.nodes {
			if p.name == name {
				nodes = append(nodes, i)
				continue search
			}
		}
		t.Fatalf("no node is called %q", name)
	}
	return nodes
}
