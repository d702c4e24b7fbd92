package ring

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

var exploreMore = flag.Bool("explore", false, "explore larger changes as well, for some minutes")

// change is one that is explored: N, R and W, and the owners of each epoch.
type change struct {
	n, r, w int
	epochs  string
}

func (c change) String() string { return fmt.Sprintf("%d,%d,%d %s", c.n, c.r, c.w, c.epochs) }

func (c change) world(t testing.TB) *world {
	return newWorld(t, c.n, c.r, c.w, strings.Fields(c.epochs)...)
}

var (
	explored = []change{
		// One owner replaced, then two in one epoch, and in two.
		{3, 2, 2, "ABC ABD"}, {3, 2, 2, "ABC ADE"}, {3, 2, 2, "ABC ABD AED"}, {3, 2, 2, "ABC ABD ABC"},
		// Owners added and dropped.
		{3, 2, 2, "A AB"}, {3, 2, 2, "A ABC"}, {3, 2, 2, "A AB ABC"}, {3, 2, 2, "AB ACD"}, {3, 2, 2, "ABC AB"}, {3, 2, 2, "ABC A"},
		{3, 2, 2, "ABC AB A"}, {3, 2, 2, "ABC AD"}, {2, 1, 2, "AB BC AB"}, {2, 2, 1, "AB BC AB"},
		// Other quorums, the last without P3.
		{2, 1, 2, "AB AC"}, {2, 1, 2, "AB CD"}, {2, 2, 1, "AB AC"}, {2, 2, 1, "AB CD"}, {3, 1, 3, "ABC ABD"}, {3, 1, 3, "ABC ADE"},
		{3, 3, 1, "ABC ABD"}, {3, 3, 1, "ABC ADE"}, {3, 2, 3, "ABC ABD"}, {3, 3, 2, "ABC ABD"}, {1, 1, 1, "A B"}, {1, 1, 1, "A B C"},
		{4, 2, 3, "ABCD ABCE"}, {4, 3, 2, "ABCD ABCE"}, {5, 3, 3, "ABCDE ABCDF"}, {3, 1, 1, "ABC ABD"}, {3, 1, 1, "ABC ADE"}, {3, 1, 1, "A ABC"},
	}
	// exploredMore take some minutes.
	exploredMore = []change{
		{3, 2, 2, "ABC DEF"}, {3, 2, 2, "ABC ABD ADE AEF"}, {3, 1, 3, "ABC DEF"}, {2, 2, 1, "AB BC CD DA"}, {2, 1, 2, "AB BC CD DA"},
		{5, 2, 4, "ABCDE ABCDF"}, {5, 4, 2, "ABCDE ABCDF"}, {4, 3, 3, "ABCD ABEF"}, {3, 2, 2, "A ABC AB"},
	}
)

// TestExplore: by the rules no state breaks a promise.
func TestExplore(t *testing.T) {
	changes := explored
	if *exploreMore {
		changes = append(changes, exploredMore...)
	}
	for _, c := range changes {
		states, trace := c.world(t).explore()
		if trace != "" {
			t.Errorf("%v, after %d states:\n%s", c, states, trace)
		}
		t.Logf("%v: %d states", c, states)
	}
}

// edit changes each step of x, in its copy and in its transition.
func (x *world) edit(f func(k int, s *Step)) {
	for i, k := 0, 0; i < len(x.trs); i++ {
		for j := range x.trs[i].steps {
			f(k, &x.trs[i].steps[j])
			x.steps[k] = x.trs[i].steps[j]
			k++
		}
	}
}

var (
	oneStep = change{3, 2, 2, "ABC ABD"}
	twoStep = change{3, 2, 2, "ABC ADE"}
)

