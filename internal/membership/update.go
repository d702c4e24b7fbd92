package membership

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// update replaces the state by what fn makes of it. The new state is durable
// before anybody sees it; then the hooks are told, and gossip. It returns the
// state from before and the present one, which are the same when fn changes
// nothing.
//
// A state that says that another copy of this node lives is not taken: the node
// stops.
func (s *Service) update(ctx context.Context, fn func(*State) (*State, error)) (before, after *State, err error) {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, nil, kv.Wrap(kv.KindTimeout, "change cluster state", context.Cause(ctx))
	}
	before = s.State()
	after, err = fn(before)
	if err != nil || after == before || after.hashes == before.hashes {
		return before, before, err
	}
	if err := checkSelf(after, s.dir.identity()); err != nil {
		s.fail(err)
		return before, before, err
	}
	if err := s.dir.saveState(after); err != nil {
		return before, before, err
	}
	s.publish(before, after)
	return before, after, nil
}

// publish makes a durable state the current one. Only update calls it, and
// start, which is alone.
func (s *Service) publish(before, after *State) {
	s.state.Store(after)
	steered := s.steer(after)
	if f := s.deps.Hooks.Changed; f != nil {
		f(after)
	}
	if after.Epoch() > before.Epoch() {
		s.log.Info("the ring has changed", "epoch", after.Epoch(), "nodes", len(after.Ring().Nodes()))
	}
	if t := after.transition; t != nil && (before.transition == nil || before.transition.Slot != t.Slot) {
		s.log.Info("a change of the ring begins", "epoch", t.Epoch, "amendment", t.Amendment, "changes", after.describeAll(t.Changes), "forced", t.Forced)
	}
	if steered {
		s.moved()
	}
	if m, _ := after.Member(s.ID()); m.Status == StatusRemoved && !s.leaving.Load() {
		s.fail(removedError(after.cluster))
	}
	s.fail(s.outgrown(after))
	if g := s.gossip.Load(); g != nil {
		g.tell(s.digest())
	}
}

// merge takes in a state from elsewhere, whole or in part.
func (s *Service) merge(ctx context.Context, other *State) (*State, error) {
	_, after, err := s.update(ctx, func(st *State) (*State, error) {
		return Merge(st, other)
	})
	return after, err
}

// digest is what gossip tells of this node.
func (s *Service) digest() digest {
	return digest{node: s.ID(), peer: s.cfg.Addrs.Peer, hashes: s.State().hashes, knows: s.knows()}
}

// profile is what the configuration says of this node.
func (c Config) profile() Profile {
	return Profile{Name: c.Name, Addrs: c.Addrs, Zone: c.Zone, Weight: c.Weight, Speaks: c.Versions.Max}
}

// withSelf returns st with what a node says of itself: says, and its record.
// It is st itself when that is no news.
func withSelf(st *State, r record, says Profile) *State {
	m, _ := st.Member(r.node)
	says.Aliases, says.Boot, says.Counter = r.aliases, r.boot, 0
	if m.Profile.Boot == r.boot {
		says.Counter = m.Profile.Counter
	}
	seen := mergeSeen(m.Seen, Seen{Boot: r.boot, Nonce: r.nonce, Limit: r.reserved})
	same := string(appendProfile(nil, says)) == string(appendProfile(nil, m.Profile))
	if same && seen == m.Seen {
		return st
	}
	if !same {
		says.Counter++
	}
	m.ID, m.Profile, m.Seen = r.node, says, seen
	return st.withMember(m)
}

// decide returns st with an operator's decision about a node, which is a
// member of st.
func decide(st *State, id, author kv.NodeID, status Status) *State {
	m, _ := st.Member(id)
	m.Decision = Decision{Status: status, Version: m.Decision.Version + 1, Author: author}
	return st.withMember(m)
}

// touch has keep tell anew what this node says of itself. It never waits.
func (s *Service) touch() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// sight has keep note what a handshake said, if it is news. It never waits.
func (s *Service) sight(i wire.Identity) {
	if m, ok := s.State().Member(i.Node); !ok || mergeSeen(m.Seen, Seen{Boot: i.Boot, Nonce: i.Nonce, Limit: i.Limit}) == m.Seen {
		return
	}
	select {
	case s.sightings <- i:
	default:
	}
}

// keepRetry is how long keep waits after the disk refused a state.
const keepRetry = time.Second

// keep brings the state up to date with what this node says of itself and with
// what handshakes have told of others.
func (s *Service) keep(ctx context.Context) {
	for {
		var step func(*State) (*State, error)
		select {
		case <-ctx.Done():
			return
		case <-s.dirty:
			step = s.refresh
		case i := <-s.sightings:
			step = func(st *State) (*State, error) { return observe(st, i), nil }
		}
		if _, _, err := s.update(ctx, step); err != nil && ctx.Err() == nil {
			s.log.Error("the cluster state is not stored; trying again", "error", err)
			s.touch()
			if !pause(ctx, keepRetry) {
				return
			}
		}
	}
}

// refresh is an update with what this node says of itself now. A joiner says
// nothing before it has announced itself.
func (s *Service) refresh(st *State) (*State, error) {
	if st.cluster == 0 {
		return st, nil
	}
	return withSelf(st, s.dir.record(), s.cfg.profile()), nil
}

// standIn draws an interim id. It is durable, in this node's files and in its
// own entry of the state, before it is returned.
func (s *Service) standIn() (kv.NodeID, error) {
	ctx := context.Background()
	id := kv.NodeID(nonZero(s.deps.Random))
	if err := s.dir.change(ctx, func(r record) (record, error) { return r.aliased(id) }); err != nil {
		return 0, err
	}
	if _, _, err := s.update(ctx, s.refresh); err != nil {
		return 0, err
	}
	s.log.Warn("minting under an interim id until a peer confirms this node", "interim", id)
	return id, nil
}
