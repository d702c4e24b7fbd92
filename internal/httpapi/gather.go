package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

const (
	// maxGather bounds the nodes that are asked for their figures at once.
	maxGather = 16
	// maxPeerView bounds a peer's answer, in bytes.
	maxPeerView = 1 << 20
)

// peers asks the other nodes for their figures, at their own page /cluster.
type peers struct {
	client  *http.Client
	timeout time.Duration
}

func newPeers(timeout time.Duration) peers {
	return peers{
		client:  &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute}},
		timeout: timeout,
	}
}

// gather fills the figures of those members of v that are up and have none, and
// adds the hints that they keep and what they tell of a change of the ring. Those
// that do not answer in time stay without.
func (p peers) gather(ctx context.Context, v *ClusterView) {
	views := make([]*ClusterView, len(v.Members))
	p.each(ctx, len(v.Members), func(ctx context.Context, i int) {
		if m := v.Members[i]; m.Stats == nil && m.Up && m.HTTP != "" {
			views[i] = p.ask(ctx, m)
		}
	})
	for i, own := range views {
		if own != nil {
			v.Members[i].Stats = own.Members[0].Stats
			v.Hints = append(v.Hints, own.Hints...)
			v.Transition.join(own.Transition)
		}
	}
}

// each calls fn with 0 to n-1, maxGather of them at the same time, and returns
// when all calls have; their context ends with the timeout.
func (p peers) each(ctx context.Context, n int, fn func(ctx context.Context, i int)) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxGather)
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			fn(ctx, i)
			<-slots
		})
	}
	wg.Wait()
}

// ask returns what m tells of itself; nil when it does not answer, or when another
// node does at its address.
func (p peers) ask(ctx context.Context, m MemberView) *ClusterView {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.HTTP+"/cluster?local=true", nil)
	if err != nil {
		return nil
	}
	var v ClusterView
	if err := p.read(r, &v); err != nil || len(v.Members) != 1 || v.Members[0].ID != m.ID {
		return nil
	}
	return &v
}

// read has r answered with 200, and reads the answer's JSON into v.
func (p peers) read(r *http.Request, v any) error {
	resp, err := p.client.Do(r)
	if err != nil {
		return kv.Errorf(kv.KindUnavailable, "ask node", "no answer from %s", r.URL.Host)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return kv.Errorf(kv.KindUnavailable, "ask node", "%s answers with status %d", r.URL.Host, resp.StatusCode)
	}
	return kv.Wrap(kv.KindWrongVersion, "ask node", json.NewDecoder(io.LimitReader(resp.Body, maxPeerView)).Decode(v))
}
