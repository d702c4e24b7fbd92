package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// CommitOptions say what a human takes upon himself.
type CommitOptions struct {
	// Force begins the change without a majority, when one is gone for good.
	// Two commits of that kind, on two sides of a cut, break the cluster.
	Force bool
	// AcceptLoss names nodes that are gone for good with all that they had. With
	// a transition under way they are an amendment of it; else they must be
	// staged to be removed or replaced.
	AcceptLoss []string
}

// Plan returns what Commit would do. It is an error of KindRefused when nothing
// is staged, or when the node has no ring yet.
func (s *Service) Plan() (*Plan, error) {
	st := s.State()
	p, err := st.Plan()
	if err != nil {
		return nil, err
	}
	if t := st.transition; t != nil {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the change to epoch %d is under way: the next can be committed when it is over", t.Epoch))
	}
	if err := st.checkVersions(st.Orders(), p.Next); err != nil {
		p.Warnings = append(p.Warnings, errors.Unwrap(err).Error())
	}
	for _, c := range p.Changes {
		switch {
		case c.Action == Remove && s.up(c.ID):
			p.Warnings = append(p.Warnings, "node "+c.Node+" is up, and is to be removed")
		case c.Action == Remove && s.live.of(c.ID).Up:
			p.Warnings = append(p.Warnings, "node "+c.Node+" does not answer this node, but gossip has not noticed yet: make sure that it is stopped")
		case c.Action == Join && !s.up(c.ID):
			p.Warnings = append(p.Warnings, "node "+c.Node+" is down, and is to join")
		case c.ByID != 0 && !s.up(c.ByID):
			p.Warnings = append(p.Warnings, "node "+c.By+" is down, and is to replace "+c.Node)
		}
	}
	return p, nil
}

// PlanLoss returns what accepting the loss of nodes in the transition under way
// would mean: which promises lapse.
func (s *Service) PlanLoss(names []string) (*Plan, error) {
	_, p, err := s.amendment(names)
	return p, err
}

// Commit puts what is staged to the vote of the ring's members, and returns the
// plan that they have chosen. The transition has then begun, and goes on by
// itself. With AcceptLoss and a transition under way it amends that one, and
// leaves alone what is staged.
//
// Errors: KindRefused when nothing is staged, when a transition is under way,
// when a node's release is too old for it, and when another change was chosen;
// what it does not do stays staged.
// KindUnavailable when too few members answer: nothing has happened. KindTimeout
// with Applied unknown when they stopped answering in the middle: the next
// commit carries on what they have begun to choose.
func (s *Service) Commit(ctx context.Context, o CommitOptions) (*Plan, error) {
	select {
	case s.committing <- struct{}{}:
		defer func() { <-s.committing }()
	case <-ctx.Done():
		return nil, kv.Wrap(kv.KindTimeout, "commit ring", context.Cause(ctx))
	}
	t, plan, err := s.propose(o)
	if err != nil {
		return nil, err
	}
	before := s.State()
	chosen, err := s.elect(ctx, t, o.Force)
	if err != nil {
		return nil, err
	}
	return s.outcome(before, t, chosen, plan)
}

// propose returns the transition to be put to the vote, and its plan.
func (s *Service) propose(o CommitOptions) (*Transition, *Plan, error) {
	const op = "commit ring"
	if err := s.mayChange(op); err != nil {
		return nil, nil, err
	}
	st := s.State()
	if st.transition != nil && len(o.AcceptLoss) > 0 {
		return s.amendment(o.AcceptLoss)
	}
	if st.transition != nil {
		return nil, nil, kv.Errorf(kv.KindRefused, op, "the change to epoch %d is under way: commit again when it is over", st.transition.Epoch)
	}
	plan, err := s.Plan()
	if err != nil {
		return nil, nil, err
	}
	if err := st.checkVersions(st.Orders(), plan.Next); err != nil {
		return nil, nil, err
	}
	t := &Transition{Slot: st.Open(), To: plan.Next, Changes: st.Orders(), Proposer: s.ID()}
	if t.Lost, err = s.lost(st, o.AcceptLoss); err != nil {
		return nil, nil, err
	}
	for _, id := range t.Lost {
		if plan.Next.Contains(id) {
			return nil, nil, kv.Errorf(kv.KindRefused, op, "node %s stays in the ring: stage its removal first", s.nameOf(id))
		}
	}
	return t, plan, plan.addLosses(st.ring, t)
}

