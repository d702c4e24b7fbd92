package node

import (
	"slices"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/internal/antientropy"
	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// upkeep is the HTTP door's Upkeep.
type upkeep struct{ *Node }

// repairRun is a repair that was started by hand. Exchanges go on for ever; a
// run is over once every node that can be reached was compared with since its
// start, or could not be.
type repairRun struct {
	mu   sync.Mutex
	view httpapi.RunView
	// before is what exchanges had done when it started.
	before antientropy.Tally
}

// Repair implements httpapi.Upkeep.
func (u upkeep) Repair() error {
	if r := u.Ring(); r == nil || !r.Contains(u.service.ID()) {
		return kv.Errorf(kv.KindRefused, "repair", "this node is in no ring yet")
	}
	s := u.keeper.Status()
	u.repairs.mu.Lock()
	defer u.repairs.mu.Unlock()
	if u.repairs.view.Running {
		return nil
	}
	u.repairs.view = httpapi.RunView{Running: true, Started: time.Now()}
	u.repairs.before = s.Total
	u.keeper.Repair()
	return nil
}

// Repairing implements httpapi.Upkeep.
func (u upkeep) Repairing() httpapi.RepairView {
	s := u.keeper.Status()
	view := httpapi.RepairView{Damaged: u.store.Damaged()}
	u.repairs.mu.Lock()
	defer u.repairs.mu.Unlock()
	run := &u.repairs.view
	if run.Running {
		u.progress(run, s)
	}
	view.RunView = *run
	for _, p := range s.Peers {
		view.Peers = append(view.Peers, httpapi.SyncView{Node: u.nameOf(p.Peer), ID: p.Peer, Last: p.Last})
	}
	return view
}

// progress fills in how far run is. The caller holds the lock.
func (u upkeep) progress(run *httpapi.RunView, s antientropy.Status) {
	run.Total, run.Done = 0, 0
	for id, shared := range u.sharers() {
		if !u.pool.Up(id) {
			continue
		}
		run.Total += shared
		if i := slices.IndexFunc(s.Peers, func(p antientropy.PeerStatus) bool { return p.Peer == id }); i >= 0 {
			if p := s.Peers[i]; p.Last.After(run.Started) || p.Failed.After(run.Started) {
				run.Done += shared
				continue
			}
		}
		if i := slices.IndexFunc(s.Exchanges, func(x antientropy.ExchangeStatus) bool { return x.Peer == id }); i >= 0 {
			run.Done += min(s.Exchanges[i].Compared, shared-1)
		}
	}
	run.Bytes = uint64(s.Total.Bytes - u.repairs.before.Bytes)
	run.Found = uint64(s.Total.Received + s.Total.Sent - u.repairs.before.Received - u.repairs.before.Sent)
	if run.Done == run.Total {
		run.Running, run.Ended = false, time.Now()
	}
}

// sharers returns the other owners of this node's partitions, with the number of
// partitions that they share with it.
func (n *Node) sharers() map[kv.NodeID]int {
	shared := map[kv.NodeID]int{}
	r := n.Ring()
	if r == nil {
		return shared
	}
	for _, p := range r.Partitions(n.service.ID()) {
		for _, id := range r.Owners(p) {
			if id != n.service.ID() {
				shared[id]++
			}
		}
	}
	return shared
}

// Scrub implements httpapi.Upkeep.
func (u upkeep) Scrub() error {
	u.scrubber.start()
	return nil
}

// Scrubbing implements httpapi.Upkeep.
func (u upkeep) Scrubbing() httpapi.RunView { return u.scrubber.progress() }

// nameOf returns a node's name, or its id for one that nobody announced.
func (n *Node) nameOf(id kv.NodeID) string {
	if m, ok := n.service.State().Member(id); ok {
		return m.Name
	}
	return id.String()
}

// hintViews returns what this node keeps for others.
func (n *Node) hintViews() []httpapi.HintView {
	views := []httpapi.HintView{}
	for _, h := range n.store.Hints() {
		views = append(views, httpapi.HintView{
			Node: n.cfg.Name, Owner: n.nameOf(h.Owner), ID: h.Owner, Keys: h.Keys, Bytes: h.Bytes, Oldest: h.Oldest.Wall(),
		})
	}
	return views
}

// sweepView returns where the reaping of what was deleted stands.
func (n *Node) sweepView() httpapi.SweepView {
	s := n.keeper.Status().Sweep
	v := httpapi.SweepView{Last: s.Last}
	if s.Step != "none" {
		v.Phase = s.Step
	}
	if len(s.Stopped) > 0 {
		v.StoppedBy, v.Since = n.nameOf(s.Stopped[0]), s.StoppedSince
	}
	return v
}
