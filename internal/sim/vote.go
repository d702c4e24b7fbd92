package sim

import (
	"fmt"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// voteWait is how long a ballot waits for answers; ballotPause is up to how
	// long the next one waits, twice as long each time, and maxBallots bounds them.
	voteWait    = 200 * time.Millisecond
	ballotPause = 20 * time.Millisecond
	maxBallots  = 6
)

// election is one proposal of a node: package membership's Proposer, whose
// questions and answers go through the network.
type election struct {
	n    *node
	p    *membership.Proposer
	slot membership.Slot
	// ballots counts those that were begun, turn all rounds of questions: what was
	// due for an earlier one is void.
	ballots, turn int
	ended         bool
}

// propose puts a change to the vote of the members of the present ring.
func (n *node) propose(t *membership.Transition) {
	var voters []kv.NodeID
	for _, m := range n.current.Ring.Nodes() {
		voters = append(voters, m.ID)
	}
	n.world.say(nil, "%v proposes %s", n.machine, slotName(t.Slot))
	e := &election{n: n, slot: t.Slot, p: membership.NewProposer(n.id, n.rng.Uint64(), t.Slot, voters, t.Value())}
	n.election = e
	e.begin()
}

func (e *election) begin() {
	if e.ended {
		return
	}
	if e.ballots++; e.ballots > maxBallots {
		e.end()
		return
	}
	e.round(e.p.Begin())
}

func (e *election) end() {
	e.ended = true
	e.n.election = nil
}

// round asks all voters. If too few answer the next ballot begins.
func (e *election) round(ask membership.Ask) {
	n := e.n
	e.turn++
	turn := e.turn
	for _, v := range n.current.Ring.Nodes() {
		m := n.world.ids[v.ID]
		switch {
		case m == n.machine && v.ID == n.id:
			n.after(0, func() { e.take(m, n.id, n.cast(ask)) })
		case m.id() == v.ID:
			n.tell(m, wire.TypeVote, func(p *node) {
				if p.state() == nil {
					return
				}
				a := p.cast(ask)
				p.tell(n.machine, wire.TypeVote, func(q *node) {
					if q == n {
						e.take(m, v.ID, a)
					}
				})
			})
		}
	}
	n.after(voteWait+upTo(n.rng, voteWait), func() {
		if e.turn == turn {
			e.begin()
		}
	})
}

// cast gives the node's answer to an ask; what it says is durable before.
func (n *node) cast(ask membership.Ask) membership.Answer {
	f := &n.disk.files
	next, answer := f.vote.Step(f.state.Open(), ask)
	f.vote = next
	return answer
}

// take takes a voter's answer.
func (e *election) take(m *machine, from kv.NodeID, a membership.Answer) {
	n := e.n
	if e.ended {
		return
	}
	if n.state().Open() != e.slot {
		e.end() // somebody has told this node
		return
	}
	switch a.Verdict {
	case membership.Behind:
		n.tellState(m)
	case membership.Decided:
		n.ask(m)
	}
	was := e.p.Outcome()
	switch out := e.p.Step(from, a); {
	case out == was:
	case out == membership.BallotPromised:
		e.round(e.p.Accept())
	case out == membership.BallotChosen:
		e.adopt()
	case out == membership.BallotLost:
		e.turn++
		n.after(upTo(n.rng, ballotPause<<e.ballots), e.begin)
	}
}

// adopt takes in what was chosen, and tells everybody.
func (e *election) adopt() {
	t, err := membership.ParseValue(e.p.Value())
	if err != nil {
		panic(err)
	}
	t.Certificate = e.p.Certificate()
	e.end()
	e.n.update(e.n.state().Adopt(t))
	e.n.tellAll()
}

// decision is what the world knows of the changes of the ring: what any node knows
// to be decided.
type decision struct {
	// changes are by their slots, rings, the settled ones, by their epochs.
	changes map[membership.Slot]*membership.Transition
	rings   map[uint64]*ring.Ring
	// latest is the ring to which the last change leads, settled the last one that
	// is settled, as far as any node knows; under way is the change in between.
	latest, settled *ring.Ring
	underway        *membership.Transition
	// since is when a change last began, was amended, or was settled.
	since time.Duration
	// settling counts changes that were settled.
	settling int
}

// decided notes what a node knows to be decided, and checks that all nodes know the
// same.
func (w *World) decided(n *node, st *membership.State) {
	if t := st.Transition(); t != nil {
		was := w.changes[t.Slot]
		switch {
		case was == nil:
			w.begins(t)
		case string(was.Value()) != string(t.Value()):
			w.violate("vote", nil, "%v knows another change %s than node %v, which proposed", n.machine, slotName(t.Slot), was.Proposer)
		}
	}
	r := st.Ring()
	if r == nil {
		return
	}
	switch was := w.decision.rings[r.Epoch()]; {
	case was == nil:
		w.settles(r)
	case !sameRing(was, r):
		w.violate("vote", nil, "%v knows another ring of epoch %d", n.machine, r.Epoch())
	}
}

func slotName(s membership.Slot) string {
	if s.Amendment > 0 {
		return fmt.Sprintf("%d, amendment %d", s.Epoch, s.Amendment)
	}
	return fmt.Sprint(s.Epoch)
}

// begins notes a decision that nobody knew before.
func (w *World) begins(t *membership.Transition) {
	w.changes[t.Slot] = t
	if t.Epoch < w.latest.Epoch() || w.settled.Epoch() >= t.Epoch {
		return
	}
	if t.Amendment == 0 {
		w.latest = t.To
		w.count.Changes++
	}
	w.since = w.now
	if u := w.underway; u == nil || u.Epoch < t.Epoch || u.Amendment < t.Amendment {
		w.underway = t
	}
	w.say(nil, "decided: the change to epoch %s, lost %v", slotName(t.Slot), t.Lost)
	for _, x := range w.wishes {
		x.chosen = x.chosen || slices.Contains(x.values, string(t.Value()))
	}
}

// settles notes a ring that nobody knew to be settled before.
func (w *World) settles(r *ring.Ring) {
	w.decision.rings[r.Epoch()] = r
	if w.settled != nil && r.Epoch() <= w.settled.Epoch() {
		return
	}
	w.settled, w.since = r, w.now
	w.settling++
	if w.latest == nil || w.latest.Epoch() <= r.Epoch() {
		w.latest, w.underway = r, nil
	}
	w.say(nil, "epoch %d is settled", r.Epoch())
	w.dead = slices.DeleteFunc(w.dead, func(d dead) bool { return !r.Contains(d.id) && !w.latest.Contains(d.id) })
}

// calm returns the epoch that all machines know to be settled, and no change of it;
// 0 without one.
func (w *World) calm() uint64 {
	epoch := w.settled.Epoch()
	if w.underway != nil {
		return 0
	}
	for _, m := range w.machines {
		if m.idle {
			continue
		}
		if st := m.disk.files.state; st == nil || st.Epoch() != epoch || st.Transition() != nil {
			return 0
		}
	}
	return epoch
}
