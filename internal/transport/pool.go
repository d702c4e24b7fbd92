package transport

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Peer is a node that a Pool keeps a connection to.
type Peer struct {
	ID   kv.NodeID
	Addr string
}

// Pool keeps one outgoing connection to each peer, connects again for ever, and
// knows which peers are down, by its own experience alone (§4.8.3): nobody is
// told, and nobody is removed. Safe for concurrent use; Call and the accessors
// take no lock of the Pool.
type Pool struct {
	cfg     Config
	network Network
	hooks   Hooks
	log     *slog.Logger

	stats      counters
	outcomes   outcomes
	connects   atomic.Uint64
	refused    atomic.Uint64
	wentDown   atomic.Uint64
	mismatched atomic.Uint64

	peers   atomic.Pointer[map[kv.NodeID]*peer] // never changed in place
	changed chan struct{}
	setting sync.Mutex // serializes SetPeers
}

// PoolStats counts since the Pool was made, unless a field says otherwise.
type PoolStats struct {
	Traffic
	// Up and Down are how many peers are so now.
	Up, Down int
	// Pending calls wait now for an answer, QueueBytes to be written.
	Pending, QueueBytes int
	// Timeouts are calls whose deadline passed; Lost ones failed with their
	// connection or found none; Overloaded ones found a queue full. Late are
	// answers that came after their call had ended.
	Timeouts, Lost, Overloaded, Late uint64
	// Connects are connections made, the first of each peer included. Refused
	// counts handshakes that a peer refused, Mismatched those that another node
	// answered. WentDown counts changes from up to down.
	Connects, Refused, Mismatched, WentDown uint64
}

// NewPool returns a Pool without peers. The caller has validated cfg. A nil log
// discards.
func NewPool(cfg Config, network Network, hooks Hooks, log *slog.Logger) *Pool {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p := &Pool{cfg: cfg, network: network, hooks: hooks, log: log, changed: make(chan struct{}, 1)}
	p.peers.Store(&map[kv.NodeID]*peer{})
	return p
}

// SetPeers replaces the set of peers. A peer that is listed with the address it
// had keeps its connection. Calls to one that is not listed fail at once.
func (p *Pool) SetPeers(list []Peer) {
	p.setting.Lock()
	defer p.setting.Unlock()
	old := *p.peers.Load()
	next := make(map[kv.NodeID]*peer, len(list))
	for _, l := range list {
		if was := old[l.ID]; was != nil && was.addr == l.Addr {
			next[l.ID] = was
		} else {
			next[l.ID] = newPeer(p, l)
		}
	}
	p.peers.Store(&next)
	select {
	case p.changed <- struct{}{}:
	default: // Run will look anyway
	}
}

// Run connects to the peers until ctx ends, then closes all connections, waits
// for its goroutines, and returns nil. It is called once.
func (p *Pool) Run(ctx context.Context) error {
	running := make(map[kv.NodeID]*peer)
	for {
		wanted := *p.peers.Load()
		for id, r := range running {
			if wanted[id] != r {
				r.stop(ctx)
				delete(running, id)
			}
		}
		for id, w := range wanted {
			if running[id] == nil {
				w.start(ctx)
				running[id] = w
			}
		}
		select {
		case <-p.changed:
		case <-ctx.Done():
			for _, r := range running {
				r.stop(ctx)
			}
			return nil
		}
	}
}

// Call sends a request to a peer; done learns its outcome under tag. It fails
// at once with KindUnavailable when the peer is down or not connected.
func (p *Pool) Call(to kv.NodeID, rq wire.Call, m wire.Appender, done wire.Completion, tag uint32) {
	r := p.peer(to)
	if r == nil {
		p.outcomes.lost.Add(1)
		done.Complete(tag, wire.Response{}, &kv.Error{Op: "call", Kind: kv.KindUnavailable, Node: to, Err: errNoPeer})
		return
	}
	if conn := r.conn.Load(); conn != nil {
		conn.Call(rq, m, done, tag)
		return
	}
	p.outcomes.lost.Add(1)
	done.Complete(tag, wire.Response{}, r.away.Load())
}

var errNoPeer = errors.New("this node knows no such peer")

// Up tells whether a peer can be expected to answer.
func (p *Pool) Up(id kv.NodeID) bool {
	r := p.peer(id)
	return r != nil && r.up.Load()
}

// Hurry has a peer that is down tried again at once: it was heard of by another
// way, as it is when it has just started and connects to this node.
func (p *Pool) Hurry(id kv.NodeID) {
	if r := p.peer(id); r != nil && !r.up.Load() {
		select {
		case r.hurried <- struct{}{}:
		default:
		}
	}
}

// Latency returns the usual round trip to a peer of late, handling included, 0
// while there was no connection yet. Timed are handshakes and pings, and of the
// reads and writes of replicas one in eight, none over wire.MaxChunk: what a peer
// answers out of its own, within Config.DownAfter.
func (p *Pool) Latency(id kv.NodeID) time.Duration {
	if r := p.peer(id); r != nil {
		return r.latency.Usual()
	}
	return 0
}

// Tail returns an estimate of the 99th percentile of the round trips that
// Latency is of, but for those of writes, which wait for a disk; 0 while unknown.
// Calls that are hedges are in neither.
func (p *Pool) Tail(id kv.NodeID) time.Duration {
	if r := p.peer(id); r != nil {
		return r.latency.Tail()
	}
	return 0
}

// Stats returns the counters.
func (p *Pool) Stats() PoolStats {
	st := PoolStats{
		Traffic:  p.stats.traffic(),
		Timeouts: p.outcomes.timeouts.Load(), Lost: p.outcomes.lost.Load(),
		Overloaded: p.outcomes.overloaded.Load(), Late: p.outcomes.late.Load(),
		Connects: p.connects.Load(), Refused: p.refused.Load(),
		Mismatched: p.mismatched.Load(), WentDown: p.wentDown.Load(),
	}
	for _, r := range *p.peers.Load() {
		if r.up.Load() {
			st.Up++
		} else {
			st.Down++
		}
		if c := r.conn.Load(); c != nil {
			st.Pending += c.calls.pending()
			st.QueueBytes += c.out.bytes()
		}
	}
	return st
}

func (p *Pool) peer(id kv.NodeID) *peer { return (*p.peers.Load())[id] }

// hello is what the Pool's node says of itself.
func (p *Pool) hello() wire.Hello {
	cluster, self := p.hooks.identity()
	return wire.Hello{Versions: p.hooks.versions(), Role: wire.RoleNode, Cluster: cluster, Identity: self}
}
