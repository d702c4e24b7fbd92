package membership

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// election is a cluster that votes, without clock or network: asks and answers
// are in a bag, from which they are taken in any order, once, twice or never.
type election struct {
	draw func(n int) int
	// spoil leaves a rule out.
	spoil string

	acceptors []Acceptor
	// known is the slot that each acceptor's state has open.
	known     []Slot
	proposers []*Proposer
	voters    []kv.NodeID
	asks      []sentAsk
	answers   []sentAnswer

	// accepted counts the acceptors of each value in each ballot, chosen holds
	// what a majority has accepted, by slot.
	accepted map[string]map[kv.NodeID]bool
	chosen   map[Slot]string
	tries    int
}

type sentAsk struct {
	by int
	to int
	Ask
}

type sentAnswer struct {
	from kv.NodeID
	to   int
	Answer
}

func newElection(draw func(int) int, spoil string) *election {
	e := &election{draw: draw, spoil: spoil, accepted: make(map[string]map[kv.NodeID]bool), chosen: make(map[Slot]string)}
	for i := range 1 + draw(5) {
		e.voters = append(e.voters, kv.NodeID(i+1))
		e.acceptors = append(e.acceptors, Acceptor{})
		e.known = append(e.known, Slot{Epoch: 2})
	}
	e.proposers = make([]*Proposer, 1+draw(3))
	for i := range e.proposers {
		e.propose(i)
	}
	return e
}

// propose starts proposer i anew, with a value of its own, for any slot.
func (e *election) propose(i int) {
	e.tries++
	slot := Slot{Epoch: 2, Amendment: uint32(e.draw(2))}
	e.proposers[i] = NewProposer(kv.NodeID(i+1), uint64(e.tries), slot, e.voters, fmt.Appendf(nil, "try %d", e.tries))
}

func (e *election) send(by int, ask Ask) {
	for to := range e.voters {
		e.asks = append(e.asks, sentAsk{by, to, ask})
	}
}

// step does any one thing.
func (e *election) step() error {
	switch e.draw(12) {
	case 0:
		i := e.draw(len(e.proposers))
		e.send(i, e.proposers[i].Begin())
	case 1:
		if e.draw(2) == 0 {
			e.propose(e.draw(len(e.proposers)))
		}
	case 2:
		e.learn(e.draw(len(e.voters)))
	case 3, 4, 5, 6, 7:
		if len(e.asks) > 0 {
			return e.deliverAsk()
		}
	default:
		if len(e.answers) > 0 {
			return e.deliverAnswer()
		}
	}
	return nil
}

// learn has an acceptor hear of the decision of the slot that it has open.
func (e *election) learn(i int) {
	if _, decided := e.chosen[e.known[i]]; decided {
		e.known[i].Amendment++
	}
}

func pick[T any](e *election, from *[]T) T {
	i := e.draw(len(*from))
	v := (*from)[i]
	if e.draw(4) > 0 { // else it comes again
		(*from)[i] = (*from)[len(*from)-1]
		*from = (*from)[:len(*from)-1]
	}
	return v
}

func (e *election) deliverAsk() error {
	ask := pick(e, &e.asks)
	fate := e.draw(10)
	if fate == 0 {
		return nil // lost
	}
	a := e.acceptors[ask.to]
	if e.spoil == "forget" && e.draw(4) == 0 {
		a = Acceptor{}
	}
	if e.spoil == "promise" && ask.Value != nil {
		a.Promised = Ballot{}
	}
	next, answer := a.Step(e.known[ask.to], ask.Ask)
	if fate == 1 {
		return nil // it stops before anything is durable
	}
	e.acceptors[ask.to] = next
	if answer.Accept && answer.Verdict == Granted {
		if err := e.accept(ask.Slot, ask.Ballot, ask.Value, e.voters[ask.to]); err != nil {
			return err
		}
	}
	if fate == 2 {
		return nil // it stops before it answers
	}
	if e.spoil == "value" {
		answer.Accepted, answer.Value = Ballot{}, nil
	}
	e.answers = append(e.answers, sentAnswer{e.voters[ask.to], ask.by, answer})
	return nil
}

func (e *election) accept(slot Slot, b Ballot, value []byte, by kv.NodeID) error {
	key := fmt.Sprint(slot, b, string(value))
	if e.accepted[key] == nil {
		e.accepted[key] = make(map[kv.NodeID]bool)
	}
	e.accepted[key][by] = true
	if len(e.accepted[key]) < Majority(len(e.voters)) {
		return nil
	}
	if was, ok := e.chosen[slot]; ok && was != string(value) {
		return fmt.Errorf("slot %v: %q was chosen, and then %q", slot, was, value)
	}
	e.chosen[slot] = string(value)
	return nil
}

func (e *election) deliverAnswer() error {
	a := pick(e, &e.answers)
	p := e.proposers[a.to]
	before := p.Outcome()
	switch out := p.Step(a.from, a.Answer); {
	case out == BallotPromised && before != BallotPromised:
		e.send(a.to, p.Accept())
	case out == BallotChosen && !bytes.Equal(p.Value(), []byte(e.chosen[p.slot])):
		return fmt.Errorf("slot %v: a proposer takes %q for chosen, it is %q", p.slot, p.Value(), e.chosen[p.slot])
	case out == BallotChosen && len(p.Certificate().Accepted) < Majority(len(e.voters)):
		return fmt.Errorf("a certificate of %v", p.Certificate())
	}
	return nil
}

