package ring

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// The explorer goes through every state that one partition can get into while its
// owners change: one put and one get by coordinators that know as little as it may
// please them, nodes that seal, are filled, mark and drop as late as they like. In
// each state it looks whether P2 and P3 hold. Steps, sources, phases, views and
// levels are those of the package; docs/adr/0010-steps.md says what it shows.
//
// A copy more makes no promise worse. So nobody is filled before it marks done, and
// then from those that have the least, each as it was when it sealed, and no message
// comes late. Where next and plain leave out more than that, TestExploreAll does not.

// exploreSteps bounds the steps of an explored change, exploreNodes the nodes.
const (
	exploreSteps = 3
	exploreNodes = 6
)

// set is a set of nodes.
type set uint8

func (s set) size() int         { return bits.OnesCount8(uint8(s)) }
func (s set) has(node int) bool { return s>>node&1 == 1 }

// state is one state of the partition. It is small, for there are millions.
type state struct {
	// put and get are the views under which the operations are carried out, as
	// numbers from 1 of those there can be; 0 before they begin. The put is 0 again
	// once it is acknowledged.
	put, get uint8
	acked    bool
	// acks have acknowledged the put, empty answered the get without it.
	acks, empty set
	// holds have the put in their copy.
	holds set
	steps [exploreSteps]progress
}

// progress is how far the nodes are in one step: sealed are the old owners that
// have sealed, held those of them that had the put at that moment; open are those
// that take phase-0 puts all the same, and blind those that answer old gets.
type progress struct{ sealed, held, done, stage2, open, blind set }

// action leads from one state to the next.
type action struct {
	kind       uint8
	step, node uint8
}

// verbs has the text of each kind of action: of a node in a step, or of a
// coordinator to a view.
var verbs = [...]string{"%s seals step %d", "%s is filled and done in step %d", "%s is at stage 2 of step %d",
	"%s drops its copy", "%s restarts and forgets step %d", "%s restarts and loses what it got in step %d",
	"the put is acknowledged", "%s takes the put", "%s answers a get without it"}

const (
	seals = iota
	fills
	stages
	drops
	forgets
	loses
	puts
	takes
	answers
)

// scene is a View with its sets as sets.
type scene struct {
	View
	old, new, readers set
	// step is the number of the step that is under way, of those of all epochs.
	step int
}

// world is a change of one partition, and the rules by which it is made.
type world struct {
	params Params
	names  string // Node i is called names[i].
	// trs are the transitions, steps the steps of all of them, olds, news, seals
	// and stages their sets, and the levels from which sealed nodes take puts, and
	// nodes at stage 2 answer gets.
	trs           []*Transition
	steps         []Step
	olds, news    []set
	seals, stages []kv.Level
	// views are all that there can be, ascending by level.
	views []scene
	// known caches how far marks lead.
	known map[[exploreSteps][2]set]uint8

	// p2 and p3 are the promises that are looked at: P3 where R+W exceeds N.
	p2, p3 bool
	// omitted are the rules that are left out.
	omitted rules
	// all goes through states as well that cannot be worse than others.
	all bool
}

// rules are such of the rules that the explorer, and not the package, carries out.
// getsBeginAgainAt is that a get begins again though the readers are the same.
type rules struct {
	sealedSource, sealRefusesOld, sealRefusesJoint, stage2Refuses, stage2RefusesNew                                bool
	getsBeginAgain, getsBeginAgainAt, sealLasts, stage2Lasts, fillLasts, dropsLate, dropsInTime, stagesOutlastCopy bool
}

// newWorld returns the change of one partition through lists of owners, each of
// the next epoch, by the rules.
func newWorld(t testing.TB, n, r, w int, epochs ...string) *world {
	x := &world{params: Params{N: n, R: r, W: w}, p2: true, p3: r+w > n, known: map[[exploreSteps][2]set]uint8{}}
	var rings []*Ring
	for i, owners := range epochs {
		nodes := strings.Join(strings.Split(sortedLetters(owners), ""), " ")
		rings = append(rings, ringOf(t, x.params, uint64(i+1), nodes, owners))
		for _, name := range owners {
			if !strings.ContainsRune(x.names, name) {
				x.names += string(name)
			}
		}
	}
	for i, to := range rings[1:] {
		tr := mustTransit(t, rings[i], to)
		x.trs = append(x.trs, tr)
		x.addViews(rings[i].View(0))
		for g, k := NewProgress(tr), 0; k < tr.Len(); k++ {
			s := tr.steps[k]
			x.steps, x.olds, x.news = append(x.steps, s), append(x.olds, x.set(s.Old)), append(x.news, x.set(s.New))
			x.seals, x.stages = append(x.seals, tr.Level(k, 1)), append(x.stages, tr.Level(k, 2))
			x.addViews(g.View(0))
			g.Add(k, Marks(s.after))
			x.addViews(g.View(0))
			g.Add(k, s.everyone(s.Old))
			if k == tr.Len()-1 {
				x.addViews(g.View(0))
			}
		}
	}
	x.addViews(rings[len(rings)-1].View(0))
	if len(x.steps) > exploreSteps || len(x.names) > exploreNodes {
		t.Fatalf("%d steps of %d nodes are too many", len(x.steps), len(x.names))
	}
	return x
}

