package coordinator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// story is a cluster to which anything happens, by seed.
type story struct {
	*cluster
	key  string
	rnd  *rand.Rand
	puts []written
	gets []reading
}

// written is a put of a value that no other put has.
type written struct {
	*outcome
	value  string
	w      int
	strict bool
}

// reading is a strict get, and what it has to see: what strict puts were
// acknowledged for before it began, both of quorums that overlap.
type reading struct {
	*outcome
	acked []string
}

// TestAnyOrder has messages come late, twice, in any order or never, nodes die
// and return, disks fill up, and requests run out of time. Each outcome is told
// once, nothing leaks, and what was told of each put is true.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(400) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := play(t, seed, DefaultForTest())
			s.idle()
			for _, w := range s.wrongs() {
				t.Error(w)
			}
		})
	}
}

// TestOmissionsAreNoticed: each rule left out makes TestAnyOrder fail. Floors
// have a test of their own.
func TestOmissionsAreNoticed(t *testing.T) {
	for _, omit := range []Omit{OmitLastAck, OmitSiblings, OmitRepairMerge, OmitStrict, OmitHints, OmitOwners} {
		cfg := DefaultForTest()
		cfg.Omit = omit
		seed := uint64(0)
		for len(play(t, seed, cfg).wrongs()) == 0 {
			if seed++; seed == 400 {
				t.Fatalf("without rule %b nothing is wrong", omit)
			}
		}
	}
}

// play plays a story to its end, when all faults are over.
func play(t *testing.T, seed uint64, cfg Config) *story {
	s := &story{cluster: newCluster(t, 3+int(seed%4)), key: "a", rnd: rand.New(rand.NewPCG(seed, 7))}
	for _, n := range s.nodes {
		n.coord.cfg = cfg
	}
	for range 150 {
		s.step()
	}
	s.heal()
	return s
}

// heal ends all faults, and lets everything end.
func (s *story) heal() {
	for _, n := range s.nodes {
		n.engine.fail, n.engine.slow = nil, false
		n.engine.sync(nil)
	}
	revive(s.nodes...)
	s.run()
	for range 3 {
		s.pass(kv.DefaultTimeout + time.Millisecond)
		s.run()
	}
}

func (s *story) step() {
	n := s.nodes[s.rnd.IntN(len(s.nodes))]
	o := opts(int8(1+s.rnd.IntN(3)), int8(1+s.rnd.IntN(3)), int8(s.rnd.IntN(4)))
	o.Strict = s.rnd.IntN(4) == 0
	switch at := s.rnd.IntN(max(1, len(s.pending))); s.rnd.IntN(20) {
	case 0, 1:
		if n.dead || len(s.puts) > 40 {
			return
		}
		value := fmt.Sprint(len(s.puts))
		s.puts = append(s.puts, written{s.put(n.index(), s.key, value, nil, o), value, int(o.W), o.Strict})
	case 2, 3:
		if !n.dead {
			acked := s.acked()
			g := s.get(n.index(), s.key, o)
			if o.Strict && o.R > 1 {
				s.gets = append(s.gets, reading{g, acked})
			}
		}
	case 4:
		n.dead, n.down = s.rnd.IntN(2) == 0, s.rnd.IntN(2) == 0
	case 5:
		if n.engine.fail = nil; s.rnd.IntN(4) == 0 {
			n.engine.fail = kv.Errorf(kv.KindDiskFull, "apply batch", "no space")
		}
	case 6:
		if n.engine.slow = s.rnd.IntN(2) == 0; !n.engine.slow {
			n.engine.sync(nil)
		}
	case 7, 8:
		s.pass(time.Duration(s.rnd.IntN(120)) * time.Millisecond)
	case 9:
		if s.rnd.IntN(20) == 0 {
			s.pass(kv.DefaultTimeout)
		}
	case 10:
		// A request that is passed on twice would be carried out twice; the
		// transport does not do that.
		if len(s.pending) > 0 && s.pending[at].typ != wire.TypePut {
			s.pending = append(s.pending, s.pending[at])
		}
	case 11:
		if len(s.pending) > 0 {
			s.pending = slices.Delete(slices.Clone(s.pending), at, at+1)
		}
	default:
		if len(s.pending) > 0 {
			s.deliver(at)
		}
	}
}

// acked returns what strict puts of W=2 or more were acknowledged for.
func (s *story) acked() (values []string) {
	for _, p := range s.puts {
		if p.done && p.err == nil && p.strict && p.w > 1 {
			values = append(values, p.value)
		}
	}
	return values
}

// stale tells which gets have not seen what they had to see.
func (s *story) stale() (wrongs []string) {
	for _, g := range s.gets {
		for _, v := range g.acked {
			if g.done && g.err == nil && !slices.Contains(g.values, v) {
				wrongs = append(wrongs, fmt.Sprintf("a strict get gave %v, and %s was acknowledged before", g.values, v))
			}
		}
	}
	return wrongs
}

// wrongs holds what was told of each put against what the nodes have. The puts
// came without a context, so nothing supersedes them.
func (s *story) wrongs() []string {
	wrongs := s.stale()
	owners := s.prefer("a")[:3]
	for _, p := range s.puts {
		copies, hints := 0, 0
		for _, n := range s.nodes {
			if slices.Contains(owners, n) && slices.Contains(n.copyOf("a"), p.value) {
				copies++
			}
			if slices.Contains(n.hints("a"), p.value) && !n.keepsForStranger() {
				hints++
			}
		}
		where := fmt.Sprintf("put %s, w=%d, strict %v, is in %d copies and %d hints", p.value, p.w, p.strict, copies, hints)
		switch {
		case !p.done:
			wrongs = append(wrongs, where+", and has no outcome")
		case p.err == nil && copies+hints < p.w, p.err == nil && p.strict && copies < p.w:
			wrongs = append(wrongs, where+", and was acknowledged")
		case p.err != nil && kv.AppliedOf(p.err) == kv.AppliedNo && copies+hints > 0:
			wrongs = append(wrongs, where+fmt.Sprintf(", and was certainly not applied: %v", p.err))
		}
	}
	return wrongs
}
