package membership

import (
	"context"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// Stage returns s with a change staged for the next commit, by a node. up says
// of a node whether it is alive, as far as that one knows.
//
// Of two things staged for one node the later counts. Errors: KindNotFound for
// a name that no node has announced, KindRefused for one that several have and
// for what cannot be done, KindInvalid for a weight out of range.
func (s *State) Stage(by kv.NodeID, c Change, up func(kv.NodeID) bool) (*State, error) {
	const op = "stage change"
	if s.ring == nil {
		return nil, kv.Errorf(kv.KindRefused, op, "this node belongs to no cluster yet")
	}
	if c.Action == Join {
		return s.stageJoin(by, c.Node)
	}
	m, err := s.named(c.Node, true)
	if err != nil {
		return nil, err
	}
	if !s.Latest().Contains(m.ID) && c.Action != Remove {
		return nil, kv.Errorf(kv.KindRefused, op, "node %s is not in the ring", m.Name)
	}
	order, err := s.order(m, c, !up(m.ID))
	if err != nil {
		return nil, err
	}
	order.Version, order.Author = s.staged[m.ID].Version+1, by
	next := s.withStaged(m.ID, order)
	if len(next.planned(next.Orders())) == 0 {
		return nil, kv.Errorf(kv.KindRefused, op, "without node %s nobody is left in the ring", m.Name)
	}
	return next, nil
}

// order returns what is to be staged for m, which is down if gone.
func (s *State) order(m Member, c Change, gone bool) (order Staged, err error) {
	const op = "stage change"
	order.Action = c.Action
	switch c.Action {
	case Leave:
	case Remove:
		order.Gone = true
		err = s.checkRemove(m, gone)
	case Replace:
		order.By, err = s.replacement(m, c.By)
		// Gossip may not have noticed yet that a node has given way to its namesake.
		by, _ := s.Member(order.By)
		order.Gone = gone || by.Name == m.Name
	case Weight:
		order.Weight = c.Weight
		if c.Weight < 1 || c.Weight > ring.MaxWeight {
			err = kv.Errorf(kv.KindInvalid, op, "weight %d is not within 1 to %d", c.Weight, ring.MaxWeight)
		}
	default:
		err = kv.Errorf(kv.KindInvalid, op, "action %v is unknown", c.Action)
	}
	return order, err
}

func (s *State) stageJoin(by kv.NodeID, name string) (*State, error) {
	m, err := s.named(name, false)
	if err != nil {
		return nil, err
	}
	if s.Latest().Contains(m.ID) || m.Status == StatusStaged && !s.waits(m) {
		return s, nil
	}
	if s.waits(m) {
		return nil, kv.Errorf(kv.KindRefused, "stage change", "another node is named %s: replace that one", m.Name)
	}
	return decide(s, m.ID, by, StatusStaged), nil
}

// checkRemove refuses to remove a node that can leave, or that is to replace
// another.
func (s *State) checkRemove(m Member, gone bool) error {
	const op = "stage change"
	if !gone {
		return kv.Errorf(kv.KindRefused, op, "node %s is up: have it leave, or stop it first", m.Name)
	}
	if s.replaces(m.ID, 0) {
		return kv.Errorf(kv.KindRefused, op, "node %s is staged to replace another: clear first", m.Name)
	}
	return nil
}

// replacement returns the node that is to replace old.
func (s *State) replacement(old Member, name string) (kv.NodeID, error) {
	const op = "stage change"
	if name == "" {
		name = old.Name
	}
	m, err := s.named(name, false)
	switch {
	case err != nil:
		return 0, err
	case m.ID == old.ID:
		return 0, kv.Errorf(kv.KindNotFound, op, "no other node named %q has announced itself", name)
	case s.Latest().Contains(m.ID):
		return 0, kv.Errorf(kv.KindRefused, op, "node %s is in the ring already", m.Name)
	case s.replaces(m.ID, old.ID):
		return 0, kv.Errorf(kv.KindRefused, op, "node %s is staged to replace another", m.Name)
	}
	return m.ID, nil
}

// replaces says whether a node is staged to replace another one than old.
func (s *State) replaces(id, old kv.NodeID) bool {
	return slices.ContainsFunc(s.Orders(), func(o Order) bool { return o.By == id && o.Node != old })
}

// Clear returns s with nothing staged.
func (s *State) Clear(by kv.NodeID) *State {
	// Without a replacement the join of the new node shows.
	for orders := s.Orders(); len(orders) > 0; orders = s.Orders() {
		for _, o := range orders {
			if o.Action == Join {
				s = decide(s, o.Node, by, StatusNone)
			} else {
				s = s.withStaged(o.Node, Staged{Version: o.Version + 1, Author: by})
			}
		}
	}
	return s
}

// Orders returns what the next commit would do, ascending by node: what is
// staged, but for what the transition under way does and what is moot.
func (s *State) Orders() []Order {
	if s.ring == nil {
		return nil
	}
	var out []Order
	replacing := make(map[kv.NodeID]bool)
	for _, o := range s.registers() {
		if s.pending(o) {
			out = append(out, o)
			replacing[o.By] = true
		}
	}
	for _, m := range s.members {
		if m.Status == StatusStaged && !s.Latest().Contains(m.ID) && !replacing[m.ID] && !s.waits(m) {
			join := Order{Node: m.ID, Staged: Staged{Action: Join, Version: m.Decision.Version, Author: m.Decision.Author}}
			i, both := slices.BinarySearchFunc(out, m.ID, func(o Order, id kv.NodeID) int { return cmpID(o.Node, id) })
			if !both {
				out = slices.Insert(out, i, join)
			}
		}
	}
	return out
}

// pending says whether a staged order is yet to be done, and can be.
func (s *State) pending(o Order) bool {
	m, known := s.Member(o.Node)
	if o.Action == NoAction || !known || m.Status == StatusRemoved {
		return false
	}
	if t := s.transition; t != nil {
		if done := t.order(o.Node); done.Node != 0 && o.compare(done.Staged) <= 0 {
			return false
		}
	}
	if o.Action == Remove {
		return true
	}
	by, known := s.Member(o.By)
	replaceable := o.Action != Replace || known && by.Status != StatusRemoved && !s.Latest().Contains(o.By)
	return replaceable && s.Latest().Contains(o.Node)
}

// leaves says whether the order lets a live node go.
func (o Order) leaves() bool { return o.Action == Leave || o.Action == Replace && !o.Gone }

// waits says whether a node outside the ring bears the name of one that is in
// it, or has not let go of its data yet.
func (s *State) waits(m Member) bool {
	if s.ring == nil {
		return false
	}
	return slices.ContainsFunc(s.members, func(o Member) bool {
		holds := s.ring.Contains(o.ID) || s.Latest().Contains(o.ID) || o.Status == StatusLeaving
		return o.ID != m.ID && o.Name == m.Name && o.Status != StatusRemoved && holds
	})
}

// named returns the node, not removed, that goes by a name or an id. Of several
// with the name it is the one that is, or is not, in the ring.
func (s *State) named(name string, inRing bool) (Member, error) {
	const op = "find node"
	var fit, other []Member
	id, _ := kv.ParseNodeID(name)
	for _, m := range s.members {
		switch {
		case m.Status == StatusRemoved || m.Name != name && m.ID != id:
		case s.Latest().Contains(m.ID) == inRing:
			fit = append(fit, m)
		default:
			other = append(other, m)
		}
	}
	if len(fit) == 0 {
		fit = other
	}
	switch len(fit) {
	case 0:
		return Member{}, kv.Errorf(kv.KindNotFound, op, "no node named %q has announced itself", name)
	case 1:
		return fit[0], nil
	}
	return Member{}, kv.Errorf(kv.KindRefused, op, "nodes %v and %v are both named %q: give the id", fit[0].ID, fit[1].ID, name)
}

// Stage stages a change for the next commit, and tells the other nodes. A node
// that is to be joined and is staged or a member already is left alone; so is a
// node with its name. See State.Stage for the errors.
func (s *Service) Stage(ctx context.Context, c Change) error {
	if err := s.mayChange("stage change"); err != nil {
		return err
	}
	return s.change(ctx, func(st *State) (*State, error) {
		next, err := st.Stage(s.ID(), c, s.up)
		if m, unknown := st.named(c.Node, true); err != nil && unknown == nil && c.Action == Remove && s.cutOff(m.ID) {
			err = kv.Errorf(kv.KindRefused, "stage change", "node %s is up%s", m.Name, s.heard(m.ID))
		}
		return next, err
	})
}

// Clear takes back all that is staged.
func (s *Service) Clear(ctx context.Context) error {
	if err := s.mayChange("clear what is staged"); err != nil {
		return err
	}
	return s.change(ctx, func(st *State) (*State, error) { return st.Clear(s.ID()), nil })
}

// change updates the state and spreads it.
func (s *Service) change(ctx context.Context, fn func(*State) (*State, error)) error {
	before, after, err := s.update(ctx, fn)
	if err != nil {
		return err
	}
	s.spread(ctx, before, after)
	return nil
}
