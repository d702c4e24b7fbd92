package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// page is what the tests read of /cluster.
type page struct {
	Members []member
	Hints   []struct {
		Owner       string
		Keys, Bytes uint64
		Oldest      time.Time
	}
}

type member struct {
	Name  string
	Stats *stats
}

type stats struct {
	CPUSeconds float64 `json:"cpu_seconds"`
	Keys       uint64
	DiskBytes  uint64 `json:"disk_bytes"`
	// Reapable counts the records that a floor could shorten, Damaged the
	// partitions whose copy is not to be trusted.
	Reapable, Damaged uint64
}

// json reads a page of the node, which must be there.
func (p *process) json(path string, into any) error {
	a := p.do(http.DefaultClient, "GET", path, nil)
	if a.err != nil || a.status != 200 {
		return fmt.Errorf("%s: GET %s: %v", p.name, path, a)
	}
	if err := json.Unmarshal(a.body, into); err != nil {
		return fmt.Errorf("%s: GET %s: %w", p.name, path, err)
	}
	return nil
}

// view returns the node's own entry of /cluster, and the page.
func (p *process) view() (stats, page, error) {
	var v page
	if err := p.json("/cluster?local=true", &v); err != nil {
		return stats{}, v, err
	}
	for _, m := range v.Members {
		if m.Name == p.name && m.Stats != nil {
			return *m.Stats, v, nil
		}
	}
	return stats{}, v, fmt.Errorf("%s does not tell its stats", p.name)
}

// stats returns the node's own figures.
func (p *process) stats() stats {
	p.t.Helper()
	s, _, err := p.view()
	if err != nil {
		p.t.Error(err)
	}
	return s
}

// hints returns the number of hints that the node keeps.
func (p *process) hints() (keys uint64) {
	p.t.Helper()
	_, v, err := p.view()
	if err != nil {
		p.t.Error(err)
	}
	for _, h := range v.Hints {
		keys += h.Keys
	}
	return keys
}

// roots returns the root of the hash tree of each partition that the node owns.
func (p *process) roots() (map[int]string, error) {
	var v struct {
		Partitions []struct {
			Partition  int
			Role, Root string
		}
	}
	if err := p.json("/partitions", &v); err != nil {
		return nil, err
	}
	roots := map[int]string{}
	for _, e := range v.Partitions {
		if e.Role == "owner" {
			roots[e.Partition] = e.Root
		}
	}
	return roots, nil
}

// apart says what keeps the cluster from having converged: hints, damage,
// copies that differ. It is empty once there is nothing.
func (c *cluster) apart() string {
	roots, owners, differ := map[int]string{}, map[int]int{}, 0
	for _, p := range c.nodes {
		s, v, err := p.view()
		switch {
		case err != nil:
			return err.Error()
		case len(v.Hints) > 0:
			return fmt.Sprintf("%s keeps %d hints for %s", p.name, v.Hints[0].Keys, v.Hints[0].Owner)
		case s.Damaged > 0:
			return fmt.Sprintf("%s has %d damaged partitions", p.name, s.Damaged)
		}
		mine, err := p.roots()
		if err != nil {
			return err.Error()
		}
		for partition, root := range mine {
			if other, known := roots[partition]; root == "" || known && other != root {
				differ++
			}
			roots[partition] = root
			owners[partition]++
		}
	}
	if differ > 0 {
		return fmt.Sprintf("%d trees differ", differ)
	}
	for partition, n := range owners {
		if want := min(3, len(c.nodes)); n != want {
			return fmt.Sprintf("partition %d has %d owners, want %d", partition, n, want)
		}
	}
	if len(owners) == 0 {
		return "nobody owns anything"
	}
	return ""
}

// awaitConverged waits until there are no hints, no damage, and equal trees, and
// returns how long that took. Its limit is generous: what the tests decide is
// that it happens, what they log is when.
func (c *cluster) awaitConverged(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	last := await(2*time.Minute, c.apart)
	if last != "" {
		t.Fatalf("not converged after %v: %s", time.Since(began).Round(time.Second), last)
	}
	took := time.Since(began).Round(100 * time.Millisecond)
	t.Logf("no hints and equal trees after %v", took)
	return took
}

// await asks until problem answers with nothing, and returns what it answered
// last.
func await(limit time.Duration, problem func() string) (last string) {
	for end := time.Now().Add(limit); ; time.Sleep(250 * time.Millisecond) {
		if last = problem(); last == "" || time.Now().After(end) {
			return last
		}
	}
}

// metric sums the samples of a metric whose labels hold all of labels, each
// given as `name="value"`.
func (p *process) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	a := p.do(http.DefaultClient, "GET", "/metrics", nil).want(t, 200, "")
	sum, found := 0.0, false
search:
	for s := bufio.NewScanner(bytes.NewReader(a.body)); s.Scan(); {
		rest, ok := strings.CutPrefix(s.Text(), name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, l) {
				continue search
			}
		}
		v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		sum, found = sum+v, true
	}
	if !found && len(labels) == 0 {
		t.Errorf("%s has no metric %s", p.name, name)
	}
	return sum
}
