package e2e_test

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// newClient returns an HTTP client for one or more callers, who wait no longer
// than ten seconds.
func newClient(callers int) *http.Client {
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: time.Second}).DialContext, MaxIdleConnsPerHost: max(2, callers)},
	}
}

// bulkWorkers is how many requests a bulk has under way.
const bulkWorkers = 16

// bulk calls do for 0 to n-1, several at once, and returns how many told a
// problem. The first few are reported as errors of the test.
func bulk(t *testing.T, what string, n int, do func(client *http.Client, i int) (problem string)) int {
	t.Helper()
	client := newClient(bulkWorkers)
	defer client.CloseIdleConnections()
	var next, bad atomic.Int64
	var wg sync.WaitGroup
	for range bulkWorkers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if p := do(client, i); p != "" && bad.Add(1) <= 3 {
					t.Errorf("%s: %s", what, p)
				}
			}
		})
	}
	wg.Wait()
	if b := bad.Load(); b > 3 {
		t.Errorf("%s: %d of %d", what, b, n)
	}
	return int(bad.Load())
}

func keyPath(key string) string { return "/buckets/default/keys/" + key }

// putAll puts n keys, prefix-0 and so on, through the given nodes, with values of
// size bytes more than their name, and returns what was acknowledged. Each that
// was not is an error.
func (c *cluster) putAll(t *testing.T, prefix string, n, size int, query string, nodes ...int) map[string]string {
	t.Helper()
	var mu sync.Mutex
	acked := map[string]string{}
	bulk(t, "put", n, func(client *http.Client, i int) string {
		key := fmt.Sprintf("%s-%d", prefix, i)
		value := "value of " + key + noise(i, len(prefix), size)
		p := c.nodes[nodes[i%len(nodes)]]
		if a := p.do(client, "PUT", keyPath(key)+query, []byte(value)); a.status != 204 {
			return fmt.Sprintf("%s at %s: %v", key, p.name, a)
		}
		mu.Lock()
		defer mu.Unlock()
		acked[key] = value
		return ""
	})
	return acked
}

// getAll reads keys at one node and compares. A query of ?r=1 shows the node's
// own copy if it owns the key.
func (c *cluster) getAll(t *testing.T, what string, want map[string]string, query string, node int) int {
	t.Helper()
	keys := slices.Collect(maps.Keys(want))
	p := c.nodes[node]
	return bulk(t, what, len(keys), func(client *http.Client, i int) string {
		a := p.do(client, "GET", keyPath(keys[i])+query, nil)
		if a.status == 200 && string(a.body) == want[keys[i]] {
			return ""
		}
		return fmt.Sprintf("%s at %s: %v", keys[i], p.name, a)
	})
}

// everywhere checks that every owner of each key holds its value: with r=1 an
// owner answers from its own copy, and every node is asked.
func (c *cluster) everywhere(t *testing.T, want map[string]string) {
	t.Helper()
	for i := range c.nodes {
		c.getAll(t, "acknowledged", want, "?r=1", i)
	}
}

// nowhere checks that no node shows a value of the keys, asked like everywhere.
func (c *cluster) nowhere(t *testing.T, keys []string) {
	t.Helper()
	for _, p := range c.nodes {
		bulk(t, "deleted", len(keys), func(client *http.Client, i int) string {
			if a := p.do(client, "GET", keyPath(keys[i])+"?r=1", nil); a.status != 404 {
				return fmt.Sprintf("%s at %s: %v", keys[i], p.name, a)
			}
			return ""
		})
	}
}
