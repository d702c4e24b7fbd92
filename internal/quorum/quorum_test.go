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
	if _, err := fmt.Sscanf(line, "put n=%d w=%d dw=%d", &n, &w, &dw); err == nil {
		p := NewPut(n, w, dw)
		return &p
	}
	if _, err := fmt.Sscanf(line, "get n=%d r=%d", &n, &r); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	g := NewGet(n, r)
	return &g
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

// TestPutAnyOrder tells a tally what its slots say in any order, and holds
// the outcome against its definition, which knows no order.
func TestPutAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(t, "n")
		w, dw := rapid.IntRange(1, n).Draw(t, "w"), rapid.IntRange(0, n).Draw(t, "dw")
		told := make([]story, n)
		var order []int
		applied, durable, lost, undurable, may := 0, 0, 0, 0, false
		for i := range told {
			s := drawStory(t)
			told[i] = s
			order = append(order, slices.Repeat([]int{i}, len(s))...)
			may = may || s.may()
			hasIt, isDurable := s.says(Applied) || s.says(Durable), s.says(Durable)
			switch {
			case isDurable:
				applied, durable = applied+1, durable+1
			case hasIt:
				applied++
			}
			if s.says(Error) {
				undurable++
				if !hasIt {
					lost++
				}
			}
		}
		want := Pending
		switch {
		case applied >= w && durable >= dw:
			want = Met
		case n-lost < w || n-undurable < dw:
			want = Failed
		}
		p := NewPut(n, w, dw)
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
			t.Fatalf("%v, want %v", outcomeNames[last], outcomeNames[want])
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
	p, g := NewPut(n, n, n), NewGet(n, n)
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
