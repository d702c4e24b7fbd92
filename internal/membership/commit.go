package membership

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// releaseWait bounds how long a commit that was given up waits for the others
// to hear of it; their words lapse by themselves.
const releaseWait = time.Second

// Commit makes the planned ring the cluster's, and returns the plan that it
// carried out. For now that is allowed only while no node holds data: every
// member and every staged node is asked for its word that it holds none and
// takes no write meanwhile. One refusal, or one node that cannot be reached,
// and nothing has changed: the error names the node and the reason.
//
// Of several commits at once at most one succeeds, because a node gives its
// word for one proposal at a time; the others get KindRefused.
func (s *Service) Commit(ctx context.Context) (*Plan, error) {
	plan, err := s.Plan()
	if err != nil {
		return nil, err
	}
	p := proposal{epoch: plan.Epoch, ring: hashOf(plan.Next.AppendTo(nil)), proposer: s.ID(), token: nonZero(s.deps.Random)}
	began := s.deps.Now()
	if err := s.vouch(ctx, p); err != nil {
		return nil, err
	}
	voters := plan.voters(s.ID())
	before, after, err := s.carry(ctx, plan, p, voters, began)
	if err != nil {
		s.giveUp(p, voters)
		return nil, err
	}
	s.spread(ctx, before, after)
	return plan, nil
}

// carry collects the voters' words and adopts the ring.
func (s *Service) carry(ctx context.Context, plan *Plan, p proposal, voters []kv.NodeID, began time.Time) (before, after *State, err error) {
	const op = "commit ring"
	if err := s.collect(ctx, voters, p); err != nil {
		return nil, nil, err
	}
	return s.update(ctx, func(st *State) (*State, error) {
		if st.Epoch()+1 != p.epoch {
			return nil, kv.Errorf(kv.KindStaleRing, op, "the ring has changed to epoch %d meanwhile", st.Epoch())
		}
		// The voters' words last from when they gave them, which is after
		// began; by then this has long been decided.
		if took := s.deps.Now().Sub(began); took > s.cfg.FreezeFor/2 {
			return nil, kv.Errorf(kv.KindTimeout, op, "the nodes' words took %v to collect; try again", took)
		}
		return plan.carriedOut(st, s.ID()), nil
	})
}

// Voters that cannot be reached are asked again every voterPause for voterWait:
// one that has only just joined may not be connected yet.
const (
	voterPause = 50 * time.Millisecond
	voterWait  = time.Second
)

// collect asks every voter for its word. The error is the first refusal.
func (s *Service) collect(ctx context.Context, voters []kv.NodeID, p proposal) error {
	patient, cancel := context.WithTimeout(ctx, voterWait)
	defer cancel()
	for {
		var away []kv.NodeID
		var refused error
		for i, o := range s.callAll(ctx, voters, wire.TypeCommit, ballot{proposal: p}, s.cfg.CallTimeout) {
			switch {
			case o.err == nil:
			case kv.KindOf(o.err) == kv.KindUnavailable:
				away = append(away, voters[i])
				refused = cmp.Or(refused, s.refusal(voters[i], o.err))
			default:
				return s.refusal(voters[i], o.err)
			}
		}
		if len(away) == 0 {
			return nil
		}
		if !pause(patient, voterPause) {
			return refused
		}
		voters = away
	}
}

// refusal returns the error of one voter, naming it.
func (s *Service) refusal(voter kv.NodeID, err error) error {
	kind, text := kv.KindOf(err), err
	if kind == kv.KindUnavailable || kind == kv.KindTimeout || kind == kv.KindClosed {
		kind, text = kv.KindUnavailable, fmt.Errorf("node %s cannot be reached: %w", s.nameOf(voter), err)
	}
	return &kv.Error{Op: "commit ring", Kind: kind, Node: voter, Err: text}
}

// giveUp lets everybody write again.
func (s *Service) giveUp(p proposal, voters []kv.NodeID) {
	s.voter.release(p)
	ctx := context.Background()
	s.callAll(ctx, voters, wire.TypeCommit, ballot{proposal: p, over: true}, releaseWait)
}

// vouch gives this node's own word.
func (s *Service) vouch(ctx context.Context, p proposal) error {
	return s.voter.vouch(ctx, s.deps.Now(), func() uint64 { return s.State().Epoch() }, p)
}

// serveCommit answers a TypeCommit request.
func (s *Service) serveCommit(ctx context.Context, j job) {
	m, err := parseBallot(j.payload)
	switch {
	case err != nil:
	case m.proposer != j.from:
		err = kv.Errorf(kv.KindInvalid, "vouch for ring", "node %v proposes as node %v", j.from, m.proposer)
	case m.over:
		s.voter.release(m.proposal)
	default:
		err = s.vouch(ctx, m.proposal)
	}
	if err != nil {
		j.reply.Fail(err)
		return
	}
	j.reply.Send(wire.Raw(nil))
}
