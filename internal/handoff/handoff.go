// Package handoff delivers hints: the objects that a node keeps for an owner
// that was down when they were written go to that owner as soon as it answers
// again (hinted handoff, §4.6; DESIGN section 6).
//
// A Sender has no goroutine and no clock of its own. Tick tells it the time, an
// answer carries its session on, and what reads or deletes hints runs on a
// Background. A session hands the hints for one node over, partition after
// partition, page after page, with a bounded window of them under way; all
// sessions share one rate. A hint is deleted once the owner has it on stable
// storage, and only if it is still the version that was sent. A hint for a node
// that owns the partition no more is kept for each present owner instead.
//
// Nothing of a session is stored: what was delivered is deleted, and so a
// session that was broken off, by either side's restart, goes on where it was.
package handoff

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/pace"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Hints are the hints that this node keeps (package replica).
type Hints interface {
	Hints() []replica.HintStats
	HintPartitions(owner kv.NodeID) []kv.Partition
	HintPage(owner kv.NodeID, p kv.Partition, after kv.Key, maxKeys, maxBytes int) ([]replica.Hint, bool, error)
	DeleteHint(owner kv.NodeID, p kv.Partition, k kv.Key, version uint64) (bool, error)
	// ReaddressHint merges what is kept as a hint for one node into that for
	// another.
	ReaddressHint(to kv.NodeID, p kv.Partition, k kv.Key, in object.Object, durable storage.Waiter) error
}

// Local is the node's own copies (package replica).
type Local interface {
	Merge(p kv.Partition, k kv.Key, in object.Object, floor vclock.Floor, durable storage.Waiter) error
}

// Peers reaches the other nodes (package transport).
type Peers interface {
	// Call is as wire.Completion describes.
	Call(to kv.NodeID, c wire.Call, m wire.Appender, done wire.Completion, tag uint32)
	// Up tells whether a peer answers, as far as this node knows (§4.8.3).
	Up(id kv.NodeID) bool
	// Boot returns a peer's boot as its last handshake told it, 0 when unknown.
	Boot(id kv.NodeID) uint64
}

// Cluster is what the node knows of its cluster (package membership).
type Cluster interface {
	// Current is nil before the node has a ring.
	Current() *ring.Current
	// Refresh asks for the state of a peer whose ring is newer.
	Refresh(from kv.NodeID)
}

// Background runs tasks outside of the caller's goroutine. Go returns false,
// and drops the task, when its queue is full.
type Background interface{ Go(task func()) bool }

// Deps are what a Sender works with; all are needed but Share.
type Deps struct {
	Self kv.NodeID
	// Boot is this node's boot number.
	Boot       func() uint64
	Hints      Hints
	Local      Local
	Peers      Peers
	Cluster    Cluster
	Background Background
	// Now is a clock that does not jump (time.Now, with its monotonic reading);
	// Tick gets the same clock's time.
	Now func() time.Time
	// Share, if set, is the part of its rates that the Sender may use now, above 0
	// and at most 1, so that requests of clients here do not suffer.
	Share func() float64
}

// Sender delivers this node's hints and takes those that others deliver. It is
// safe for concurrent use.
type Sender struct {
	Deps
	cfg Config
	// inbound counts the hints taken from others that wait for the disk.
	inbound atomic.Int64

	mu struct {
		sync.Mutex
		// sessions are ascending by node.
		sessions []*session
		tallies  map[kv.NodeID]*tally
		totals   Totals
		pace     pace.Pace
		// taking is the pace of what others hand over, held are the answers that it
		// holds back.
		taking pace.Pace
		held   []heldAck
		// served is the share of the session that was the last to send.
		served uint64
		// pumping is set while a goroutine sends.
		pumping bool
		// planAt is when hints are looked for next; started is the node whose
		// session was the last to begin.
		planAt  time.Time
		started kv.NodeID
	}
}

// New returns a Sender. The configuration has been validated.
func New(cfg Config, deps Deps) *Sender {
	h := &Sender{Deps: deps, cfg: cfg}
	h.mu.tallies = map[kv.NodeID]*tally{}
	h.mu.pace = pace.Pace{Rate: cfg.Rate, Burst: burst}
	h.mu.taking = h.mu.pace
	return h
}

// Tick looks for hints whose owner answers, begins and ends sessions, and sends
// what the rate allows by now. The node calls it every 50 ms or so while the
// Sender is Busy: at least twice as often as the burst that the rate allows (burst).
func (h *Sender) Tick(now time.Time) {
	h.mu.Lock()
	due := !now.Before(h.mu.planAt)
	if due {
		h.mu.planAt = now.Add(h.cfg.Every)
		h.planBy(now)
	}
	h.mu.Unlock()
	if due {
		h.plan(now)
	}
	h.answerHeld(now)
	h.pump()
}

