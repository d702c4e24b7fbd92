package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/client"
)

// routedLoad is callers of the Go client that put keys of their own, and read them
// back.
type routedLoad struct {
	stop     chan struct{}
	wg       sync.WaitGroup
	mu       sync.Mutex
	ops      int
	failures []string
}

// startRouted starts callers of b, which share its client.
func startRouted(b *client.Bucket, callers int) *routedLoad {
	l := &routedLoad{stop: make(chan struct{})}
	for w := range callers {
		l.wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				default:
				}
				l.note(putAndGet(b, fmt.Sprintf("routed-%d-%d", w, i%500)))
			}
		})
	}
	return l
}

// putAndGet puts a value in place of what key has, and reads it back.
func putAndGet(b *client.Bucket, key string) error {
	ctx := context.Background()
	want := "value of " + key
	_, err := b.Update(ctx, key, func([][]byte) ([]byte, error) { return []byte(want), nil })
	if err != nil {
		return fmt.Errorf("update %s: %w", key, err)
	}
	r, err := b.Get(ctx, key)
	if err != nil {
		return fmt.Errorf("get %s: %w", key, err)
	}
	if len(r.Siblings) != 1 || string(r.Siblings[0].Value) != want {
		return fmt.Errorf("get %s: %+v", key, r)
	}
	return nil
}

func (l *routedLoad) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops++
	if err != nil && len(l.failures) < 10 {
		l.failures = append(l.failures, err.Error())
	}
}

// end stops the callers, and fails the test if a request failed.
func (l *routedLoad) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	t.Logf("%d rounds", l.ops)
	if l.ops == 0 || len(l.failures) > 0 {
		t.Errorf("%d rounds, failures among them:\n%s", l.ops, strings.Join(l.failures, "\n"))
	}
}

// forwarded returns how many requests the nodes have passed on.
func (c *cluster) forwarded(t *testing.T) int {
	t.Helper()
	sum := 0
	for i := range c.nodes {
		a := c.do(i, "GET", "/metrics", nil).want(t, 200, "")
		for _, line := range strings.Split(string(a.body), "\n") {
			if name, value, ok := strings.Cut(line, " "); ok && strings.HasSuffix(name, "requests_forwarded_total") {
				n, err := strconv.ParseFloat(value, 64)
				if err != nil {
					t.Fatal(err)
				}
				sum += int(n)
			}
		}
	}
	return sum
}

// TestClientRouting: the Go client, given one node of three, finds the others and
// goes straight to owners; when two more join it goes to them too, and no request
// fails while the ring changes, nor when a node dies.
func TestClientRouting(t *testing.T) {
	slowly := []string{"--fill-rate", "500000"} // so that there is load while the ring changes
	c := start(t, 3, slowly...)
	c.putAll(t, "base", 3000, 1000, "?w=2", 0, 1, 2)
	c.grow(t, 2, slowly...)
	cl, err := client.Dial(context.Background(), []string{fmt.Sprintf("127.0.0.1:%d", c.nodes[0].port+1)})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	b := cl.Bucket("routed")
	l := startRouted(b, 4)
	c.commit()
	c.awaitSettled(t, 3)
	if p := await(time.Minute, func() string {
		if s := cl.Stats(); s.Epoch != 3 || s.Connections != 5 {
			return fmt.Sprintf("%+v", s)
		}
		return ""
	}); p != "" {
		t.Error("the client did not come to know the new ring, or all of its nodes: " + p)
	}
	l.end(t)

	before := c.forwarded(t)
	l = startRouted(b, 4)
	time.Sleep(2 * time.Second)
	l.end(t)
	if now := c.forwarded(t); now != before {
		t.Errorf("%d requests were passed on, of a client that knows the ring", now-before)
	}

	// Who is killed may have had requests under way: of those a write is not sent
	// again. Once it is known to be gone, all others have gone on.
	c.nodes[4].kill()
	if p := await(time.Minute, func() string {
		var e *client.Error
		if err := putAndGet(b, "probe"); err != nil && !errors.As(err, &e) {
			return err.Error()
		}
		if s := cl.Stats(); s.Connections != 4 {
			return fmt.Sprintf("%+v", s)
		}
		return ""
	}); p != "" {
		t.Fatal(p)
	}
	l = startRouted(b, 4)
	time.Sleep(2 * time.Second)
	l.end(t)
}
