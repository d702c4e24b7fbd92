package node

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/storage"
)

const (
	// leaveEvery is how often a node that has left the ring looks whether it still
	// holds anything.
	leaveEvery = 500 * time.Millisecond
	// leaveTellEvery is how often it tells what it still holds.
	leaveTellEvery = time.Minute
)

// leave ends a node that has left the ring as soon as it holds nothing any more:
// no copy, no hint, and no request that waits for its outcome. It looks twice, and
// takes nothing in between: a peer that is behind may still send something.
func (n *Node) leave(ctx context.Context) error {
	var told time.Time
	for waitFor(ctx, leaveEvery, nil) {
		closed := n.closed.Load()
		n.closed.Store(n.service.State().Gone(n.service.ID()) && n.holdsNothing(&told))
		if !closed || !n.closed.Load() {
			continue
		}
		if err := n.service.Left(ctx); err != nil {
			n.log.Warn("the others are not told yet that this node holds nothing any more", "error", err)
			continue
		}
		n.log.Info("this node has left the cluster and holds nothing any more: it ends, and its data directory may be deleted", "name", n.cfg.Name)
		close(n.left)
		return nil
	}
	return nil
}

// holdsNothing tells whether nothing here is needed any more, and logs now and
// then, as of told, what is.
func (n *Node) holdsNothing(told *time.Time) bool {
	copies, hints, requests := len(n.store.Held()), len(n.store.Hints()), n.coord.InFlight()+n.fetches.waiting()
	if copies+hints+requests == 0 {
		return true
	}
	if now := time.Now(); now.Sub(*told) >= leaveTellEvery {
		*told = now
		n.log.Info("this node has left the ring, and ends once it holds nothing any more",
			"copies", copies, "owners of hints", hints, "requests under way", requests)
	}
	return false
}

// hints are the coordinator's: what this node itself would keep as a stand-in. A
// node that has left, and is about to end, keeps nothing, as it takes nothing from
// others (Handle): its data directory may be deleted.
type hints struct {
	*replica.Store
	closed *atomic.Bool
}

// PutHint implements coordinator.Hints.
func (h hints) PutHint(level kv.Level, owner kv.NodeID, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	if h.closed.Load() {
		return object.Object{}, buf, 0, errLeft // of a kind that has another node asked
	}
	return h.Store.PutHint(level, owner, p, k, w, buf, durable)
}

// MergeHint implements coordinator.Hints.
func (h hints) MergeHint(owner kv.NodeID, p kv.Partition, k kv.Key, in object.Object, durable storage.Waiter) error {
	if h.closed.Load() {
		return errLeft
	}
	return h.Store.MergeHint(owner, p, k, in, durable)
}

var errLeft = kv.Errorf(kv.KindHintsFull, "keep hint", "this node has left the ring, and keeps nothing any more")

// tellStanding logs what an operator has to do for a node that is not in the ring,
// when that changes.
func (n *Node) tellStanding(s *membership.State) {
	status := s.Status(n.service.ID())
	if n.standing.Swap(uint32(status)) == uint32(status) || status != membership.StatusWaiting {
		return
	}
	n.log.Warn("a node of this name is in the ring: this one is new, with an empty disk, and waits to take its place",
		"name", n.cfg.Name, "run", "ringtail cluster replace "+n.cfg.Name+" && ringtail cluster commit")
}
