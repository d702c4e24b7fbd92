package membership

import (
	"context"
	"fmt"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// serveState answers a TypeState request.
func (s *Service) serveState(ctx context.Context, j job) {
	m, err := parseMessage(j.payload)
	if err == nil {
		m, err = s.respond(ctx, j, m)
	}
	if err != nil {
		j.reply.Fail(err)
		return
	}
	j.reply.Send(m)
}

// respond merges what a request carries and returns what its sender lacks.
func (s *Service) respond(ctx context.Context, j job, m *message) (*message, error) {
	if s.State().cluster == 0 {
		return nil, kv.Errorf(kv.KindRefused, "exchange state", "node %s belongs to no cluster yet", s.cfg.Name)
	}
	if m.verb == verbAnnounce {
		if err := s.welcome(j.from, m); err != nil {
			return nil, err
		}
	}
	if _, err := s.absorb(ctx, j.from, m); err != nil {
		return nil, err
	}
	now := s.deps.Now()
	// How long the request waited here is told as a length of time, so that a
	// clock that is set meanwhile does not distort it.
	answer := s.message(m.verb, m)
	answer.received, answer.sent = now.UnixNano()-int64(now.Sub(j.arrived)), now.UnixNano()
	return answer, nil
}

// welcome checks a joiner's announcement: of itself, under a name that is free or
// that of a node that is down. One that comes up at the address of another
// cannot be beside it, whatever gossip believes.
func (s *Service) welcome(from kv.NodeID, m *message) error {
	const op = "join cluster"
	other, err := parseSections(m.cluster, m.sections)
	if err != nil {
		return err
	}
	if len(other.members) != 1 || other.members[0].ID != from || other.ring != nil || len(other.buckets) > 0 || other.secret != nil || len(other.staged) > 0 || other.transition != nil || other.least > 0 {
		return kv.Errorf(kv.KindInvalid, op, "node %v announces more than itself", from)
	}
	st := s.State()
	if m, known := st.Member(from); known && m.Status == StatusRemoved {
		return kv.Errorf(kv.KindRefused, op, "node %v was removed from the cluster; use an empty data directory", from)
	}
	if len(st.members) >= kv.MaxMembers {
		return kv.Errorf(kv.KindTooLarge, op, "the cluster has %d members, the limit is %d", len(st.members), kv.MaxMembers)
	}
	name, at := other.members[0].Name, other.members[0].Addrs.Peer
	if owner, taken := nameOwner(st, from, name); taken && s.up(owner.ID) && owner.Addrs.Peer != at {
		return kv.Errorf(kv.KindRefused, op, "name %q is taken by node %v (%s): use replace", name, owner.ID, describeLiveness(s.live.of(owner.ID), owner.ID == s.ID()))
	}
	return nil
}

func describeLiveness(l Liveness, self bool) string {
	switch {
	case self || l.Up:
		return "up"
	case l.Since.IsZero():
		return "down, not seen yet"
	}
	return fmt.Sprintf("down since %s", l.Since.UTC().Format(time.RFC3339))
}
