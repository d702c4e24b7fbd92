package quorum

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// tally is a Put or a Get.
type tally interface {
	Step(i int, ev Event, err error) Outcome
	Expire() Outcome
	Err() error
}

var (
	outcomeNames = map[Outcome]string{Pending: "pending", Met: "met", Failed: "failed"}
	eventsByName = map[string]Event{
		"applied": Applied, "durable": Durable, "answered": Answered, "empty": Empty, "missed": Missed, "aside": Aside, "error": Error,
	}
)

// TestScripts plays the scripts in testdata, which also say how to read them.
func TestScripts(t *testing.T) {
	for _, file := range []string{"testdata/put.txt", "testdata/get.txt"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var now tally
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			event, want, ok := strings.Cut(line, " -> ")
			if !ok {
				now = newTally(t, line)
				continue
			}
			if got := play(t, now, event); got != want {
				t.Errorf("%s:%d: %s -> %s, want %s", file, n, event, got, want)
			}
		}
	}
}

func newTally(t *testing.T, line string) tally {
	var n, w, dw, r int
	var old, new, how string
	if _, err := fmt.Sscanf(line, "put n=%d w=%d dw=%d", &n, &w, &dw); err == nil {
		p := NewPut(Need{W: w, DW: dw, Old: All(n)})
		return &p
	}
	if n, _ := fmt.Sscanf(line, "put old=%s new=%s w=%d dw=%d %s", &old, &new, &w, &dw, &how); n >= 4 {
		p := NewPut(Need{W: w, DW: dw, Old: slotsOf(old), New: slotsOf(new), Loose: how == "loose"})
		return &p
	}
	if _, err := fmt.Sscanf(line, "get n=%d r=%d", &n, &r); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	g := NewGet(n, r)
	return &g
}

// slotsOf reads a set: a digit for each slot.
func slotsOf(digits string) (s Slots) {
	for _, d := range digits {
		s |= 1 << (d - '0')
	}
	return s
}

// play tells now of one event and says where it then stands.
func play(t *testing.T, now tally, event string) string {
	switch event {
	case "expire":
		return outcomeNames[now.Expire()]
	case "hurry":
		return outcomeNames[now.(*Get).Hurry()]
	case "err":
		return showErr(now.Err())
	}
	var i int
	var name string
	if _, err := fmt.Sscan(event, &i, &name); err != nil {
		t.Fatalf("%q: %v", event, err)
	}
	ev, ok := eventsByName[name]
	if !ok {
		t.Fatalf("%q is no event", event)
	}
	var err error
	if ev == Error || ev == Missed {
		_, what, _ := strings.Cut(event, name+" ")
		err = parseErr(t, what)
	}
	return outcomeNames[now.Step(i, ev, err)]
}

// parseErr reads an error's kind and what it says of the write.
func parseErr(t *testing.T, s string) error {
	if s == "foreign" {
		return errors.New("something broke")
	}
	e := &kv.Error{Op: "ask", Kind: kv.NumKinds}
	kind := strings.TrimSuffix(s, " no")
	if k, ok := strings.CutSuffix(s, " unknown"); ok {
		kind, e.Applied = k, kv.AppliedUnknown
	}
	for k := range kv.NumKinds {
		if k.String() == kind {
			e.Kind = k
		}
	}
	if e.Kind == kv.NumKinds {
		t.Fatalf("%q is no kind", kind)
	}
	return e
}

func showErr(err error) string {
	if err == nil {
		return "none"
	}
	return fmt.Sprintf("%v %v: %v", kv.KindOf(err), kv.AppliedOf(err), err)
}

// story is what is heard of one slot, in order.
type story []step

type step struct {
	ev  Event
	err error
}

// stories are what may be heard of a slot of a put; missed and aside may come
// at any moment of them (drawStory).
var stories = []story{
	{},
	{{ev: Applied}},
	{{ev: Durable}},
	{{ev: Applied}, {ev: Durable}},
	{{ev: Durable}, {ev: Applied}},
	{{ev: Error, err: refusal(kv.AppliedNo)}},
	{{ev: Error, err: refusal(kv.AppliedUnknown)}},
	{{ev: Applied}, {ev: Error, err: refusal(kv.AppliedUnknown)}},
}

