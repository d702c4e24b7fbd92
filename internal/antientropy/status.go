package antientropy

import (
	"cmp"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Status is what a Keeper does and has done, as of its last Tick. Lists are
// ascending by node, or by partition.
type Status struct {
	// Exchanges are those that this node conducts now.
	Exchanges []ExchangeStatus
	// Peers are the nodes that this node compares its copies with; of two nodes
	// the one with the lower id does.
	Peers []PeerStatus
	// Total counts all exchanges that this node has conducted.
	Total Tally
	// Refilling are the copies that have lost data.
	Refilling []RefillStatus
	// LeftOver are the partitions that this node holds and does not own.
	LeftOver []kv.Partition
	Sweep    SweepStatus
	// Steps are of the change of the ring under way, Fills of all.
	Steps StepsStatus
	Fills FillsStatus
}

// ExchangeStatus is an exchange under way.
type ExchangeStatus struct {
	Peer kv.NodeID
	// Purpose is "sweep", "refill", "fill", "left-over" or "cycle".
	Purpose string
	Since   time.Time
	// Partitions are exchanged, Compared of them are dealt with.
	Partitions, Compared int
	Tally
}

// PeerStatus is how a node's copies compare with this one's.
type PeerStatus struct {
	Peer kv.NodeID
	// Last is when they were last compared in full, and Took how long that was;
	// Partitions of them were compared, Complete of them to the end.
	Last                 time.Time
	Took                 time.Duration
	Partitions, Complete int
	// Tally is of that exchange.
	Tally
	// Failed is when an exchange last failed, and Err why; nil for never.
	Failed time.Time
	Err    error
}

// RefillStatus is how far the refilling of a copy is.
type RefillStatus struct {
	Partition kv.Partition
	Since     time.Time
	// Sources are the owners that it has all of; Needed of them are needed, 0
	// where there is no other owner.
	Sources []kv.NodeID
	Needed  int
}

// SweepStatus is what this node knows of sweeps.
type SweepStatus struct {
	// Reapable is the number of records of which a floor could drop something.
	Reapable uint64
	// Step is that of the round which this node leads, "none" without one, and
	// Since when that began. Leader is the leader of the round that it takes part
	// in, 0 for none.
	Step   string
	Since  time.Time
	Leader kv.NodeID
	// Finished and Abandoned count the rounds that this node has led; LastErr is
	// why the last one that was abandoned was.
	Finished, Abandoned uint64
	LastErr             string
	// Last is when one was last finished, and Raised in how many partitions it
	// raised the floors of all owners.
	Last   time.Time
	Raised int
	// Stopped are the nodes that keep sweeps from this node's copies, or from
	// some of them, since StoppedSince, and StoppedWhy is what is the matter.
	Stopped      []kv.NodeID
	StoppedSince time.Time
	StoppedWhy   string
}

// Status returns what the Keeper does. What the slices hold is read-only.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mu.status
}

// Busy tells whether the Keeper has something under way, so that it wants to be
// told the time as often as Tick says.
func (k *Keeper) Busy() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.mu.busy
}

// publish has Status tell what is so now.
func (k *Keeper) publish() {
	s := Status{Total: k.total, Sweep: k.leader.status(), Steps: k.mover.status(k.Now()), Fills: k.mover.fillsStatus()}
	if k.member.busy() {
		s.Sweep.Leader = k.member.round.leader
	}
	for _, p := range k.peers {
		if p.x != nil {
			s.Exchanges = append(s.Exchanges, p.x.status())
		}
		if p.id > k.Self || !p.status.Last.IsZero() {
			s.Peers = append(s.Peers, p.status)
		}
	}
	slices.SortFunc(s.Exchanges, func(a, b ExchangeStatus) int { return cmp.Compare(a.Peer, b.Peer) })
	slices.SortFunc(s.Peers, func(a, b PeerStatus) int { return cmp.Compare(a.Peer, b.Peer) })
	for i := range k.refill.copies {
		c := &k.refill.copies[i]
		r := RefillStatus{Partition: c.p, Since: c.since, Sources: slices.Clone(c.sources)}
		if cur := k.Cluster.Current(); cur != nil {
			v := cur.View(c.p)
			r.Needed = max(needed(cur, k.Self, v.Old), needed(cur, k.Self, v.Newest()))
		}
		s.Refilling = append(s.Refilling, r)
	}
	for i := range k.leftovers.copies {
		s.LeftOver = append(s.LeftOver, k.leftovers.copies[i].p)
	}
	k.mu.Lock()
	k.mu.status = s
	k.mu.busy = len(s.Exchanges)+len(s.Refilling)+len(s.LeftOver) > 0 ||
		k.leader.step != stepNone || k.member.busy() || len(k.mover.parts) > 0
	k.mu.Unlock()
}

func (l *leader) status() SweepStatus {
	s := SweepStatus{
		Reapable: l.plan.reapable, Step: l.step.String(),
		Finished: l.done.finished, Abandoned: l.done.abandoned, LastErr: l.done.why,
		Last: l.done.last, Raised: l.done.raised,
		Stopped: slices.Clone(l.plan.stopped), StoppedSince: l.plan.since, StoppedWhy: l.plan.why,
	}
	if l.step != stepNone {
		s.Since = l.began
	}
	return s
}

func (x *exchange) status() ExchangeStatus {
	s := ExchangeStatus{Peer: x.peer, Purpose: x.purpose.String(), Since: x.began, Partitions: len(x.copies), Tally: x.tally}
	for i := range x.copies {
		if x.copies[i].complete || x.copies[i].failed {
			s.Compared++
		}
	}
	return s
}

// compared notes an exchange in the cycle that went to its end.
func (s *PeerStatus) compared(now time.Time, x *exchange) {
	*s = PeerStatus{
		Peer: s.Peer, Last: now, Took: now.Sub(x.began), Partitions: len(x.copies), Complete: len(x.outcome()),
		Tally: x.tally, Failed: s.Failed, Err: s.Err,
	}
}

// failed notes an exchange that failed.
func (s *PeerStatus) failed(now time.Time, err error) { s.Failed, s.Err = now, err }
