package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// load is clients that put keys of their own and read them back, through every
// node in turn, and remember what was acknowledged.
type load struct {
	stop chan struct{}
	wg   sync.WaitGroup
	ops  atomic.Int64
	// targets are the cluster's nodes when it began, at those of them that the
	// clients talk to now.
	targets []*process
	at      atomic.Pointer[[]int]
	// busy is how many requests are under way at each of the targets; nodes that
	// came later have none.
	busy []atomic.Int32
	traffic
	// began tells the keys of one load from another's.
	began int64

	mu sync.Mutex
	// times are how long requests took since lap was called.
	times []time.Duration
	// acked is the value last acknowledged under each key.
	acked    map[string]string
	failures []failedRequest
}

// traffic is what the clients of a load send.
type traffic struct {
	// padding makes the values larger, by as many bytes; query is that of every
	// request.
	padding int
	query   string
	// rest is how long a client pauses after each put.
	rest time.Duration
	// nodes are what the clients talk to at first; all if it is empty.
	nodes []int
}

type failedRequest struct {
	at   time.Time
	what string
	// wrong tells that there was an answer, which does not show the value that was
	// acknowledged.
	wrong bool
	// cut tells that nobody knows whether it was applied.
	cut bool
}

// startLoad starts clients. Each request has its own connection limits, so that
// a paused node holds up only what was sent to it.
func (c *cluster) startLoad(clients int) *load { return c.startLoadOf(clients, 0) }

// startLoadOf is startLoad with values of about size bytes.
func (c *cluster) startLoadOf(clients, size int) *load {
	return c.startLoadWith(clients, traffic{padding: size})
}

// startStrictLoad is startLoad with requests that only owners count for.
func (c *cluster) startStrictLoad(clients int) *load {
	return c.startSlowLoad(clients, 0)
}

// startSlowLoad is startStrictLoad with clients that rest after each put.
func (c *cluster) startSlowLoad(clients int, rest time.Duration) *load {
	return c.startLoadWith(clients, traffic{query: "?strict=true", rest: rest})
}

func (c *cluster) startLoadWith(clients int, kind traffic) *load {
	l := &load{
		targets: slices.Clone(c.nodes), busy: make([]atomic.Int32, len(c.nodes)),
		stop: make(chan struct{}), acked: map[string]string{}, traffic: kind, began: time.Now().UnixNano(),
	}
	first := slices.Clone(kind.nodes)
	if len(first) == 0 {
		for i := range c.nodes {
			first = append(first, i)
		}
	}
	l.talkTo(first)
	for w := range clients {
		l.wg.Go(func() { l.client(w) })
	}
	return l
}

// talkTo has the clients use these nodes from now on.
func (l *load) talkTo(nodes []int) { l.at.Store(&nodes) }

// avoid has the clients leave node i alone, and returns the nodes that they used
// before, for talkTo.
func (l *load) avoid(i int) []int {
	before := *l.at.Load()
	l.talkTo(slices.DeleteFunc(slices.Clone(before), func(n int) bool { return n == i }))
	return before
}

// drain is avoid as a load balancer does it before a node is stopped: what was
// asked of it is answered.
func (l *load) drain(i int) []int {
	before := l.avoid(i)
	for i < len(l.busy) && l.busy[i].Load() > 0 {
		time.Sleep(time.Millisecond)
	}
	return before
}

// take chooses the node of a client's k-th request, which is under way from here.
func (l *load) take(k int) int {
	for {
		now := l.at.Load()
		i := (*now)[k%len(*now)]
		l.busy[i].Add(1)
		if l.at.Load() == now {
			return i
		}
		l.busy[i].Add(-1)
	}
}

func (l *load) client(w int) {
	client := newClient(1)
	defer client.CloseIdleConnections()
	for i := 0; ; i++ {
		select {
		case <-l.stop:
			return
		default:
		}
		key, value := fmt.Sprintf("load-%d-%d-%d", l.began, w, i), fmt.Sprintf("value-%d-%d-", w, i)+noise(w, i, l.padding)
		if l.request(client, l.take(w+i), "PUT", key, value) {
			l.mu.Lock()
			l.acked[key] = value
			l.mu.Unlock()
			l.request(client, l.take(w+i+1), "GET", key, value)
		}
		time.Sleep(l.rest)
	}
}

// request carries out one request at the node that take chose, and notes a
// failure: of a get also if it does not show the acknowledged value.
func (l *load) request(client *http.Client, node int, method, key, value string) bool {
	body := []byte(nil)
	if method == "PUT" {
		body = []byte(value)
	}
	began := time.Now()
	defer func() {
		l.took(time.Since(began))
		l.busy[node].Add(-1)
	}()
	a := l.targets[node].do(client, method, "/buckets/default/keys/"+key+l.query, body)
	l.ops.Add(1)
	ok := a.err == nil && (method == "PUT" && a.status == 204 || method == "GET" && a.status == 200 && string(a.body) == value)
	if !ok {
		l.mu.Lock()
		l.failures = append(l.failures, failedRequest{
			at: began, what: fmt.Sprintf("%s %s at %s: %v", method, key, l.targets[node].name, a),
			wrong: method == "GET" && a.err == nil && a.status < 500,
			cut:   a.status == 503 && strings.Contains(string(a.body), `"applied":"unknown"`),
		})
		l.mu.Unlock()
	}
	return ok
}

// end stops the clients and returns what was acknowledged.
func (l *load) end() map[string]string {
	close(l.stop)
	l.wg.Wait()
	return l.acked
}

// failedAfter returns the failures of requests that began after t.
func (l *load) failedAfter(t time.Time) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, f := range l.failures {
		if f.at.After(t) {
			out = append(out, f.what)
		}
	}
	return out
}

func (l *load) took(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times = append(l.times, d)
}

// lap returns the 99th percentile of what requests took since it was called last,
// and how many there were.
func (l *load) lap() (p99 time.Duration, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	times := l.times
	l.times = nil
	if len(times) == 0 {
		return 0, 0
	}
	slices.Sort(times)
	return times[len(times)*99/100], len(times)
}

// wrong returns the gets that were answered, and not with the acknowledged value.
func (l *load) wrong() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, f := range l.failures {
		if f.wrong {
			out = append(out, f.what)
		}
	}
	return out
}

// noise returns size bytes that no engine can compress.
func noise(w, i, size int) string {
	rng := rand.New(rand.NewPCG(uint64(w), uint64(i)))
	b := make([]byte, size)
	for j := range b {
		b[j] = byte(rng.Uint32())
	}
	return string(b)
}