func (x *world) set(ids []kv.NodeID) (s set) {
	for _, id := range ids {
		s |= 1 << strings.IndexByte(x.names, byte(id))
	}
	return s
}

func (x *world) addViews(v View) {
	x.views = append(x.views, scene{v, x.set(v.Old), x.set(v.New), x.set(v.Readers), len(x.steps) - 1})
}

// reached returns the number of the latest view for which s has the evidence.
func (x *world) reached(s *state) uint8 {
	var marks [exploreSteps][2]set
	for k := range x.steps {
		marks[k] = [2]set{s.steps[k].done, s.steps[k].stage2}
	}
	at, is := x.known[marks]
	if !is {
		level := x.follow(marks)
		for at = 1; x.views[at-1].Level != level; at++ {
		}
		x.known[marks] = at
	}
	return at
}

// follow returns the level to which marks lead.
func (x *world) follow(marks [exploreSteps][2]set) kv.Level {
	at := 0
	for _, tr := range x.trs {
		g := NewProgress(tr)
		for k := range tr.steps {
			for place, id := range tr.steps[k].Union {
				if me := x.set([]kv.NodeID{id}); marks[at][0]&me != 0 {
					g.Add(k, MarkDone(place))
				}
				if me := x.set([]kv.NodeID{id}); marks[at][1]&me != 0 {
					g.Add(k, MarkStage2(place))
				}
			}
			at++
		}
		if !g.Over() {
			return g.View(0).Level
		}
	}
	return x.views[len(x.views)-1].Level
}

// broken says which promise s breaks, if any.
func (x *world) broken(s *state) string {
	if s.get > 0 && x.p3 {
		readers := x.views[s.get-1].readers
		if (s.empty & readers).size() >= min(x.params.R, readers.size()) {
			return "P3: a get misses a put that was acknowledged before it began"
		}
	}
	if !s.acked || !x.p2 {
		return ""
	}
	// So many that one is left when W-1 disks are lost.
	if now := x.views[x.reached(s)-1].readers; (s.holds & now).size() < min(x.params.W, now.size()) {
		return "P2: fewer than W owners have an acknowledged put"
	}
	return ""
}

// explore returns the number of states, and the shortest way to one that breaks a
// promise, or "".
func (x *world) explore() (states int, trace string) {
	type found struct {
		state
		from int32
		by   action
	}
	queue := []found{{from: -1}}
	seen := map[state]struct{}{{}: {}}
	for i := 0; i < len(queue); i++ {
		s := queue[i].state
		if why := x.broken(&s); why != "" {
			text := why
			for j := int32(i); queue[j].from >= 0; j = queue[j].from {
				text = x.tell(queue[j].by) + "\n" + text
			}
			return len(queue), text
		}
		x.next(&s, func(next state, by action) {
			next = x.plain(next)
			if _, is := seen[next]; !is {
				seen[next] = struct{}{}
				queue = append(queue, found{next, int32(i), by})
			}
		})
	}
	return len(queue), ""
}

// tell writes an action for people.
func (x *world) tell(a action) string {
	name := x.names[a.node : a.node+1]
	switch v := x.views[a.step]; {
	case a.kind == puts:
		return fmt.Sprintf("%s at level %v", verbs[a.kind], v.Level)
	case a.kind == drops:
		return fmt.Sprintf(verbs[a.kind]+" at level %v: all of %s have it", name, v.Level, letters(v.Readers))
	case a.kind == takes && v.New == nil:
		return fmt.Sprintf(verbs[a.kind]+" at level %v: a quorum of %s", name, v.Level, letters(v.Old))
	case a.kind == takes:
		return fmt.Sprintf(verbs[a.kind]+" at level %v: quorums of %s and %s", name, v.Level, letters(v.Old), letters(v.New))
	case a.kind == answers:
		return fmt.Sprintf(verbs[a.kind]+" at level %v: a quorum of %s", name, v.Level, letters(v.Readers))
	}
	return fmt.Sprintf(verbs[a.kind], name, a.step)
}
