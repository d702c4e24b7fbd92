package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
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
// adds the hints that they keep. It asks them at the same time and returns once
// all have answered or the timeout has passed; those that did not answer stay
// without.
func (p peers) gather(ctx context.Context, v *ClusterView) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxGather)
	hints := make([][]HintView, len(v.Members))
	for i := range v.Members {
		m := &v.Members[i]
		if m.Stats != nil || !m.Up || m.HTTP == "" {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			m.Stats, hints[i] = p.ask(ctx, *m)
			<-slots
		})
	}
	wg.Wait()
	for _, h := range hints {
		v.Hints = append(v.Hints, h...)
	}
}

// ask returns the figures that m tells of itself and the hints that it keeps;
// nil when it does not answer, or when another node does at its address.
func (p peers) ask(ctx context.Context, m MemberView) (*StatsView, []HintView) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.HTTP+"/cluster?local=true", nil)
	if err != nil {
		return nil, nil
	}
	resp, err := p.client.Do(r)
	if err != nil {
		return nil, nil
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil
	}
	var v ClusterView
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxPeerView)).Decode(&v); err != nil {
		return nil, nil
	}
	if len(v.Members) != 1 || v.Members[0].ID != m.ID {
		return nil, nil
	}
	return v.Members[0].Stats, v.Hints
}
