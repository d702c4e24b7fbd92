package membership

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/hashicorp/memberlist"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// join finds the cluster behind the seeds and announces this node to it. It
// tries for ever; what keeps it from joining is logged when it changes. An
// error, other than ctx's end, is the cluster's refusal.
func (s *Service) join(ctx context.Context, port *gossipPort) error {
	rng := rand.New(rand.NewPCG(s.deps.Random(), s.deps.Random()))
	said := ""
	for {
		var troubles, kinds []string
		for _, i := range rng.Perm(len(s.cfg.Seeds)) {
			seed := s.cfg.Seeds[i]
			err := s.joinBy(ctx, port, seed)
			if err == nil || ctx.Err() != nil || isRefusal(err) {
				return err
			}
			troubles = append(troubles, seed+": "+err.Error())
			kinds = append(kinds, seed+" "+kv.KindOf(err).String())
		}
		// The texts name ports that differ each time; the kinds do not.
		slices.Sort(kinds)
		if now := strings.Join(kinds, "\n"); now != said {
			s.log.Warn("no cluster joined yet; trying for ever", "seeds", troubles)
			said = now
		}
		if !pause(ctx, s.cfg.SeedInterval) {
			return ctx.Err()
		}
	}
}

// isRefusal tells a cluster that does not take this node from one that cannot
// be reached, or is not ready.
func isRefusal(err error) bool {
	switch kv.KindOf(err) {
	case kv.KindRefused, kv.KindOldCopy, kv.KindWrongVersion, kv.KindTooLarge, kv.KindStorage, kv.KindDiskFull:
		return true
	}
	return false
}

// joinBy joins by one seed: learns its cluster's id, fetches the state, and
// announces itself.
func (s *Service) joinBy(ctx context.Context, port *gossipPort, seed string) error {
	a, err := s.discover(port, seed)
	if err != nil {
		return err
	}
	switch {
	case a.node == s.ID():
		return kv.Errorf(kv.KindUnavailable, "ask seed", "it is this node itself")
	case a.cluster == 0:
		return kv.Errorf(kv.KindUnavailable, "ask seed", "it belongs to no cluster yet")
	}
	s.joining.Store(uint64(a.cluster))
	theirs, err := s.request(ctx, a.node, a.peer, &message{verb: verbExchange, cluster: a.cluster, knows: s.knows()})
	if err != nil {
		return notReady(err)
	}
	st, err := parseSections(a.cluster, theirs.sections.first(s.knows()))
	if err != nil {
		return err
	}
	if err := checkSelf(st, s.dir.identity()); err != nil {
		return err
	}
	return s.announce(ctx, a, st)
}

// announce tells the seed's cluster of this node, as staged, and enters it.
func (s *Service) announce(ctx context.Context, a seedAnswer, st *State) error {
	r := s.dir.record()
	st = withSelf(st, r, s.cfg.profile())
	if m, _ := st.Member(r.node); m.Decision.Version == 0 {
		st = decide(st, r.node, r.node, StatusStaged)
	}
	self, _ := st.Member(r.node)
	news := newState(st.cluster, []Member{self}, nil, nil)
	m := &message{verb: verbAnnounce, cluster: st.cluster, hashes: st.hashes, knows: s.knows()}
	m.sections[sectionMembers] = news.encoded[sectionMembers]
	if _, err := s.request(ctx, a.node, a.peer, m); err != nil {
		return err
	}
	if err := s.enter(st); err != nil {
		return err
	}
	s.log.Info("joined a cluster", "cluster", st.cluster, "by", a.peer, "status", st.Status(r.node))
	return nil
}

// notReady turns a peer's KindRefused before the announcement into one that is
// worth another try: it may be about to join itself.
func notReady(err error) error {
	if kv.KindOf(err) == kv.KindRefused {
		return kv.Wrap(kv.KindUnavailable, "fetch cluster state", err)
	}
	return err
}

// discover asks the node at a gossip address for its cluster.
func (s *Service) discover(port *gossipPort, addr string) (seedAnswer, error) {
	conn, err := port.DialAddressTimeout(memberlist.Address{Addr: addr}, s.cfg.CallTimeout)
	if err != nil {
		return seedAnswer{}, kv.Wrap(kv.KindUnavailable, "ask seed", err)
	}
	return ask(conn, s.cfg.CallTimeout)
}

// listen opens the gossip port.
func (s *Service) listen(ctx context.Context) (*gossipPort, error) {
	at, err := resolve(ctx, s.cfg.gossipBind())
	if err != nil {
		return nil, err
	}
	inner, err := s.deps.Listen(at.IP.String(), at.Port)
	if err != nil {
		return nil, kv.Errorf(kv.KindUnavailable, "listen for gossip", "%s: %w", s.cfg.gossipBind(), err)
	}
	return openGossipPort(inner, s.seedAnswer, s.log), nil
}

func (s *Service) seedAnswer() seedAnswer {
	return seedAnswer{cluster: s.State().cluster, node: s.ID(), peer: s.cfg.Addrs.Peer}
}
