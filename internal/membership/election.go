package membership

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// voteWait is how long a vote waits for members that cannot be reached: one
	// that has only just joined may not be connected yet. They are asked again
	// every votePause.
	voteWait  = time.Second
	votePause = 50 * time.Millisecond
	// maxBallots bounds the ballots of one commit. Between two of them it waits
	// at random, up to ballotPause the first time and twice as long each time,
	// so that of several proposers one gets through.
	maxBallots  = 8
	ballotPause = 20 * time.Millisecond
)

// elect has the members decide t's slot, for t or for another transition; the
// state then has the decision. It returns what was decided, unless that was told
// by another node. With force this node alone decides when no majority answers.
func (s *Service) elect(ctx context.Context, t *Transition, force bool) (*Transition, error) {
	const op = "commit ring"
	var voters []kv.NodeID
	st := s.State()
	for _, n := range st.ring.Nodes() {
		voters = append(voters, n.ID)
	}
	p := NewProposer(s.ID(), s.deps.Random(), t.Slot, voters, t.Value())
	rng := rand.New(rand.NewPCG(s.deps.Random(), s.deps.Random()))
	for n := range maxBallots {
		out, err := s.ballot(ctx, p)
		switch {
		case s.State().Open() != t.Slot:
			return s.State().transition, nil // somebody has told this node
		case force && err != nil && ctx.Err() == nil:
			s.log.Warn("a change of the ring begins without a majority, by a human's word", "epoch", t.Epoch, "error", err)
			return s.adopt(ctx, p, true)
		case err != nil:
			return nil, err
		case out == BallotChosen:
			return s.adopt(ctx, p, false)
		}
		if !pause(ctx, time.Duration(rng.Int64N(int64(ballotPause)<<n))) {
			return nil, kv.Wrap(kv.KindTimeout, op, context.Cause(ctx))
		}
	}
	return nil, kv.Errorf(kv.KindRefused, op, "other nodes are committing: try again")
}

// adopt takes in what a proposer has had chosen, and tells everybody.
func (s *Service) adopt(ctx context.Context, p *Proposer, forced bool) (*Transition, error) {
	t, err := ParseValue(p.Value())
	if err != nil {
		return nil, err
	}
	t.Certificate = p.Certificate()
	t.Forced = forced
	// It is chosen, whether or not the caller still waits.
	return t, s.change(context.WithoutCancel(ctx), func(st *State) (*State, error) { return st.Adopt(t), nil })
}

// ballot holds one ballot: it is chosen, lost, or an error.
func (s *Service) ballot(ctx context.Context, p *Proposer) (Outcome, error) {
	out, err := s.canvass(ctx, p, p.Begin())
	if out != BallotPromised {
		return out, err
	}
	out, err = s.canvass(ctx, p, p.Accept())
	if kv.KindOf(err) == kv.KindUnavailable && err != nil {
		return out, &kv.Error{Op: "commit ring", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown, Err: fmt.Errorf("the members stopped answering: whether the change was chosen shows at the next commit: %w", err)}
	}
	return out, err
}

// canvass is the asking of all voters, in one phase of a ballot.
type canvass struct {
	s   *Service
	p   *Proposer
	ask Ask
	// answered are those that have answered, troubles what the others met.
	answered int
	troubles []string
}

// canvass asks every voter, until the ballot has an outcome or none is to be
// hoped for. It is an error of KindUnavailable when too few answer.
func (s *Service) canvass(ctx context.Context, p *Proposer, ask Ask) (Outcome, error) {
	patient, cancel := context.WithTimeout(ctx, voteWait)
	defer cancel()
	c := canvass{s: s, p: p, ask: ask}
	for waiting := p.voters; ; {
		out, again := c.round(ctx, waiting)
		if out != BallotOpen {
			return out, nil
		}
		if len(again) == 0 || !pause(patient, votePause) {
			break
		}
		waiting = again
	}
	if ctx.Err() != nil {
		return BallotOpen, kv.Wrap(kv.KindTimeout, "commit ring", context.Cause(ctx))
	}
	return BallotOpen, kv.Errorf(kv.KindUnavailable, "commit ring", "%d of %d members answer, a change of membership takes %d (%s)",
		c.answered, len(p.voters), Majority(len(p.voters)), strings.Join(c.troubles, "; "))
}

// round asks voters once, and returns those that are worth asking again.
func (c *canvass) round(ctx context.Context, voters []kv.NodeID) (out Outcome, again []kv.NodeID) {
	ctx, cancel := context.WithTimeout(ctx, c.s.cfg.CallTimeout)
	defer cancel()
	done := c.s.askAll(ctx, voters, c.ask)
	c.troubles = nil
	for range voters {
		select {
		case o := <-done:
			if c.take(ctx, voters[o.tag], o) {
				again = append(again, voters[o.tag])
			}
		case <-ctx.Done():
			return c.p.Outcome(), nil
		}
		if c.s.State().Open() != c.ask.Slot {
			return BallotLost, nil // it is decided
		}
		if out := c.p.Outcome(); out != BallotOpen {
			return out, nil
		}
	}
	return BallotOpen, again
}

// take takes what came of asking a voter, and says whether to ask it again.
func (c *canvass) take(ctx context.Context, from kv.NodeID, o outcome) (again bool) {
	var a Answer
	err := o.err
	if err == nil {
		a, err = parseVerdict(o.payload)
	}
	if err != nil {
		c.troubles = append(c.troubles, c.s.nameOf(from)+": "+err.Error())
		return retryable(err)
	}
	if a.Verdict == Behind || a.Verdict == Decided {
		// One of the two lacks what the other's state says.
		if err := c.s.exchange(ctx, from, ""); err == nil && a.Verdict == Behind {
			return true
		}
	}
	c.answered++
	c.p.Step(from, a)
	return false
}

// retryable says whether a voter may answer in a moment.
func retryable(err error) bool {
	switch kv.KindOf(err) {
	case kv.KindUnavailable, kv.KindClosed, kv.KindOverloaded:
		return true
	}
	return false
}

// askAll asks voters, this node among them, and returns where the outcomes
// arrive.
func (s *Service) askAll(ctx context.Context, voters []kv.NodeID, ask Ask) outcomes {
	done := make(outcomes, len(voters))
	for i, id := range voters {
		if id != s.ID() {
			s.deps.Peers.Call(id, s.describe(ctx, wire.TypeVote), ask, done, uint32(i))
		}
	}
	if i := slices.Index(voters, s.ID()); i >= 0 {
		answer, err := s.cast(ctx, ask)
		done <- outcome{tag: uint32(i), payload: answer.append(nil), err: err}
	}
	return done
}
