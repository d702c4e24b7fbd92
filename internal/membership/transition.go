package membership

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// Transition is a change of the ring that the members have chosen and that is
// under way. Immutable.
type Transition struct {
	// Slot is the decision; its epoch is that of To.
	Slot
	// To is the ring to come.
	To *ring.Ring
	// Changes are what it carries out, ascending by node.
	Changes []Order
	// Lost are the nodes that are gone for good with all that they had, by a
	// human's word: ascending.
	Lost []kv.NodeID
	// Proposer is the node at which it was committed.
	Proposer kv.NodeID
	// Certificate says how it was chosen. It is no part of the value that is
	// voted on.
	Certificate
}

// valueVersion opens every encoded value.
const valueVersion = 1

// Value returns what the members vote on: all but the certificate. Equal values
// are equal bytes.
func (t *Transition) Value() []byte {
	b := []byte{valueVersion}
	b = binary.BigEndian.AppendUint64(b, t.Epoch)
	b = binary.BigEndian.AppendUint32(b, t.Amendment)
	b = binary.BigEndian.AppendUint64(b, uint64(t.Proposer))
	b = appendIDs(b, t.Lost)
	b = appendOrders(b, t.Changes)
	return t.To.AppendTo(b)
}

// ParseValue reads what Value returned, from hostile bytes, of which it keeps
// none. Its errors are of KindInvalid and KindWrongVersion.
func ParseValue(b []byte) (*Transition, error) {
	const op = "read change of the ring"
	c := cursor{parse.Reader{Rest: b}}
	if v := c.U8(); !c.Bad && v != valueVersion {
		return nil, kv.Errorf(kv.KindWrongVersion, op, "version %d, this release reads %d", v, valueVersion)
	}
	t := &Transition{Slot: Slot{Epoch: c.U64(), Amendment: c.U32()}, Proposer: kv.NodeID(c.U64())}
	t.Lost, t.Changes = c.ids(maxStateMembers), c.orders()
	if c.Bad || len(c.Rest) > maxRing {
		return nil, kv.Errorf(kv.KindInvalid, op, "%d bytes are malformed", len(b))
	}
	to, err := ring.Parse(c.Rest)
	if err != nil {
		return nil, kv.Wrap(kv.KindInvalid, op, err)
	}
	if to.Epoch() != t.Epoch {
		return nil, kv.Errorf(kv.KindInvalid, op, "it is about epoch %d, its ring of epoch %d", t.Epoch, to.Epoch())
	}
	t.To = to
	return t, nil
}

// appendTransition appends t, or nothing for nil.
func appendTransition(b []byte, t *Transition) []byte {
	if t == nil {
		return b
	}
	b = appendBallot(b, t.Ballot)
	b = appendBool(b, t.Forced)
	b = appendIDs(b, t.Accepted)
	return append(b, t.Value()...)
}

// transition takes all that is left: a transition, or nothing.
func (c *cursor) transition() (*Transition, error) {
	if len(c.Rest) == 0 {
		return nil, nil
	}
	cert := Certificate{Ballot: c.ballot(), Forced: c.Flag(), Accepted: c.ids(maxStateMembers)}
	t, err := ParseValue(c.Take(len(c.Rest)))
	if err != nil {
		return nil, err
	}
	t.Certificate = cert
	return t, nil
}

// mergeTransitions keeps the latest decision. Two values of one slot can only be
// a human's doing: every node settles on the same one, the forced one first.
func mergeTransitions(a, b *Transition) *Transition {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	forced := func(t *Transition) int {
		if t.Forced {
			return 1
		}
		return 0
	}
	by := cmp.Or(a.Slot.compare(b.Slot), cmp.Compare(forced(a), forced(b)), a.Ballot.compare(b.Ballot))
	if by == 0 {
		by = bytes.Compare(appendTransition(nil, a), appendTransition(nil, b))
	}
	if by < 0 {
		return b
	}
	return a
}

// void says whether a transition leads to a ring that r has reached.
func (t *Transition) void(r *ring.Ring) bool { return t != nil && r != nil && t.Epoch <= r.Epoch() }

// Transition returns the change of the ring that is under way, nil for none.
func (s *State) Transition() *Transition { return s.transition }

// Latest returns the ring that is settled, or is to be once the transition is
// over; nil before the node has joined a cluster.
func (s *State) Latest() *ring.Ring {
	if s.transition != nil {
		return s.transition.To
	}
	return s.ring
}

// Open returns the slot that is to be decided next; its zero without a ring.
func (s *State) Open() Slot {
	switch {
	case s.ring == nil:
		return Slot{}
	case s.transition == nil:
		return Slot{Epoch: s.ring.Epoch() + 1}
	}
	return Slot{Epoch: s.transition.Epoch, Amendment: s.transition.Amendment + 1}
}

// Adopt returns s with a transition that was chosen, unless s has a later
// decision.
func (s *State) Adopt(t *Transition) *State {
	if t = mergeTransitions(s.transition, t); t == s.transition || t.void(s.ring) {
		return s
	}
	return s.withTransition(t)
}

// Settle returns the state in which the transition is over, if p, the progress
// of that transition, says that it is; else s.
func (s *State) Settle(p *ring.Progress) *State {
	t := s.transition
	if t == nil || p == nil || s.ring == nil || t.Epoch != s.ring.Epoch()+1 || !leadsTo(p.Transition, t.To) || !p.Over() {
		return s
	}
	next := s
	for _, o := range t.Changes {
		next = next.settled(o, t.Proposer)
	}
	return next.withRing(t.To).withTransition(nil)
}

// leadsTo says whether a transition ends in the ring to. Its first ring is then
// the same too: there is one of each epoch.
func leadsTo(t *ring.Transition, to *ring.Ring) bool {
	return t.To() == to || bytes.Equal(t.To().AppendTo(nil), to.AppendTo(nil))
}

// settled returns s with an order carried out. Every node writes the same.
func (s *State) settled(o Order, author kv.NodeID) *State {
	if was, ok := s.staged[o.Node]; ok && was.Action != NoAction && was.compare(o.Staged) <= 0 {
		s = s.withStaged(o.Node, Staged{Version: was.Version + 1, Author: author})
	}
	switch o.Action {
	case Join:
		return decideKnown(s, o.Node, author, StatusMember)
	case Leave:
		return decideKnown(s, o.Node, author, StatusLeaving)
	case Remove:
		return decideKnown(s, o.Node, author, StatusRemoved)
	case Replace:
		after := StatusLeaving
		if o.Gone {
			after = StatusRemoved
		}
		return decideKnown(decideKnown(s, o.Node, author, after), o.By, author, StatusMember)
	}
	return s
}

func decideKnown(s *State, id, author kv.NodeID, status Status) *State {
	if _, ok := s.Member(id); !ok {
		return s
	}
	return decide(s, id, author, status)
}

// order returns what the transition does to a node that was in the ring.
func (t *Transition) order(id kv.NodeID) Order {
	i := slices.IndexFunc(t.Changes, func(o Order) bool { return o.Node == id })
	if i < 0 {
		return Order{}
	}
	return t.Changes[i]
}

func appendIDs(b []byte, ids []kv.NodeID) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(ids)))
	for _, id := range ids {
		b = binary.BigEndian.AppendUint64(b, uint64(id))
	}
	return b
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
