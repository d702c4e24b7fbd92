package membership

import (
	"context"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// MemberView is what this node knows of one node, for people.
type MemberView struct {
	ID     kv.NodeID `json:"id"`
	Name   string    `json:"name"`
	Addrs  Addresses `json:"addresses"`
	Zone   string    `json:"zone"`
	Weight uint32    `json:"weight"`
	Status Status    `json:"status"`
	// Staged is what the next commit does to the node, in the words of the
	// command that staged it.
	Staged string `json:"staged,omitempty"`
	// Self marks the node that answers.
	Self bool `json:"self"`
	// Boot counts the node's starts.
	Boot uint64 `json:"boot"`
	// Speaks is the highest version of the protocol that its release speaks.
	Speaks wire.Version `json:"speaks"`
	// Aliases are the interim ids under which the node has minted.
	Aliases []kv.NodeID `json:"aliases,omitempty"`
	// Up is what gossip believes, Since when it began to; zero when nothing
	// was heard of the node since the one that answers started.
	Up    bool      `json:"up"`
	Since time.Time `json:"since,omitzero"`
}

// Members returns all nodes that were ever announced, those removed included,
// ascending by id.
func (s *Service) Members() []MemberView {
	st := s.State()
	self := s.ID()
	staged := make(map[kv.NodeID]string)
	for _, o := range st.Orders() {
		staged[o.Node] = st.describe(o)
	}
	out := make([]MemberView, 0, len(st.members))
	for _, m := range st.members {
		l := s.live.of(m.ID)
		if m.ID == self {
			l = Liveness{Up: true, Since: s.began}
		}
		out = append(out, MemberView{
			ID: m.ID, Name: m.Name, Addrs: m.Addrs, Zone: m.Zone, Weight: st.weight(m), Aliases: m.Aliases,
			Status: st.Status(m.ID), Staged: staged[m.ID], Self: m.ID == self, Boot: m.Seen.Boot, Speaks: m.Speaks, Up: l.Up, Since: l.Since,
		})
	}
	return out
}

// weight returns a node's weight in the ring, or what it says of itself.
func (s *State) weight(m Member) uint32 {
	if s.ring != nil {
		for _, n := range s.ring.Nodes() {
			if n.ID == m.ID {
				return n.Weight
			}
		}
	}
	return m.Weight
}

// SetProps sets a bucket's properties in the whole cluster. R and W may be
// kv.Unset, which stands for the cluster's; DW too, which stands for the
// request's w. When it returns nil the properties are durable here, and known
// to every node that answered within Config.SpreadWait; the others hear of them
// by gossip. Of two changes at once one wins, at every node the same.
//
// Errors: KindInvalid for a name or value out of range, KindTooLarge when
// kv.MaxBuckets buckets have properties of their own, KindRefused before the
// node has joined a cluster, KindWrongVersion for a TTL, an SLA or Meta that some
// node of the ring could not read.
func (s *Service) SetProps(ctx context.Context, bucket string, p kv.Props) error {
	const op = "set bucket properties"
	if err := kv.CheckBucket(bucket); err != nil {
		return err
	}
	before, after, err := s.update(ctx, func(st *State) (*State, error) {
		if st.ring == nil {
			return nil, kv.Errorf(kv.KindRefused, op, "this node belongs to no cluster yet")
		}
		if err := checkProps(p, st.ring.Params().N); err != nil {
			return nil, err
		}
		if err := st.Outdated(); (p.TTL != 0 || p.SLA != kv.SLA{} || p.Meta != "") && err != nil {
			return nil, err
		}
		was, known := st.buckets[bucket]
		if !known && len(st.buckets) >= kv.MaxBuckets {
			return nil, kv.Errorf(kv.KindTooLarge, op, "%d buckets have properties, the limit is %d", len(st.buckets), kv.MaxBuckets)
		}
		if known && was.Props == p {
			return st, nil
		}
		return st.withBucket(bucket, Bucket{Props: p, Version: was.Version + 1, Author: s.ID()}), nil
	})
	if err != nil {
		return err
	}
	s.spread(ctx, before, after)
	return nil
}

// checkProps returns an error of KindInvalid that names the first property
// outside its range.
func checkProps(p kv.Props, n int) error {
	if p.Merge > kv.MergeLWW {
		return kv.Errorf(kv.KindInvalid, "check bucket properties", "merge %d is unknown", p.Merge)
	}
	if p.TTL < 0 || p.TTL > kv.MaxTTL {
		return kv.Errorf(kv.KindInvalid, "check bucket properties", "ttl %d is not within 0 to %d milliseconds", p.TTL, kv.MaxTTL)
	}
	if err := p.SLA.Validate(); err != nil {
		return err
	}
	if len(p.Meta) > kv.MaxPropsMeta {
		return kv.Errorf(kv.KindInvalid, "check bucket properties", "what is kept beside them has %d bytes, the limit is %d", len(p.Meta), kv.MaxPropsMeta)
	}
	return kv.Options{R: p.R, W: p.W, DW: p.DW}.Validate(n)
}
