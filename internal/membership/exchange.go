package membership

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// exchange compares this node's state with another's and brings both to the
// merge of the two; likewise the marks of the transition. A node that the state
// does not name is dialled at addr. It also compares the clocks.
func (s *Service) exchange(ctx context.Context, to kv.NodeID, addr string) error {
	theirs, err := s.request(ctx, to, addr, s.message(verbExchange, nil))
	if err != nil {
		return err
	}
	if _, err := s.absorb(ctx, to, theirs); err != nil {
		return err
	}
	mine := s.message(verbExchange, theirs)
	if mine.sections.none() && mine.marks == nil {
		return nil
	}
	_, err = s.request(ctx, to, addr, mine)
	return err
}

// message returns what this node has to say to who sent other; nil for a first
// message, without any part of the state.
func (s *Service) message(v verb, other *message) *message {
	st, c := s.State(), s.course.Load()
	m := &message{verb: v, cluster: st.cluster, hashes: st.hashes, knows: s.knows()}
	m.way, m.sum = c.summary()
	if other != nil {
		m.sections = st.differing(other.hashes, min(other.knows, m.knows))
		if m.way != (way{}) && other.knows > firstSections && (m.way != other.way || m.sum != other.sum) {
			m.marks = c.Progress.AppendTo([]byte{})
		}
	}
	return m
}

// request sends m and returns the answer. The sections of the answer are the
// caller's.
func (s *Service) request(ctx context.Context, to kv.NodeID, addr string, m *message) (*message, error) {
	sent := s.deps.Now()
	m.sent = sent.UnixNano()
	b, err := s.call(ctx, to, addr, wire.TypeState, m)
	if err != nil {
		return nil, err
	}
	arrived := s.deps.Now()
	theirs, err := parseMessage(b)
	if err != nil {
		return nil, err
	}
	at := arrived.Sub(s.began)
	s.skew.add(to, at, peerTime(sent.Sub(s.began), at, theirs.received, theirs.sent))
	return theirs, nil
}

// absorb merges what a message carries and returns the state after it.
func (s *Service) absorb(ctx context.Context, from kv.NodeID, m *message) (*State, error) {
	st := s.State()
	if m.cluster != st.cluster {
		return nil, kv.Errorf(kv.KindWrongCluster, "exchange state", "the peer belongs to cluster %v, this node to %v", m.cluster, st.cluster)
	}
	if sections := m.sections.first(s.knows()); !sections.none() {
		other, err := parseSections(m.cluster, sections)
		if err != nil {
			return nil, err
		}
		if st, err = s.merge(ctx, other); err != nil {
			return nil, err
		}
	}
	if m.marks != nil {
		if err := s.learn(from, m.way, m.marks, (*ring.Progress).Join); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// spread sends a change to every other node and waits for those that can be
// reached, at most Config.SpreadWait. The others hear of it by gossip.
func (s *Service) spread(ctx context.Context, before, after *State) {
	if before.hashes == after.hashes {
		return
	}
	nodes := after.others(s.ID())
	m := s.message(verbExchange, nil)
	m.sent, m.hashes, m.sections = s.deps.Now().UnixNano(), after.hashes, after.differing(before.hashes, m.knows)
	for i, o := range s.callAll(ctx, nodes, wire.TypeState, m, s.cfg.SpreadWait) {
		if o.err != nil {
			continue
		}
		if theirs, err := parseMessage(o.payload); err == nil {
			s.hear(digest{node: nodes[i], hashes: theirs.hashes, knows: theirs.knows})
		}
	}
}

// hear takes a digest; if it differs, the fetchers will see to it.
func (s *Service) hear(d digest) {
	if d.node != s.ID() && s.differs(d.hashes, d.knows) {
		s.behind.add(d)
	}
}

// fetch exchanges states with the nodes whose digests differ, until ctx is
// done. A node that cannot be reached is met again by its next digest.
func (s *Service) fetch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.behind.wake:
		}
		for d, ok := s.behind.take(); ok && ctx.Err() == nil; d, ok = s.behind.take() {
			if !d.asked && !s.differs(d.hashes, d.knows) {
				continue
			}
			if err := s.exchange(ctx, d.node, d.peer); err != nil && ctx.Err() == nil {
				s.log.Debug("no exchange of states", "node", d.node, "error", err)
			}
		}
	}
}

// compare exchanges states and clocks with one other node after the other, in
// a random order, until ctx is done.
func (s *Service) compare(ctx context.Context) {
	rng := rand.New(rand.NewPCG(s.deps.Random(), s.deps.Random()))
	var round []kv.NodeID
	for pause(ctx, s.exchangePause()) {
		if len(round) == 0 {
			round = s.State().others(s.ID())
			rng.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
		}
		if len(round) == 0 {
			continue
		}
		if err := s.exchange(ctx, round[0], ""); err != nil && ctx.Err() == nil {
			s.log.Debug("no exchange of states", "node", round[0], "error", err)
		}
		round = round[1:]
	}
}

// exchangePause is the pause between two comparisons.
func (s *Service) exchangePause() time.Duration {
	if c := s.Current(); c != nil && c.Progress != nil {
		return min(s.cfg.ExchangeInterval, marksEvery)
	}
	return s.cfg.ExchangeInterval
}
