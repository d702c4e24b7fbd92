package membership

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Contract is the register of the cluster's SLA. The greatest (Version, Author)
// wins; Version is 0 until it is set.
type Contract struct {
	SLA     kv.SLA
	Version uint64
	Author  kv.NodeID
}

// SLA returns the cluster's: what was set, and the default for the rest.
func (s *State) SLA() kv.SLA { return s.contract.SLA.Or(kv.DefaultSLA) }

// SLAs returns the SLAs of buckets and of types that have their own, by name. A
// bucket of such a type that has properties without one is there with none.
func (s *State) SLAs() map[string]kv.SLA {
	var out map[string]kv.SLA
	for name, b := range s.buckets {
		t, ok := s.buckets[string(kv.TypeOf([]byte(name)))]
		if b.Props.SLA == (kv.SLA{}) && (!ok || t.Props.SLA == kv.SLA{}) {
			continue
		}
		if out == nil {
			out = make(map[string]kv.SLA)
		}
		out[name] = b.Props.SLA
	}
	return out
}

// SetSLA changes the SLA of the whole cluster to what change makes of that which
// was set, without its defaults. It returns as SetProps does, with KindWrongVersion
// while a node of the ring does not know of it.
func (s *Service) SetSLA(ctx context.Context, change func(kv.SLA) (kv.SLA, error)) error {
	before, after, err := s.update(ctx, func(st *State) (*State, error) {
		if st.ring == nil {
			return nil, kv.Errorf(kv.KindRefused, "set SLA", "this node belongs to no cluster yet")
		}
		sla, err := change(st.contract.SLA)
		if err != nil {
			return nil, err
		}
		if err := sla.Validate(); err != nil {
			return nil, err
		}
		if err := st.Outdated(); err != nil {
			return nil, err
		}
		if sla == st.contract.SLA {
			return st, nil
		}
		return st.withContract(Contract{SLA: sla, Version: st.contract.Version + 1, Author: s.ID()}), nil
	})
	if err != nil {
		return err
	}
	s.spread(ctx, before, after)
	return nil
}

// withContract returns s with c as the register of the cluster's SLA.
func (s *State) withContract(c Contract) *State {
	next := *s
	next.contract = c
	next.encode(sectionSLA)
	return &next
}

func mergeContracts(a, b Contract) Contract {
	by := cmp.Or(
		cmp.Compare(a.Version, b.Version), cmp.Compare(a.Author, b.Author),
		bytes.Compare(appendSLA(nil, a.SLA), appendSLA(nil, b.SLA)),
	)
	if by < 0 {
		return b
	}
	return a
}

// appendContract appends nothing for one that was never set.
func appendContract(b []byte, c Contract) []byte {
	if c.Version == 0 {
		return b
	}
	b = appendSLA(b, c.SLA)
	b = binary.BigEndian.AppendUint64(b, c.Version)
	return binary.BigEndian.AppendUint64(b, uint64(c.Author))
}

// contract takes all that is left: a register, or nothing.
func (c *cursor) contract() Contract {
	if len(c.Rest) == 0 {
		return Contract{}
	}
	out := Contract{SLA: c.sla(), Version: c.U64(), Author: kv.NodeID(c.U64())}
	c.Need(out.Version > 0)
	return out
}

func appendSLA(b []byte, s kv.SLA) []byte {
	for _, o := range []kv.Objective{s.Get, s.Put} {
		b = binary.BigEndian.AppendUint32(b, o.Share)
		b = binary.BigEndian.AppendUint32(b, o.Micros)
	}
	return b
}

func (c *cursor) sla() kv.SLA {
	s := kv.SLA{
		Get: kv.Objective{Share: c.U32(), Micros: c.U32()},
		Put: kv.Objective{Share: c.U32(), Micros: c.U32()},
	}
	c.Need(s.Validate() == nil)
	return s
}