// PeerUp tells that a peer answers again: its hints are looked at in the next
// Tick, however long it was to be left alone.
func (h *Sender) PeerUp(id kv.NodeID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mu.planAt = time.Time{}
	if s := h.find(id); s != nil {
		s.until, s.pause = time.Time{}, 0
	}
}

// place is where hints are: those for one owner in one partition.
type place struct {
	owner kv.NodeID
	p     kv.Partition
}

// plan begins a session for each node that can be given something.
func (h *Sender) plan(now time.Time) {
	c := h.Cluster.Current()
	if c == nil {
		return
	}
	unready := h.unready(now)
	stats := h.Hints.Hints()
	wanted := map[kv.NodeID][]place{}
	for _, o := range stats {
		for _, p := range h.Hints.HintPartitions(o.Owner) {
			if to := h.destination(c, place{o.Owner, p}, unready); to != 0 {
				wanted[to] = append(wanted[to], place{o.Owner, p})
			}
		}
	}
	ids := make([]kv.NodeID, 0, len(wanted))
	for id := range wanted {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begin(ids, wanted)
	h.forget(now, stats)
}

// planBy has the next plan made when the first node is no longer left alone. The
// caller holds mu.
func (h *Sender) planBy(now time.Time) {
	for _, s := range h.mu.sessions {
		if s.until.After(now) && s.until.Before(h.mu.planAt) {
			h.mu.planAt = s.until
		}
	}
}

// unready returns the nodes that cannot be given a session: those that have one,
// and those that are left alone for a while.
func (h *Sender) unready(now time.Time) map[kv.NodeID]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[kv.NodeID]bool{}
	for _, s := range h.mu.sessions {
		if s.running || now.Before(s.until) {
			out[s.to] = true
		}
	}
	return out
}

// destination returns the node that the hints at a place go to, 0 for none at
// present: the owner that they name, if it is one still and is not about to give
// its copy away; or else this node, which addresses them to the newest owners.
func (h *Sender) destination(c *ring.Current, at place, unready map[kv.NodeID]bool) kv.NodeID {
	if int(at.p) >= c.Ring.Params().Q {
		return 0
	}
	to := at.owner
	if !c.View(at.p).Takes(to) {
		to = h.Self
	}
	if unready[to] || to != h.Self && !h.Peers.Up(to) {
		return 0
	}
	return to
}

// fits tells whether the hints at a place may still go to a node.
func (h *Sender) fits(at place, to kv.NodeID) bool {
	c := h.Cluster.Current()
	if c == nil {
		return false
	}
	if c.View(at.p).Takes(at.owner) {
		return at.owner == to
	}
	return to == h.Self
}

// begin begins sessions for ids, ascending, as many as there may be, and with
// those after the one that began last. The caller holds mu.
func (h *Sender) begin(ids []kv.NodeID, wanted map[kv.NodeID][]place) {
	room := h.cfg.Sessions
	for _, s := range h.mu.sessions {
		if s.running {
			room--
		}
	}
	at, _ := slices.BinarySearch(ids, h.mu.started+1)
	for i := range ids {
		if room <= 0 {
			return
		}
		id := ids[(at+i)%len(ids)]
		h.session(id).start(wanted[id])
		h.mu.started = id
		room--
	}
}

// find returns the session of id, nil if it has none. The caller holds mu.
func (h *Sender) find(id kv.NodeID) *session {
	i, ok := slices.BinarySearchFunc(h.mu.sessions, id, compare)
	if !ok {
		return nil
	}
	return h.mu.sessions[i]
}

// session returns the session of id, a new one if it has none. The caller holds
// mu.
func (h *Sender) session(id kv.NodeID) *session {
	i, ok := slices.BinarySearchFunc(h.mu.sessions, id, compare)
	if !ok {
		h.mu.sessions = slices.Insert(h.mu.sessions, i, &session{h: h, to: id})
	}
	return h.mu.sessions[i]
}

// forget drops what is known of nodes for which nothing is left to do. The caller
// holds mu.
func (h *Sender) forget(now time.Time, stats []replica.HintStats) {
	h.mu.sessions = slices.DeleteFunc(h.mu.sessions, func(s *session) bool { return s.idle(now) })
	maps.DeleteFunc(h.mu.tallies, func(owner kv.NodeID, _ *tally) bool {
		return !slices.ContainsFunc(stats, func(st replica.HintStats) bool { return st.Owner == owner })
	})
}