// omissions are the rules, how to leave each out, and which promises that breaks.
var omissions = []struct {
	breaks string
	rule   string
	in     change
	leave  func(x *world)
}{
	{"P2 P3", "sources have sealed", oneStep, func(x *world) { x.omitted.sealedSource = true }},
	{"P2 P3", "n-w+1 sources", oneStep, func(x *world) { x.edit(func(_ int, s *Step) { s.Sources-- }) }},
	{"P2 P3", "n-w+1 sources, each put at one owner", change{3, 3, 1, "ABC ABD"}, func(x *world) { x.edit(func(_ int, s *Step) { s.Sources-- }) }},
	{"P2", "n-w+1 sources, without P3", change{3, 1, 1, "ABC ABD"}, func(x *world) { x.edit(func(_ int, s *Step) { s.Sources-- }) }},
	{"P2", "sources have sealed, without P3", change{3, 1, 1, "ABC ABD"}, func(x *world) { x.omitted.sealedSource = true }},
	{"P2 P3", "n-r+1 done", oneStep, func(x *world) { x.edit(func(_ int, s *Step) { s.Done-- }) }},
	{"P2 P3", "n-r+1 done, one is asked", change{3, 1, 3, "ABC ABD"}, func(x *world) { x.edit(func(_ int, s *Step) { s.Done-- }) }},
	{"P2", "w done, all are asked", change{3, 3, 2, "ABC ABD"}, func(x *world) { x.edit(func(_ int, s *Step) { s.Done-- }) }},
	{"P2 P3", "joint puts need a quorum of the new", oneStep, func(x *world) { x.joint(func(v *scene) { v.new = 0 }) }},
	{"P2 P3", "joint puts need a quorum of the old", oneStep, func(x *world) { x.joint(func(v *scene) { v.old = v.new }) }},
	{"P3", "phase 3 waits for n-r+1 at stage 2", oneStep, func(x *world) { x.edit(func(_ int, s *Step) { s.Stage2-- }) }},
	{"P3", "stage 2 refuses old gets", oneStep, func(x *world) { x.omitted.stage2Refuses = true }},
	{"P2 P3", "sealed refuses phase-0 puts", oneStep, func(x *world) { x.omitted.sealRefusesOld = true }},
	{"P3", "a get begins again in another phase", oneStep, func(x *world) { x.omitted.getsBeginAgain = true }},
	{"P3", "a get begins again, even if the readers are the same again", change{3, 2, 2, "ABC ABD ABC"}, func(x *world) { x.omitted.getsBeginAgainAt = true }},
	{"P2 P3", "a seal outlasts a restart", oneStep, func(x *world) { x.omitted.sealLasts = true }},
	{"P3", "stage 2 outlasts a restart", oneStep, func(x *world) { x.omitted.stage2Lasts = true }},
	{"P2 P3", "a fill is durable before done is said", oneStep, func(x *world) { x.omitted.fillLasts = true }},
	{"P3", "a former owner drops after its stage 2", oneStep, func(x *world) { x.omitted.dropsLate = true }},
	{"P2 P3", "heirs that have sealed a later step refuse its copy", change{2, 1, 2, "AB BC AB"}, func(x *world) { x.omitted.dropsInTime = true }},
	{"P3", "stages outlast the copy", oneStep, func(x *world) { x.omitted.stagesOutlastCopy = true }},
	{"P3", "a step waits for phase 3 of the one before", twoStep, func(x *world) {
		x.edit(func(k int, s *Step) { s.Stage2 *= k })
	}},
	{"P2 P3", "a step waits for all of the one before", twoStep, func(x *world) {
		x.edit(func(k int, s *Step) { s.Stage2, s.Done = s.Stage2*k, s.Done*k })
	}},
	{"P2 P3", "the next step's seal refuses joint puts of the one before", twoStep, func(x *world) { x.omitted.sealRefusesJoint = true }},
	{"P2 P3", "the next epoch's seal refuses joint puts of the one before", change{3, 2, 2, "ABC ABD AED"}, func(x *world) { x.omitted.sealRefusesJoint = true }},
	{"P3", "the next step's stage 2 refuses gets of the one before", twoStep, func(x *world) { x.omitted.stage2RefusesNew = true }},
}

// joint changes the sets of all joint puts.
func (x *world) joint(f func(v *scene)) {
	for i := range x.views {
		if x.views[i].new != 0 {
			f(&x.views[i])
		}
	}
}

// TestExploreOmitted: without any one rule a promise can be broken.
func TestExploreOmitted(t *testing.T) {
	for _, o := range omissions {
		for _, promise := range strings.Fields(o.breaks) {
			x := o.in.world(t)
			x.p2, x.p3 = promise == "P2", promise == "P3"
			o.leave(x)
			states, trace := x.explore()
			if trace == "" {
				t.Errorf("without %q, %v: %d states, and %s is not broken", o.rule, o.in, states, promise)
			}
			t.Logf("without %q, %v, after %d states:\n%s", o.rule, o.in, states, trace)
		}
	}
}

// TestExploreAll: what the explorer leaves out as no worse changes no verdict.
func TestExploreAll(t *testing.T) {
	for _, c := range explored {
		x := c.world(t)
		if x.all = true; len(x.steps) > 1 && c.n == 3 || c.n > 3 {
			continue
		}
		states, trace := x.explore()
		if trace != "" {
			t.Errorf("%v, after %d states:\n%s", c, states, trace)
		}
		t.Logf("%v: %d states", c, states)
	}
}

// TestLevelsAreTheRules: one number for puts, and one for gets, is as good as the
// rules in words. Sealed in a step refuses phase 0 of it and all that came before;
// stage 2 refuses gets from the old owners of it and all that came before.
func TestLevelsAreTheRules(t *testing.T) {
	for _, c := range append(explored, exploredMore...) {
		x, at := c.world(t), 0
		for i, tr := range x.trs {
			for k := range tr.Len() {
				for _, v := range x.views {
					epoch := v.Level.Epoch() - 1
					step, phase := v.Level.Step()
					before := epoch < uint64(i) || epoch == uint64(i) && step < k
					here := epoch == uint64(i) && step == k
					if refused, want := v.Level < x.seals[at], before || here && phase == 0; refused != want {
						t.Errorf("%v: puts at %v refused from the seal of step %d: %v", c, v.Level, at, refused)
					}
					if refused, want := v.Level < x.stages[at], before || here && phase <= 1; refused != want {
						t.Errorf("%v: gets at %v refused from stage 2 of step %d: %v", c, v.Level, at, refused)
					}
				}
				at++
			}
		}
		if last := x.views[len(x.views)-1].Level; last != kv.LevelOf(uint64(len(x.trs)+1)) {
			t.Errorf("%v ends at %v", c, last)
		}
	}
}
