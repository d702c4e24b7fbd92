package node

import (
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/internal/clock"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/transport"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Handle implements wire.Handler: it hands a request from the peers' port to
// the part that serves it.
func (n *Node) Handle(req wire.Request) {
	if n.closed.Load() && (req.Type == wire.TypeReplicaPut || req.Type == wire.TypeHandoff) {
		req.Reply.Fail(kv.Errorf(kv.KindUnavailable, "serve", "node %s has left the ring", n.cfg.Name))
		return
	}
	n.metrics.Begun(stageOf(req.Type), req.Waited)
	switch req.Type {
	case wire.TypeReplicaRead, wire.TypeReplicaPut:
		if !n.store.Try(req) {
			n.fetches.later(req, n.store.Handle)
		}
	case wire.TypeHandoff:
		n.sender.Handle(req)
	case wire.TypeExchange, wire.TypeSweep:
		n.keeper.Handle(req)
	case wire.TypeListKeys:
		n.background.later(req, n.store.Handle)
	case wire.TypeGet, wire.TypePut:
		if n.draining.Load() {
			req.Reply.Fail(kv.Errorf(kv.KindUnavailable, "serve", "node %s is ending", n.cfg.Name))
			return
		}
		if req.From == 0 {
			n.metrics.Requests[metrics.DoorNative].Add(1)
		}
		if !n.coord.Try(req) {
			n.fetches.later(req, n.coord.Handle)
		}
	case wire.TypeRing:
		n.tellRing(req)
	case wire.TypeState, wire.TypeVote, wire.TypeMarks:
		n.service.Handle(req)
	default:
		req.Reply.Fail(kv.Errorf(kv.KindInvalid, "serve", "no part of the node serves %v", req.Type))
	}
}

// stageOf returns the stage that a message of a type passes into.
func stageOf(t wire.Type) metrics.StageID {
	switch t {
	case wire.TypeGet, wire.TypePut:
		return metrics.StageCoordinate
	case wire.TypeReplicaRead:
		return metrics.StageReplicaRead
	case wire.TypeReplicaPut:
		return metrics.StageReplicaWrite
	}
	return metrics.StageDecode
}

// The methods below make a Node the coordinator's Cluster, and connect
// transport to membership.

// Ring returns the settled ring, nil before there is one.
func (n *Node) Ring() *ring.Ring { return n.service.Ring() }

// Current implements coordinator.Cluster.
func (n *Node) Current() *ring.Current { return n.service.Current() }

// Props implements coordinator.Cluster.
func (n *Node) Props(bucket []byte) kv.Props { return n.service.Props(bucket) }

// Skew implements coordinator.Cluster.
func (n *Node) Skew() time.Duration { return n.service.Skew() }

// wall is the time by which values expire here.
func (n *Node) wall() kv.Time {
	return clock.Trusted(kv.TimeOf(time.Now()), n.Skew(), n.cfg.Coordinator.MaxSkew)
}

// Outdated implements coordinator.Cluster.
func (n *Node) Outdated() *kv.Error { return n.outdated.Load() }

// Refresh implements coordinator.Cluster.
func (n *Node) Refresh(from kv.NodeID) { n.service.Refresh(from) }

// Sealer implements coordinator.Cluster.
func (n *Node) Sealer() *object.Sealer { return n.sealer.Load() }

func (n *Node) identity() (kv.ClusterID, wire.Identity) { return n.service.Identity() }

func (n *Node) versions() wire.Versions { return n.service.Versions() }

func (n *Node) level() kv.Level { return kv.LevelOf(n.service.State().Epoch()) }

func (n *Node) accepted(id kv.NodeID, ack wire.HelloAck) { n.service.Accepted(id, ack) }

// admit decides about whoever connects. Another node that does so has started, or
// can reach this one again: it is not waited for any longer.
func (n *Node) admit(h wire.Hello) error {
	err := n.service.Admit(h)
	if err == nil && h.Role == wire.RoleNode {
		n.pool.Hurry(h.Node)
	}
	return err
}

func (n *Node) refused(id kv.NodeID, err error) { n.service.Refused(id, err) }

// stateChanged takes a new cluster state to the parts that depend on it. Until
// open has the service, there is nobody to tell.
func (n *Node) stateChanged(s *membership.State) {
	n.clientRing.changed()
	n.outdated.Store(s.Outdated())
	n.metrics.Agree(time.Now(), s.SLA(), s.SLAs())
	if n.service == nil {
		return
	}
	var peers []transport.Peer
	for _, m := range s.Members() {
		if m.ID != n.service.ID() && m.Status != membership.StatusRemoved {
			peers = append(peers, transport.Peer{ID: m.ID, Addr: m.Addrs.Peer})
		}
	}
	n.pool.SetPeers(peers)
	if n.sealer.Load() == nil && s.Ring() != nil {
		n.sealer.Store(object.NewSealer(s.Secret()))
	}
	if n.coord != nil {
		n.coord.Moved()
	}
	n.tellStanding(s)
}

// peerTimes remembers since when each peer is up or down, as this node sees it.
type peerTimes struct {
	mu    sync.Mutex
	since map[kv.NodeID]time.Time
}

func (p *peerTimes) changed(id kv.NodeID, _ bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since == nil {
		p.since = map[kv.NodeID]time.Time{}
	}
	p.since[id] = time.Now()
}

// away implements membership.Deps.
func (n *Node) away(id kv.NodeID) time.Time {
	if n.pool.Up(id) {
		return time.Time{}
	}
	return n.peers.of(id, time.Time{})
}

// of returns when peer id last went up or down, or else start.
func (p *peerTimes) of(id kv.NodeID, start time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t, ok := p.since[id]; ok {
		return t
	}
	return start
}