// amendment returns the transition under way with more nodes lost.
func (s *Service) amendment(names []string) (*Transition, *Plan, error) {
	const op = "accept loss"
	st := s.State()
	was := st.transition
	if was == nil || st.ring == nil || was.Epoch != st.ring.Epoch()+1 {
		return nil, nil, kv.Errorf(kv.KindRefused, op, "no change of the ring is under way")
	}
	lost, err := s.lost(st, names)
	if err != nil {
		return nil, nil, err
	}
	lost = append(lost, was.Lost...)
	slices.Sort(lost)
	t := &Transition{Slot: st.Open(), To: was.To, Changes: was.Changes, Lost: slices.Compact(lost), Proposer: s.ID()}
	if len(t.Lost) == len(was.Lost) {
		return nil, nil, kv.Errorf(kv.KindRefused, op, "the loss of these nodes is accepted already")
	}
	plan := st.planFor(nil, st.ring, t.To)
	plan.Changes = st.plannedChanges(t.Changes)
	return t, plan, plan.addLosses(st.ring, t)
}

// lost returns the ids of nodes that may be taken for lost, ascending.
func (s *Service) lost(st *State, names []string) ([]kv.NodeID, error) {
	const op = "accept loss"
	var out []kv.NodeID
	for _, name := range names {
		m, err := st.named(name, true)
		switch {
		case err != nil:
			return nil, err
		case !st.ring.Contains(m.ID) && !st.Latest().Contains(m.ID):
			return nil, kv.Errorf(kv.KindRefused, op, "node %s is not in the ring", m.Name)
		case s.up(m.ID):
			return nil, kv.Errorf(kv.KindRefused, op, "node %s is up%s", m.Name, s.heard(m.ID))
		}
		out = append(out, m.ID)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// addLosses lists the partitions whose promises lapse because of lost nodes.
func (p *Plan) addLosses(from *ring.Ring, t *Transition) error {
	way, err := ring.NewTransition(from, t.To, t.Lost)
	if err != nil || len(t.Lost) == 0 {
		return err
	}
	if p.Lapsed = way.Lapsed(); len(p.Lapsed) > 0 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("%d partitions have lost so many owners that acknowledged writes may be gone", len(p.Lapsed)))
	}
	return nil
}

// outcome compares what was decided with what was proposed: t and its plan.
// chosen is the decision, or nil if that is over already.
func (s *Service) outcome(before *State, t, chosen *Transition, plan *Plan) (*Plan, error) {
	const op = "commit ring"
	after := s.State()
	if chosen != nil && chosen.Epoch == t.Epoch && t.Amendment > 0 {
		for _, id := range t.Lost {
			if !slices.Contains(chosen.Lost, id) {
				return nil, kv.Errorf(kv.KindRefused, op, "another amendment was chosen: commit again")
			}
		}
		return plan, nil
	}
	left := slices.DeleteFunc(after.Orders(), func(o Order) bool { return !slices.ContainsFunc(t.Changes, o.same) })
	if t.Amendment == 0 && len(left) > 0 {
		what := "another change was chosen"
		if chosen != nil && chosen.Epoch == t.Epoch {
			what += ": " + after.describeAll(chosen.Changes) + ", by node " + after.nameOf(chosen.Proposer)
		}
		return nil, kv.Errorf(kv.KindRefused, op, "%s; still staged for the next commit: %s", what, after.describeAll(left))
	}
	if chosen != nil && chosen.Epoch == t.Epoch && hashOf(chosen.To.AppendTo(nil)) != hashOf(t.To.AppendTo(nil)) {
		return before.planFor(chosen.Changes, before.ring, chosen.To), nil
	}
	return plan, nil
}

func (s *State) describeAll(orders []Order) string {
	var out []string
	for _, o := range orders {
		out = append(out, s.describe(o))
	}
	return strings.Join(out, ", ")
}
