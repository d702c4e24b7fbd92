package membership

import (
	"context"
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// start brings up the state that the node begins with: the directory's, that of
// a new cluster, or none for a joiner.
func (s *Service) start() error {
	const op = "start node"
	r := s.dir.record()
	vote, err := s.dir.loadVote()
	if err != nil {
		return err
	}
	s.box <- vote
	switch {
	case r.cluster != 0:
		return s.resume(r)
	case s.cfg.Create != nil:
		return s.create(r)
	case len(s.cfg.Seeds) == 0:
		return kv.Errorf(kv.KindInvalid, op, "no cluster: give --create or --seeds")
	}
	return nil
}

// resume takes up the cluster that the directory belongs to.
func (s *Service) resume(r record) error {
	const op = "resume cluster"
	st, err := s.dir.loadState()
	if err != nil {
		return err
	}
	if st == nil || st.cluster != r.cluster {
		return kv.Errorf(kv.KindCorrupt, op, "%s belongs to cluster %v, but its cluster file does not", s.cfg.Dir, r.cluster)
	}
	if err := checkSelf(st, r.identity()); err != nil {
		return err
	}
	if m, _ := st.Member(r.node); m.Status == StatusRemoved {
		return removedError(r.cluster)
	}
	if s.cfg.Create != nil {
		if err := checkCreated(st, *s.cfg.Create); err != nil {
			return err
		}
		s.log.Info("the data directory has a cluster already; nothing is created", "cluster", st.cluster)
	}
	return s.enter(withSelf(st, r, s.cfg.profile()))
}

func removedError(cluster kv.ClusterID) error {
	return kv.Errorf(kv.KindRefused, "take part in the cluster", "this node was removed from cluster %v; use an empty data directory", cluster)
}

// checkCreated returns an error of KindRefused unless the cluster has these
// parameters.
func checkCreated(st *State, want ring.Params) error {
	if st.ring == nil {
		return kv.Errorf(kv.KindRefused, "create cluster", "the data directory belongs to cluster %v, which has no ring yet", st.cluster)
	}
	if have := st.ring.Params(); have != want {
		return kv.Errorf(kv.KindRefused, "create cluster",
			"the data directory belongs to cluster %v with n=%d r=%d w=%d q=%d %v, not n=%d r=%d w=%d q=%d %v",
			st.cluster, have.N, have.R, have.W, have.Q, have.Partitioner, want.N, want.R, want.W, want.Q, want.Partitioner)
	}
	return nil
}

// create makes a cluster of this node alone.
func (s *Service) create(r record) error {
	self := ring.Node{ID: r.node, Weight: s.cfg.Weight, Zone: s.cfg.Zone}
	first, err := ring.Claim(nil, *s.cfg.Create, 1, []ring.Node{self})
	if err != nil {
		return err
	}
	cluster := kv.ClusterID(nonZero(s.deps.Random))
	var secret []byte
	for len(secret) < SecretSize {
		secret = binary.BigEndian.AppendUint64(secret, s.deps.Random())
	}
	st := withSelf(newState(cluster, nil, first, nil).withSecret(secret), r, s.cfg.profile())
	s.log.Info("created a cluster", "cluster", cluster, "node", r.node)
	return s.enter(decide(st, r.node, r.node, StatusMember))
}

// enter makes st the state of a node that had none in this start. The state is
// stored first: a directory that names a cluster has its state.
func (s *Service) enter(st *State) error {
	if err := s.dir.saveState(st); err != nil {
		return err
	}
	err := s.dir.change(context.Background(), func(r record) (record, error) {
		if r.cluster == st.cluster {
			return r, errNoChange
		}
		r.cluster = st.cluster
		return r, nil
	})
	if err != nil {
		return err
	}
	s.publish(s.State(), st)
	close(s.joined)
	return nil
}

// needsNoWord says whether nobody but this process can have used its id: the
// directory was made by this start, or there is nobody else to ask.
func (s *Service) needsNoWord() bool {
	r := s.dir.record()
	if r.boot == 1 {
		return true
	}
	for _, seed := range s.cfg.Seeds {
		if seed != s.cfg.Addrs.Gossip {
			return false
		}
	}
	others := s.State().others(r.node)
	return r.cluster != 0 && len(others) == 0
}

// others returns the ids of all nodes but self that were not removed.
func (s *State) others(self kv.NodeID) []kv.NodeID {
	var out []kv.NodeID
	for _, m := range s.members {
		if m.ID != self && m.Status != StatusRemoved {
			out = append(out, m.ID)
		}
	}
	return out
}

// reserve reserves sequences ahead of their use.
func (s *Service) reserve(ctx context.Context) { s.mint.seq.run(ctx, s.log) }

// awaitWord gives a peer time to confirm this node.
func (s *Service) awaitWord(ctx context.Context) {
	if pause(ctx, s.cfg.ConfirmWait) {
		s.mint.pass()
	}
}
