package e2e_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// history is what clients did who read keys that they share, and write them with
// the context of what they read. Each value names its writer, its number, and
// the values that its context stood for, so that at the end it can be told of
// every write whether it is still there, was superseded, or was lost.
type history struct {
	c       *cluster
	keys    int
	clients sync.WaitGroup
	stop    chan struct{}

	mu     sync.Mutex
	writes map[string]*write
	// graves are keys of a client of its own whose only value it saw, deleted
	// with that context, and had the delete acknowledged.
	graves   []string
	problems []string
}

// patience is how long a client of a history waits for an answer: short, so that
// a paused node does not hold up all of them.
const patience = 1500 * time.Millisecond

// shunFor is how long a client leaves a node alone that did not answer.
const shunFor = 2 * time.Second

// write is an attempt to put a value.
type write struct {
	key string
	// saw are the ids of the values that its context covers by having shown them.
	saw     []string
	outcome outcome
}

type outcome int

const (
	unknown outcome = iota
	acknowledged
	refused // certainly not applied
)

// value is what a write puts.
type value struct {
	ID  string
	Saw []string
}

// startHistory starts clients, which use every node.
func (c *cluster) startHistory(clients, keys int) *history {
	h := &history{c: c, keys: keys, stop: make(chan struct{}), writes: map[string]*write{}}
	for w := range clients {
		h.clients.Go(func() { h.client(w) })
	}
	return h
}

// end stops the clients.
func (h *history) end() {
	close(h.stop)
	h.clients.Wait()
}

func (h *history) client(w int) {
	rng := rand.New(rand.NewPCG(1, uint64(w)))
	v := &visitor{nodes: h.c.nodes, http: newClient(1), rng: rng, shunned: map[*process]time.Time{}}
	v.http.Timeout = patience
	defer v.http.CloseIdleConnections()
	for n := 0; ; n++ {
		select {
		case <-h.stop:
			return
		default:
		}
		if n%8 == 7 {
			h.bury(v.ask, fmt.Sprintf("grave-%d-%d", w, n))
			continue
		}
		key := fmt.Sprintf("shared-%d", rng.IntN(h.keys))
		saw, context, ok := h.read(v.ask, key)
		if !ok && rng.IntN(10) > 0 {
			continue // now and then a put that has read nothing
		}
		h.write(v.ask, key, fmt.Sprintf("w%d-%d", w, n), saw, context)
	}
}

// ask sends a request for a key to some node and returns its answer and name.
type ask func(method, key string, body []byte, headers ...string) (answer, string)

// visitor sends each request to a node drawn at random. One that did not answer
// it leaves alone for a while, as clients do.
type visitor struct {
	nodes   []*process
	http    *http.Client
	rng     *rand.Rand
	shunned map[*process]time.Time
}

// ask is an ask.
func (v *visitor) ask(method, key string, body []byte, headers ...string) (answer, string) {
	p := v.nodes[v.rng.IntN(len(v.nodes))]
	for range 3 * len(v.nodes) {
		if time.Since(v.shunned[p]) > shunFor {
			break
		}
		p = v.nodes[v.rng.IntN(len(v.nodes))]
	}
	a := p.do(v.http, method, keyPath(key), body, headers...)
	if a.err != nil {
		v.shunned[p] = time.Now()
	}
	return a, p.name
}

// read gets a key and checks what it shows. ok is false when there is no answer.
func (h *history) read(ask ask, key string) (ids []string, context string, ok bool) {
	a, at := ask("GET", key, nil, "Accept", "application/json")
	switch {
	case a.err != nil, a.status != 200 && a.status != 300 && a.status != 404:
		return nil, "", false
	case a.status == 404:
		return nil, a.context, true
	}
	values := [][]byte{a.body}
	if a.status == 300 {
		var body struct{ Siblings []struct{ Value []byte } }
		if err := json.Unmarshal(a.body, &body); err != nil {
			h.problem("%s at %s: %v", key, at, err)
			return nil, "", false
		}
		values = nil
		for _, s := range body.Siblings {
			values = append(values, s.Value)
		}
	}
	for _, b := range values {
		var v value
		if err := json.Unmarshal(b, &v); err != nil {
			h.problem("%s at %s shows %.100q: %v", key, at, b, err)
			continue
		}
		ids = append(ids, v.ID)
	}
	h.checkSiblings(key, at, ids)
	return ids, a.context, true
}

// write puts a value and notes how that ended.
func (h *history) write(ask ask, key, id string, saw []string, context string) outcome {
	body, err := json.Marshal(value{ID: id, Saw: saw})
	if err != nil {
		panic(err)
	}
	w := &write{key: key, saw: saw}
	h.mu.Lock()
	h.writes[id] = w // before it is sent: another client may read it first
	h.mu.Unlock()
	var headers []string
	if context != "" {
		headers = []string{"X-Ringtail-Context", context}
	}
	a, _ := ask("PUT", key, body, headers...)
	o := outcomeOf(a)
	h.mu.Lock()
	defer h.mu.Unlock()
	w.outcome = o
	return o
}

