package node

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/membership"
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
	copies, hints, requests := len(n.store.Held()), len(n.store.Hints()), n.coord.InFlight()
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
