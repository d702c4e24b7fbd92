package client

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/transport"
)

// pool is the connections that stand. Its links add and remove them; requests
// take turns over them. Safe for concurrent use; its zero value is empty.
//
// Invariant: all of live belong to the one cluster mu.cluster.
type pool struct {
	live atomic.Pointer[[]*transport.Conn] // never changed in place
	next atomic.Uint32
	mu   struct {
		sync.Mutex
		cluster kv.ClusterID
		// away is what a request gets while no connection stands.
		away error
	}
}

var errClosed = errors.New("the client was closed")

// conns returns the connections that stand and the one whose turn it is.
func (p *pool) conns() ([]*transport.Conn, int) {
	live := p.live.Load()
	if live == nil || len(*live) == 0 {
		return nil, 0
	}
	return *live, int(p.next.Add(1) % uint32(len(*live)))
}

// add offers c to requests, unless it leads to another cluster than the first
// one did.
func (p *pool) add(c *transport.Conn) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.cluster == 0 {
		p.mu.cluster = c.Peer().Cluster
	}
	if id := c.Peer().Cluster; id != p.mu.cluster {
		return kv.Errorf(kv.KindWrongCluster, "connect", "the node belongs to cluster %v, the others to %v", id, p.mu.cluster)
	}
	p.replace(func(live []*transport.Conn) []*transport.Conn { return append(live, c) })
	return nil
}

// remove takes c back.
func (p *pool) remove(c *transport.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.replace(func(live []*transport.Conn) []*transport.Conn {
		return slices.DeleteFunc(live, func(o *transport.Conn) bool { return o == c })
	})
}

// replace has change work on a copy of live. The caller holds p.mu.
func (p *pool) replace(change func([]*transport.Conn) []*transport.Conn) {
	var live []*transport.Conn
	if old := p.live.Load(); old != nil {
		live = slices.Clone(*old)
	}
	live = change(live)
	p.live.Store(&live)
}

// trouble notes why a link has no connection.
func (p *pool) trouble(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if kv.KindOf(p.mu.away) != kv.KindClosed {
		p.mu.away = &kv.Error{Op: "choose a node", Kind: kv.KindUnavailable, Err: err}
	}
}

// close has requests fail with KindClosed once the links have ended.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.away = &kv.Error{Op: "choose a node", Kind: kv.KindClosed, Err: errClosed}
}

// away returns why no connection stands.
func (p *pool) away() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.away == nil {
		return kv.Errorf(kv.KindUnavailable, "choose a node", "no node is connected")
	}
	return p.mu.away
}

// cluster returns the cluster that the client talks to, 0 before it is known.
func (p *pool) cluster() kv.ClusterID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.cluster
}