func outcomeOf(a answer) outcome {
	var f failure
	switch {
	case a.err == nil && a.status == 204:
		return acknowledged
	case a.err == nil && json.Unmarshal(a.body, &f) == nil && f.Error.Applied == "no":
		return refused
	}
	return unknown
}

// bury puts a key that nobody else writes, reads it, and deletes what it read.
func (h *history) bury(ask ask, key string) {
	if h.write(ask, key, key, nil, "") != acknowledged {
		return
	}
	saw, context, ok := h.read(ask, key)
	if !ok || len(saw) != 1 {
		return
	}
	a, _ := ask("DELETE", key, nil, "X-Ringtail-Context", context)
	if outcomeOf(a) != acknowledged {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.graves = append(h.graves, key)
}

// checkSiblings notes values that nobody wrote, that were refused, and siblings
// of which one has seen the other.
func (h *history) checkSiblings(key, at string, ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		switch w := h.writes[id]; {
		case w == nil || w.key != key:
			h.note("%s at %s shows %q, which nobody wrote there", key, at, id)
		case w.outcome == refused:
			h.note("%s at %s shows %s, which was refused as not applied", key, at, id)
		}
		if len(ids) == 1 {
			continue
		}
		seen := h.superseded(id)
		for _, other := range ids {
			if seen[other] {
				h.note("%s at %s shows %s beside %s, which had seen it", key, at, other, id)
			}
		}
	}
}

// superseded returns the ids that a value has seen, directly or by others that
// it has seen. h.mu is held.
func (h *history) superseded(id string) map[string]bool {
	seen := map[string]bool{}
	for todo := []string{id}; len(todo) > 0; {
		w := h.writes[todo[0]]
		todo = todo[1:]
		if w == nil {
			continue
		}
		for _, s := range w.saw {
			if !seen[s] {
				seen[s] = true
				todo = append(todo, s)
			}
		}
	}
	return seen
}

func (h *history) problem(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note(format, args...)
}

func (h *history) note(format string, args ...any) {
	h.problems = append(h.problems, fmt.Sprintf(format, args...))
}

// check reads every key at every node, once the cluster has converged: all must
// agree, every acknowledged write must be there or superseded, and no deleted
// value may be back.
func (h *history) check(t *testing.T) {
	t.Helper()
	client := newClient(1)
	final := map[string][]string{}
	for k := range h.keys {
		key := fmt.Sprintf("shared-%d", k)
		for i, p := range h.c.nodes {
			own := func(method, key string, body []byte, headers ...string) (answer, string) {
				return p.do(client, method, keyPath(key)+"?r=1", body, headers...), p.name
			}
			ids, _, ok := h.read(own, key)
			slices.Sort(ids)
			switch {
			case !ok:
				t.Errorf("%s cannot be read at %s", key, p.name)
			case i == 0:
				final[key] = ids
			case !slices.Equal(ids, final[key]):
				t.Errorf("%s: %s shows %v, %s %v", key, h.c.nodes[0].name, final[key], p.name, ids)
			}
		}
	}
	h.c.nowhere(t, h.graves)
	for i, p := range h.lost(final) {
		if i < 10 {
			t.Error(p)
		}
	}
	h.summary(t)
	for i, p := range h.problems {
		if i < 5 {
			t.Error(p)
		}
	}
	if len(h.problems) > 5 {
		t.Errorf("%d problems", len(h.problems))
	}
}

// lost returns the acknowledged writes that are neither among the final values
// nor superseded by them.
func (h *history) lost(final map[string][]string) (lost []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	alive := map[string]bool{}
	for _, ids := range final {
		for _, id := range ids {
			alive[id] = true
			for s := range h.superseded(id) {
				alive[s] = true
			}
		}
	}
	for id, w := range h.writes {
		if w.outcome == acknowledged && !alive[id] && !strings.HasPrefix(w.key, "grave-") {
			lost = append(lost, fmt.Sprintf("%s of %s was acknowledged, and is neither there nor superseded: %v", id, w.key, final[w.key]))
		}
	}
	return lost
}

// summary logs what was done, which must be enough to tell something.
func (h *history) summary(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := map[outcome]int{}
	for _, w := range h.writes {
		counts[w.outcome]++
	}
	t.Logf("%d writes acknowledged, %d refused, %d unknown; %d keys deleted",
		counts[acknowledged], counts[refused], counts[unknown], len(h.graves))
	if counts[acknowledged] < 1000 || len(h.graves) < 50 {
		t.Error("too little was done for the test to tell anything")
	}
}

// progress returns how many writes were acknowledged so far.
func (h *history) progress() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.writes {
		if w.outcome == acknowledged {
			n++
		}
	}
	return n
}
