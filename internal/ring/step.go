package ring

import (
	"math/bits"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Step replaces, adds or drops one owner of a partition, in four phases (DESIGN
// section 5; docs/adr/0010-steps.md):
//
//	phase  a put needs              a get needs  it may be used once
//	    0  W of Old                 R of Old
//	    1  W of Old and W of New    R of Old     the transition is chosen
//	    2  the same                 R of New     Done of New are done
//	    3  W of New                 R of New     Stage2 of Old are at stage 2
//
// Phase 3 of a step is phase 0 of the next one of the partition. Quorums over a
// set of n owners are min(W, n) and min(R, n), and n stands for N in what
// follows from them.
type Step struct {
	// Old and New are the owners before and after it, Union all of them: those of
	// Old, then the one that is new. Shared, read-only.
	Old, New, Union []kv.NodeID
	// Sources is how many owners of Old an owner of New must have all of, each as
	// it was after it had sealed, before it is done; itself, if it is one of Old,
	// counts once it has sealed. It is N-W+1, for then it has met one of those that
	// acknowledged each put, or all that are not lost, if they are fewer.
	Sources int
	// Done and Stage2 are how many marks phases 2 and 3 take.
	Done, Stage2 int

	// before and after are Old and New as sets of places in Union.
	before, after uint32
}

// newStep returns the step from the owners before to those after, without regard
// to lost nodes. Union is before, and whom only after has.
func newStep(params Params, before, after, union []kv.NodeID) Step {
	s := Step{Old: before, New: after, Union: union, before: 1<<len(before) - 1}
	for place, id := range union {
		if slices.Contains(after, id) {
			s.after |= 1 << place
		}
	}
	was, is := len(before), len(after)
	s.Sources = was - min(params.W, was) + 1
	s.Stage2 = was - min(params.R, was) + 1
	s.Done = max(min(params.W, is), is-min(params.R, is)+1)
	return s
}

// Marks are what the owners of one step have said, as a set that only grows: the
// lower half has those that are done, the upper half those at stage 2, by their
// places in Step.Union.
type Marks uint64

const stage2Marks = 32

// MarkDone and MarkStage2 return the mark of the owner at a place in Step.Union.
// They panic for the place of a stranger.
func MarkDone(place int) Marks   { return 1 << place }
func MarkStage2(place int) Marks { return 1 << (place + stage2Marks) }

// Done and Stage2 tell whether the owner at a place has said so.
func (m Marks) Done(place int) bool   { return m&MarkDone(place) != 0 }
func (m Marks) Stage2(place int) bool { return m&MarkStage2(place) != 0 }

// Phase returns the phase that the marks are evidence for, 1 to 3, of a step of
// which the one before is over.
func (s *Step) Phase(m Marks) int {
	switch {
	case bits.OnesCount32(uint32(m)&s.after) < s.Done:
		return 1
	case bits.OnesCount32(uint32(m>>stage2Marks)&s.before) < s.Stage2:
		return 2
	}
	return 3
}

// Evidence returns the marks of all owners whose marks are evidence for a phase, 2
// or 3: what whoever knows for certain that there was such evidence may say for
// them.
func (s *Step) Evidence(phase int) Marks {
	if phase < 3 {
		return Marks(s.after)
	}
	return s.valid(^Marks(0))
}

// Place returns the place of id in Union, -1 for a stranger.
func (s *Step) Place(id kv.NodeID) int { return slices.Index(s.Union, id) }

// valid returns m without what owners of this step cannot say: only those of New
// are done, only those of Old at stage 2.
func (s *Step) valid(m Marks) Marks {
	return m & (Marks(s.after) | Marks(s.before)<<stage2Marks)
}

// pack returns valid marks in as few bits as there are owners, twice, and unpack
// what may be marks from that.
func (s *Step) pack(m Marks) uint64 {
	return uint64(m)&(1<<stage2Marks-1) | uint64(m>>stage2Marks)<<len(s.Union)
}

func (s *Step) unpack(b uint64) Marks {
	return Marks(b&(1<<len(s.Union)-1) | b>>len(s.Union)<<stage2Marks)
}

// everyone returns all the marks of the nodes in ids.
func (s *Step) everyone(ids []kv.NodeID) Marks {
	var m Marks
	for place, id := range s.Union {
		if slices.Contains(ids, id) {
			m |= MarkDone(place) | MarkStage2(place)
		}
	}
	return s.valid(m)
}