func refusal(a kv.Applied) error { return &kv.Error{Op: "ask", Kind: kv.KindUnavailable, Applied: a} }

// drawStory draws one of stories, with nodes among it that failed and that do
// not count. An Error stays the last word.
func drawStory(t *rapid.T) story {
	s := slices.Clone(rapid.SampledFrom(stories).Draw(t, "story"))
	for _, x := range []step{{ev: Missed, err: refusal(kv.AppliedNo)}, {ev: Missed, err: refusal(kv.AppliedUnknown)}, {ev: Aside}} {
		if rapid.IntRange(0, 3).Draw(t, "also") == 0 {
			last := len(s)
			if s.says(Error) {
				last--
			}
			s = slices.Insert(s, rapid.IntRange(0, last).Draw(t, "at"), x)
		}
	}
	return s
}

// may tells whether the write may have been applied by one of those of whom s
// is heard.
func (s story) may() bool {
	return !s.says(Error) || slices.ContainsFunc(s, func(x step) bool {
		return x.ev != Error && x.ev != Missed || x.err.(*kv.Error).Applied != kv.AppliedNo
	})
}

// says tells whether s has event ev.
func (s story) says(ev Event) bool {
	return slices.ContainsFunc(s, func(x step) bool { return x.ev == ev })
}

// heard is what a set of slots says in the end.
type heard struct{ applied, durable, lost, undurable int }

// outcome is where a put of n slots then stands.
func (h heard) outcome(n, w, dw int) Outcome {
	w, dw = min(w, n), min(dw, n)
	switch {
	case h.applied >= w && h.durable >= dw:
		return Met
	case n-h.lost < w || n-h.undurable < dw:
		return Failed
	}
	return Pending
}

// wanted is the outcome of a put by its definition, which knows no order.
func wanted(need Need, told []story) Outcome {
	of := func(s Slots) Outcome {
		var h heard
		for i, x := range told {
			if !s.Has(i) {
				continue
			}
			hasIt, isDurable := x.says(Applied) || x.says(Durable), x.says(Durable)
			for count, is := range map[*int]bool{
				&h.applied: hasIt, &h.durable: isDurable, &h.lost: x.says(Error) && !hasIt, &h.undurable: x.says(Error) && !isDurable,
			} {
				if is {
					*count++
				}
			}
		}
		return h.outcome(s.Len(), need.W, need.DW)
	}
	before, after := of(need.Old), of(need.New)
	switch {
	case before == Met && after == Met:
		return Met
	case before != Failed && after != Failed:
		return Pending
	case need.Loose:
		return of(need.Old | need.New)
	}
	return Failed
}

// drawNeed draws what a put needs, of one set of slots or of the two of a step:
// one owner is replaced, added or dropped.
func drawNeed(t *rapid.T) (need Need, slots int) {
	n := rapid.IntRange(1, 5).Draw(t, "n")
	need = Need{
		W: rapid.IntRange(1, n).Draw(t, "w"), DW: rapid.IntRange(0, n).Draw(t, "dw"), Old: All(n), Loose: rapid.Bool().Draw(t, "loose"),
	}
	gone := Slots(1) << rapid.IntRange(0, n-1).Draw(t, "gone")
	switch rapid.IntRange(0, 3).Draw(t, "step") {
	case 0:
		need.New, n = All(n+1)&^gone, n+1
	case 1:
		need.New, n = All(n+1), n+1
	case 2:
		if n > 1 {
			need.New = need.Old &^ gone
		}
	}
	return need, n
}

