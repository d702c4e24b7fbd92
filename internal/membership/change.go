package membership

import (
	"context"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Stage has the next commit bring a node into the ring. A node that is staged
// or a member already is left alone.
//
// Errors: KindNotFound for a name that no node has announced, KindRefused for
// one that two nodes have.
func (s *Service) Stage(ctx context.Context, name string) error {
	before, after, err := s.update(ctx, func(st *State) (*State, error) {
		m, err := named(st, name)
		if err != nil {
			return nil, err
		}
		if is := st.Status(m.ID); is == StatusStaged || is == StatusMember {
			return st, nil
		}
		return decide(st, m.ID, s.ID(), StatusStaged), nil
	})
	if err != nil {
		return err
	}
	s.spread(ctx, before, after)
	return nil
}

// named returns the one node, not removed, that goes by a name.
func named(st *State, name string) (Member, error) {
	const op = "find node"
	m, ok := nameOwner(st, 0, name)
	if !ok {
		return Member{}, kv.Errorf(kv.KindNotFound, op, "no node named %q has announced itself", name)
	}
	if other, twice := nameOwner(st, m.ID, name); twice {
		return Member{}, kv.Errorf(kv.KindRefused, op, "nodes %v and %v are both named %q", m.ID, other.ID, name)
	}
	return m, nil
}
