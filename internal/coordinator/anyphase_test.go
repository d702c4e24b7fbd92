package coordinator

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// TestAnyOrderInAnyPhase is TestAnyOrder while the ring changes, and each node
// hears of it, acts on it and answers at a phase of its own. Each strict get sees
// what strict puts were acknowledged for before it.
func TestAnyOrderInAnyPhase(t *testing.T) {
	for seed := range uint64(250) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := playChange(t, seed, DefaultForTest())
			s.idle()
			for _, w := range s.wrongs() {
				t.Error(w)
			}
		})
	}
}

// TestOmissionsInAStepAreNoticed: each rule of a step left out makes
// TestAnyOrderInAnyPhase fail. OmitRestart has a test of its own.
func TestOmissionsInAStepAreNoticed(t *testing.T) {
	// The seeds are those that the search begins with: some of these faults are rare.
	for omit, from := range map[Omit]uint64{OmitJointOld: 970, OmitJointNew: 175, OmitLastAck: 0, OmitStrict: 0} {
		cfg := DefaultForTest()
		cfg.Omit = omit
		seed := from
		for len(playChange(t, seed, cfg).wrongs()) == 0 {
			if seed++; seed == from+3000 {
				t.Fatalf("without rule %b nothing is wrong", omit)
			}
		}
		t.Logf("without rule %b seed %d is wrong", omit, seed)
	}
}

// movingStory is a story in which an owner gives its place to another node.
type movingStory struct {
	*story
	ch *change
	// filled are those whose copies a node has taken over.
	filled map[*node][]*node
}

func playChange(t *testing.T, seed uint64, cfg Config) *movingStory {
	c := newChange(t, 4+int(seed%3))
	s := &movingStory{story: &story{cluster: c.cluster, key: c.k, rnd: rand.New(rand.NewPCG(seed, 11))}, ch: c, filled: map[*node][]*node{}}
	for _, n := range s.nodes {
		n.coord.cfg = cfg
	}
	for i := range 400 {
		n := s.nodes[s.rnd.IntN(len(s.nodes))]
		switch at := s.rnd.IntN(4); {
		case at < 2 || i < 20:
			s.step()
		case i == 20:
			s.ch.know(1, n)
		case !n.dead && at == 2:
			if m := s.nodes[s.rnd.IntN(len(s.nodes))]; !m.dead {
				n.learn(m)
			}
		case !n.dead:
			s.move(n)
		}
	}
	s.heal()
	for range 4 {
		for _, n := range s.nodes {
			for _, m := range s.nodes {
				n.learn(m)
			}
			for range 8 {
				s.move(n)
			}
		}
	}
	s.last()
	return s
}

// last has each node give back what was acknowledged, in the end.
func (s *movingStory) last() {
	for _, n := range s.nodes {
		o := opts(2, 2, 2)
		o.Strict = true
		s.gets = append(s.gets, reading{s.get(n.index(), s.key, o), s.acked()})
		s.run()
	}
}

// move takes n's next move in the step.
func (s *movingStory) move(n *node) {
	if n.progress == nil {
		return
	}
	step, i := &s.ch.Steps(s.ch.p)[0], s.ch.Index(s.ch.p, 0)
	place := step.Place(n.id)
	_, phase := n.progress.At(s.ch.p)
	isOld, isNew := slices.Contains(step.Old, n.id), slices.Contains(step.New, n.id)
	sealed := func(n *node) bool { return n.gates[s.ch.p].puts >= s.ch.Level(0, 1) }
	switch {
	case place < 0:
	case !sealed(n):
		s.ch.seal(n)
		if isOld {
			s.filled[n] = append(s.filled[n], n)
		}
	case isOld && phase >= 2 && n.gates[s.ch.p].gets < s.ch.Level(0, 2):
		s.ch.stage2(n)
		n.progress.Add(i, ring.MarkStage2(place))
	case isNew && len(s.filled[n]) < step.Sources:
		m := s.peer(step.Old[s.rnd.IntN(len(step.Old))])
		if !m.dead && sealed(m) && !slices.Contains(s.filled[n], m) && n.engine.fail == nil {
			s.ch.fill(n, m)
			s.filled[n] = append(s.filled[n], m)
		}
	case isNew:
		n.progress.Add(i, ring.MarkDone(place))
	}
	n.coord.Moved()
}

// wrongs holds what was told of each request against what the nodes have.
func (s *movingStory) wrongs() []string {
	wrongs := s.stale()
	for _, p := range s.puts {
		held := 0
		for _, n := range s.nodes {
			if slices.Contains(n.copyOf(s.key), p.value) || slices.Contains(n.hints(s.key), p.value) {
				held++
			}
		}
		where := fmt.Sprintf("put %s, w=%d, strict %v, is at %d nodes", p.value, p.w, p.strict, held)
		switch {
		case !p.done:
			wrongs = append(wrongs, where+", and has no outcome")
		case p.err == nil && held < p.w:
			wrongs = append(wrongs, where+", and was acknowledged")
		case p.err != nil && kv.AppliedOf(p.err) == kv.AppliedNo && held > 0:
			wrongs = append(wrongs, where+fmt.Sprintf(", and was certainly not applied: %v", p.err))
		}
	}
	return wrongs
}