// TestPutAnyOrder tells a tally what its slots say in any order, and holds the
// outcome against its definition.
func TestPutAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		need, n := drawNeed(t)
		told := make([]story, n)
		var order []int
		may := false
		for i := range told {
			told[i] = drawStory(t)
			order = append(order, slices.Repeat([]int{i}, len(told[i]))...)
			may = may || told[i].may()
		}
		want := wanted(need, told)
		p := NewPut(need)
		last := Pending
		at := make([]int, n)
		for _, i := range rapid.Permutation(order).Draw(t, "order") {
			s := told[i][at[i]]
			at[i]++
			got := p.Step(i, s.ev, s.err)
			if last != Pending && got != last {
				t.Fatalf("the outcome went from %v to %v", outcomeNames[last], outcomeNames[got])
			}
			last = got
		}
		if last != want {
			t.Fatalf("%+v: %v, want %v", need, outcomeNames[last], outcomeNames[want])
		}
		err := p.Err()
		if (err != nil) != (want == Failed) {
			t.Fatalf("%v, with the error %v", outcomeNames[want], err)
		}
		if err != nil && kv.AppliedOf(err) == kv.AppliedNo && may {
			t.Fatalf("the write may have been applied, and yet: %v", showErr(err))
		}
	})
}

// TestAJointPutMeetsEveryGet: what a put of two sets was acknowledged by has a
// member in common with each quorum of either set, if the two quorums of a set
// overlap; a sloppy one is at W nodes.
func TestAJointPutMeetsEveryGet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		need, n := drawNeed(t)
		p := NewPut(need)
		var acked Slots
		for _, i := range rapid.Permutation(slots(n)).Draw(t, "order") {
			switch rapid.IntRange(0, 3).Draw(t, "says") {
			case 0:
				p.Step(i, Error, refusal(kv.AppliedNo))
			default:
				acked |= 1 << i
				p.Step(i, Durable, nil)
			}
			if p.Outcome() == Met {
				break
			}
		}
		if p.Outcome() != Met {
			return
		}
		if acked.Len() < need.W {
			t.Fatalf("%+v: met by %b", need, acked)
		}
		for _, s := range []Slots{need.Old, need.New} {
			r := s.Len() - min(need.W, s.Len()) + 1
			if rest := s &^ acked; s != 0 && !need.Loose && rest.Len() >= r {
				t.Fatalf("%+v: met by %b, and %d of %b know nothing of it", need, acked, r, s)
			}
		}
	})
}

func slots(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// TestGetAnyOrder is the same for gets: an empty answer counts as one when
// every slot was heard of.
func TestGetAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "n")
		r := rapid.IntRange(1, n).Draw(t, "r")
		evs := rapid.SliceOfN(rapid.SampledFrom([]Event{Answered, Empty, Missed, Error, Applied}), n, n).Draw(t, "events")
		hurry := rapid.Bool().Draw(t, "hurry")
		count := func(ev Event) (n int) {
			for _, e := range evs {
				if e == ev {
					n++
				}
			}
			return n
		}
		answers, empty, errs := count(Answered), count(Empty), count(Error)
		want := Pending
		switch {
		case answers >= r, answers+empty >= r && (hurry || answers+empty+errs == n):
			want = Met
		case n-errs < r:
			want = Failed
		}
		g := NewGet(n, r)
		places := make([]int, n)
		for i := range places {
			places[i] = i
		}
		got := Pending
		for _, i := range rapid.Permutation(places).Draw(t, "order") {
			got = g.Step(i, evs[i], refusal(kv.AppliedNo))
		}
		if hurry {
			got = g.Hurry()
		}
		if got != want || (g.Err() != nil) != (want == Failed) {
			t.Fatalf("%v with the error %v, want %v", outcomeNames[got], g.Err(), outcomeNames[want])
		}
		if got := g.Expire(); got == Pending || want == Pending && answers+empty >= r && got != Met {
			t.Fatalf("%v after the deadline", outcomeNames[got])
		}
	})
}

// TestTheLargestTally has as many replicas as there may be.
func TestTheLargestTally(t *testing.T) {
	const n = 32
	p, g := NewPut(Need{W: n, DW: n, Old: All(n)}), NewGet(n, n)
	for i := range n {
		want := Pending
		if i == n-1 {
			want = Met
		}
		if got := p.Step(i, Durable, nil); got != want {
			t.Errorf("put, replica %d: %v", i, outcomeNames[got])
		}
		if got := g.Step(i, Answered, nil); got != want {
			t.Errorf("get, replica %d: %v", i, outcomeNames[got])
		}
	}
}