// At most one value is chosen for a slot, and it stays chosen, whatever the
// order, the losses, the repetitions and the restarts.
func TestVoteChoosesOne(t *testing.T) {
	decided := 0
	rapid.Check(t, func(t *rapid.T) {
		e := newElection(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }, "")
		for range 200 {
			if err := e.step(); err != nil {
				t.Fatal(err)
			}
		}
		decided += len(e.chosen)
	})
	if decided == 0 {
		t.Error("nothing was ever chosen")
	}
}

// Each rule of the vote, left out, lets two values be chosen.
func TestVoteRulesMatter(t *testing.T) {
	for _, spoil := range []string{"forget", "promise", "value", ""} {
		failed := 0
		for seed := range uint64(2000) {
			e := newElection(rand.New(rand.NewPCG(seed, 1)).IntN, spoil)
			for range 300 {
				if e.step() != nil {
					failed++
					break
				}
			}
		}
		if failed == 0 != (spoil == "") {
			t.Errorf("without %q: %d of 2000 runs failed", spoil, failed)
		}
	}
}

// A proposer alone, in a network that works, is through with one ballot.
func TestVoteAlone(t *testing.T) {
	voters := []kv.NodeID{1, 2, 3, 4, 5}
	acceptors := make(map[kv.NodeID]Acceptor)
	slot := Slot{Epoch: 7}
	p := NewProposer(9, 5, slot, voters, []byte("v"))
	ask := func(ask Ask, want Outcome) {
		t.Helper()
		for i, id := range voters[2:] {
			next, a := acceptors[id].Step(slot, ask)
			acceptors[id] = next
			if out := p.Step(id, a); (out == want) != (i == 2) {
				t.Errorf("after %d answers: %v", i+1, out)
			}
			if out := p.Step(id, a); (out == want) != (i == 2) {
				t.Errorf("after %d answers, one of them twice: %v", i+1, out)
			}
		}
	}
	ask(p.Begin(), BallotPromised)
	ask(p.Accept(), BallotChosen)
	if c := p.Certificate(); c.Forced || c.Ballot != (Ballot{1, 9, 5}) || fmt.Sprint(c.Accepted) != fmt.Sprint(voters[2:]) || string(p.Value()) != "v" {
		t.Errorf("got %+v, value %q", c, p.Value())
	}
	// Another carries it on, in a later ballot.
	q := NewProposer(1, 6, slot, voters, []byte("other"))
	p = q
	_, a := acceptors[3].Step(slot, q.Begin())
	if a.Verdict != Overtaken || q.Step(3, a) != BallotLost {
		t.Fatalf("a ballot of the same round by a lower node: %+v", a)
	}
	ask(q.Begin(), BallotPromised)
	if got := q.Accept(); string(got.Value) != "v" || got.Ballot != (Ballot{2, 1, 6}) {
		t.Errorf("it asks for %q in %v", got.Value, got.Ballot)
	}
}

// Promises to a proposer do not count for the next one of the same node: the
// first may have had its value accepted by virtue of them.
func TestVoteAfterRestart(t *testing.T) {
	voters, slot := []kv.NodeID{1, 2, 3}, Slot{Epoch: 2}
	p, q := NewProposer(1, 5, slot, voters, []byte("v")), NewProposer(1, 6, slot, voters, []byte("w"))
	ask := p.Begin()
	q.Begin()
	for _, id := range voters {
		_, a := Acceptor{}.Step(slot, ask)
		p.Step(id, a)
		if out := q.Step(id, a); out != BallotOpen {
			t.Errorf("got %v", out)
		}
	}
	if p.Outcome() != BallotPromised {
		t.Errorf("the first has %v", p.Outcome())
	}
}

func TestAcceptorKnowsItsSlot(t *testing.T) {
	open := Slot{Epoch: 5, Amendment: 1}
	a := Acceptor{Slot: Slot{Epoch: 5}, Promised: Ballot{9, 9, 9}, Accepted: Ballot{9, 9, 9}, Value: []byte("old")}
	for _, c := range []struct {
		slot Slot
		want Verdict
	}{
		{Slot{4, 0}, Decided}, {Slot{5, 0}, Decided}, {Slot{5, 1}, Granted}, {Slot{5, 2}, Behind}, {Slot{6, 0}, Behind},
	} {
		next, answer := a.Step(open, Ask{Slot: c.slot, Ballot: Ballot{1, 1, 1}})
		if answer.Verdict != c.want || answer.Value != nil || answer.Slot != c.slot {
			t.Errorf("%v: got %+v", c.slot, answer)
		}
		if want := c.want == Granted; (next.Slot == open) != want || (next.Value == nil) != want {
			t.Errorf("%v: it keeps %+v", c.slot, next)
		}
	}
	// Its state has gone back: nothing that it once said is unsaid.
	if next, answer := a.Step(Slot{Epoch: 4}, Ask{Slot: Slot{Epoch: 4}, Ballot: Ballot{1, 1, 1}}); answer.Verdict == Granted || next.Slot != a.Slot {
		t.Errorf("an older slot: %+v", answer)
	}
}
