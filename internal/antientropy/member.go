package antientropy

import (
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// member is this node's part in a sweep, whoever leads it. It serves one round
// at a time. Each step may be asked for any number of times, and a round may end
// at any step: what was done by then is right by itself.
type member struct {
	k *Keeper
	// round is the one that is served, zero for none; over tells that it has
	// come to its end, and is kept for a leader that asks again.
	round round
	over  bool
	// until is when a round is given up of which nothing more is heard.
	until time.Time
	// passes is the exchange of the round, nil before it begins.
	passes *passes
}

// busy tells whether a round is under way that its leader may still end.
func (m *member) busy() bool {
	return m.round.leader != 0 && !m.over && (m.round.leader == m.k.Self || m.k.Peers.Up(m.round.leader))
}

// tick gives a round up whose leader was silent for too long.
func (m *member) tick(now time.Time) {
	if m.round.leader != 0 && now.After(m.until) {
		m.round, m.passes = round{}, nil
	}
}

// serveSweep answers a step of a round.
func (k *Keeper) serveSweep(from kv.NodeID, payload []byte) ([]byte, error) {
	m, err := parseSweepAsk(payload)
	if err != nil {
		return nil, err
	}
	if m.leader != from {
		return nil, kv.Errorf(kv.KindInvalid, "serve sweep", "node %v sends for a round of %v", from, m.leader)
	}
	a, err := k.member.serve(m)
	if err != nil {
		return nil, err
	}
	return a.encode(), nil
}

func (m *member) serve(ask sweepAsk) (sweepAnswer, error) {
	k := m.k
	out := sweepAnswer{step: ask.step}
	c := k.Cluster.Current()
	if c == nil {
		return out, errNoRing
	}
	if !k.cfg.omits(OmitEpochs) {
		var err error
		if c, err = k.sameEra(ask.leader, ask.era); err != nil {
			return out, err
		}
		if membersHash(k.Cluster.Members()) != ask.members {
			return out, kv.Errorf(kv.KindRefused, "serve sweep", "this node knows other members")
		}
	}
	if ask.step == stepLow {
		if err := m.begin(ask.round); err != nil {
			return out, err
		}
	} else if err := m.check(ask); err != nil {
		return out, err
	}
	m.until = k.Now().Add(2 * k.cfg.Patience)
	r := c.Ring // no sweep goes on while it changes
	// Before what follows: a standing vouches for what is done under it.
	out.standing = k.standing()
	var err error
	switch ask.step {
	case stepLow:
		out.removed = idsHash(k.Cluster.Removed()) == ask.removed
		out.low, err = m.low()
	case stepReport:
		out.parts, err = m.report(r)
	case stepExchange:
		out.parts, out.done = m.exchange(r, ask.parts)
	case stepFloor:
		out.parts, err = m.raise(r, ask)
	}
	return out, err
}

// begin takes part in a round, unless there is another one.
func (m *member) begin(r round) error {
	switch {
	case r == m.round:
		return nil
	case m.round.newer(r):
		return kv.Errorf(kv.KindRefused, "serve sweep", "round %v is past", r)
	case m.busy() && !r.newer(m.round):
		return kv.Errorf(kv.KindRefused, "serve sweep", "this node takes part in round %v", m.round)
	}
	m.round, m.over, m.passes = r, false, nil
	return nil
}

// check returns an error unless this node has taken part in the round from its
// beginning, and can still vouch for what it said then.
func (m *member) check(ask sweepAsk) error {
	switch {
	case m.k.cfg.omits(OmitBoots):
		return nil
	case ask.round != m.round:
		return kv.Errorf(kv.KindRefused, "serve sweep", "this node does not take part in round %v", ask.round)
	case !m.k.vouches(ask.told, m.k.standing()):
		return kv.Errorf(kv.KindRefused, "serve sweep", "this node was started anew, or has refilled a copy, since round %v began", ask.round)
	}
	return nil
}

// low returns the node's low-water mark: it is the same for all ids under which
// the node writes, for they draw from one sequence. With it comes what the node's
// clock shows.
func (m *member) low() ([]lowMark, error) {
	seq, err := m.k.Floors.Low()
	if err != nil {
		return nil, err
	}
	out := []lowMark{{m.k.Self, seq}, {clockMark, min(uint64(m.k.Wall())/1000, uint64(kv.MaxExpiry))}}
	for _, o := range m.k.Cluster.Members() {
		if o.ID == m.k.Self {
			for _, id := range o.Aliases {
				out = append(out, lowMark{id, seq})
			}
		}
	}
	return out, nil
}

// report returns the partitions that cannot be swept because of this node. For
// each of the others there is a moment, now, at which it holds no hint and no
// left-over copy; and of those that it owns its copy is sound.
func (m *member) report(r *ring.Ring) ([]kv.Partition, error) {
	k := m.k
	var out []kv.Partition
	held, marked := k.Copies.Held(), k.Damage.Damaged()
	for i := range r.Params().Q {
		p := kv.Partition(i)
		_, holds := slices.BinarySearch(held, p)
		owns := r.Owns(p, k.Self)
		if k.Copies.HoldsHints(p) || holds && !owns || owns && !k.sound(p, marked) {
			out = append(out, p)
		}
	}
	// What was there and is not any more must not come back with a crash.
	return out, k.Disk.Sync()
}

// raise raises the floors of the partitions that this node owns, and returns
// them. All that they had seen is durable first. Without partitions the leader
// only tells that the round is over.
func (m *member) raise(r *ring.Ring, ask sweepAsk) ([]kv.Partition, error) {
	k := m.k
	m.over, m.passes = true, nil
	k.leader.ended(k.Now())
	marked := k.Damage.Damaged()
	parts := slices.DeleteFunc(slices.Clone(ask.parts), func(p kv.Partition) bool {
		return int(p) >= r.Params().Q || !r.Owns(p, k.Self) || !k.sound(p, marked)
	})
	if len(parts) == 0 {
		return nil, nil
	}
	if err := k.Floors.RaiseFloor(parts, ask.floor); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(parts, func(p kv.Partition) bool {
		f, _ := k.Floors.Floor(p)
		return !f.Includes(ask.floor)
	}), nil
}
