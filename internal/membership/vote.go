package membership

import (
	"cmp"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Slot names one decision of the cluster: the change that leads to an epoch,
// and its amendments, from 1. Each is decided once, by single-decree Paxos
// among the members of the epoch before.
type Slot struct {
	Epoch     uint64
	Amendment uint32
}

func (s Slot) compare(o Slot) int {
	return cmp.Or(cmp.Compare(s.Epoch, o.Epoch), cmp.Compare(s.Amendment, o.Amendment))
}

// Ballot is one try to have a Slot decided. The zero Ballot is none.
type Ballot struct {
	Round uint64
	Node  kv.NodeID
	// Try is drawn at random for each Proposer, so that no two of them hold the
	// same ballot, not those of one node before and after a restart either.
	Try uint64
}

func (b Ballot) compare(o Ballot) int {
	return cmp.Or(cmp.Compare(b.Round, o.Round), cmp.Compare(b.Node, o.Node), cmp.Compare(b.Try, o.Try))
}

// Ask is what a proposer asks of each member: without a Value for the promise
// to take part in no earlier ballot, with one to accept it.
type Ask struct {
	Slot
	Ballot
	Value []byte
}

// Verdict is what a member says to an Ask. Numbers travel between nodes: append
// only.
type Verdict uint8

const (
	// Granted: it has promised, or accepted.
	Granted Verdict = iota
	// Overtaken: it has promised a later ballot.
	Overtaken
	// Decided: as far as it knows the slot is decided; its state tells how.
	Decided
	// Behind: it does not know of the decision before this one.
	Behind

	numVerdicts
)

// Answer is a member's answer to an Ask of the same Slot and Ballot.
type Answer struct {
	Slot
	Ballot
	// Accept tells the answer to an Ask with a value from one without.
	Accept bool
	Verdict
	// Promised is the highest ballot that it has promised.
	Promised Ballot
	// Accepted is the ballot in which it last accepted a value, zero for none,
	// and Value that value. They are told with a promise.
	Accepted Ballot
	Value    []byte
}

// Acceptor is a member's part in the vote: a value, whose zero is that of a
// member that was never asked. What a slot says is dropped only once the
// member's state, which is durable, has the decision.
type Acceptor struct {
	Slot
	Promised, Accepted Ballot
	// Value is what was accepted, nil for nothing.
	Value []byte
}

// Step answers an ask, given the slot that the member's state has open. The
// answer must not be sent before the Acceptor that is returned is durable. The
// value is shared.
func (a Acceptor) Step(open Slot, ask Ask) (Acceptor, Answer) {
	answer := Answer{Slot: ask.Slot, Ballot: ask.Ballot, Accept: ask.Value != nil}
	if by := ask.Slot.compare(open); by != 0 || a.Slot.compare(open) > 0 {
		answer.Verdict = Decided
		if by > 0 {
			answer.Verdict = Behind
		}
		return a, answer
	}
	if a.Slot != open {
		a = Acceptor{Slot: open}
	}
	switch {
	case ask.Ballot.compare(a.Promised) < 0:
		answer.Verdict = Overtaken
	case ask.Value == nil:
		a.Promised = ask.Ballot
		answer.Accepted, answer.Value = a.Accepted, a.Value
	default:
		a.Promised, a.Accepted, a.Value = ask.Ballot, ask.Ballot, ask.Value
	}
	answer.Promised = a.Promised
	return a, answer
}

// Outcome is where a Proposer's ballot stands.
type Outcome uint8

const (
	// BallotOpen: more answers are needed.
	BallotOpen Outcome = iota
	// BallotPromised: a majority has promised; Accept says what to ask next.
	BallotPromised
	// BallotChosen: a majority has accepted; Value says what.
	BallotChosen
	// BallotLost: a later ballot is under way.
	BallotLost
)

// Proposer tries to have a value chosen for a slot, ballot by ballot. It keeps
// nothing over a restart.
//
// Invariant: granted holds voters only, each once.
type Proposer struct {
	slot   Slot
	voters []kv.NodeID
	// own is what it proposes, value what it must: the own one, or that of the
	// latest ballot that anybody says to have accepted in.
	own, value []byte

	// ballot is the present one, seen the highest round met.
	ballot Ballot
	seen   uint64
	// accepting says that the majority has promised.
	accepting bool
	// latest is the ballot of value, zero while it is the own one.
	latest  Ballot
	granted []kv.NodeID
	lost    bool
}

// NewProposer returns a proposer, at the node self, of a value for a slot, which
// voters decide. try is drawn at random, and used once.
func NewProposer(self kv.NodeID, try uint64, slot Slot, voters []kv.NodeID, value []byte) *Proposer {
	return &Proposer{ballot: Ballot{Node: self, Try: try}, slot: slot, voters: voters, own: value, value: value}
}

// Begin begins a ballot later than all that the proposer has met, and returns
// what to ask every voter. Answers to earlier ballots are ignored from now on.
func (p *Proposer) Begin() Ask {
	p.seen++
	p.ballot.Round = p.seen
	p.accepting, p.lost = false, false
	p.granted, p.value, p.latest = nil, p.own, Ballot{}
	return Ask{Slot: p.slot, Ballot: p.ballot}
}

// Accept returns what to ask every voter after BallotPromised.
func (p *Proposer) Accept() Ask {
	p.accepting, p.granted = true, nil
	return Ask{Slot: p.slot, Ballot: p.ballot, Value: p.value}
}

// Step takes a voter's answer and returns where the ballot stands.
func (p *Proposer) Step(from kv.NodeID, a Answer) Outcome {
	if a.Slot != p.slot || a.Ballot != p.ballot || a.Accept != p.accepting || !slices.Contains(p.voters, from) {
		return p.Outcome()
	}
	switch a.Verdict {
	case Overtaken:
		p.seen = max(p.seen, a.Promised.Round)
		p.lost = true
	case Granted:
		if !slices.Contains(p.granted, from) {
			p.granted = append(p.granted, from)
		}
		if a.Accepted.compare(p.latest) > 0 {
			p.latest, p.value = a.Accepted, a.Value
		}
	}
	return p.Outcome()
}

// Outcome returns where the ballot stands.
func (p *Proposer) Outcome() Outcome {
	switch {
	case len(p.granted) >= Majority(len(p.voters)) && p.accepting:
		return BallotChosen
	case len(p.granted) >= Majority(len(p.voters)):
		return BallotPromised
	case p.lost:
		return BallotLost
	}
	return BallotOpen
}

// Value returns the value that the ballot is about: the proposer's own, or the
// one that it carries on.
func (p *Proposer) Value() []byte { return p.value }

// Certificate returns the ballot and who has granted what it asked last,
// ascending.
func (p *Proposer) Certificate() Certificate {
	c := Certificate{Ballot: p.ballot, Accepted: slices.Clone(p.granted)}
	slices.Sort(c.Accepted)
	return c
}

// Majority returns how many of n members a decision takes.
func Majority(n int) int { return n/2 + 1 }

// Certificate says how a transition was chosen.
type Certificate struct {
	Ballot Ballot
	// Accepted are those that are known to have accepted it, ascending.
	Accepted []kv.NodeID
	// Forced says that a human has decided, in place of a majority; Accepted
	// are then those that could be asked.
	Forced bool
}
