package ring

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"pgregory.net/rapid"
)

// mark is one mark: of the owner at a place of step i of all steps.
type mark struct {
	step int
	m    Marks
}

// drawMarks draws marks of owners, and of such as cannot have them.
func drawMarks(t *rapid.T, tr *Transition) []mark {
	if tr.Len() == 0 {
		return nil
	}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) mark {
		place := rapid.IntRange(0, kv.MaxReplicas+1).Draw(t, "place")
		m := MarkDone(place)
		if rapid.Bool().Draw(t, "stage 2") {
			m = MarkStage2(place)
		}
		return mark{rapid.IntRange(0, min(tr.Len(), 12)-1).Draw(t, "step"), m}
	}), 0, 60).Draw(t, "marks")
}

func drawTransition(t *rapid.T) *Transition {
	from, to := drawChange(t)
	tr, err := NewTransition(from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// known returns a Progress with marks.
func known(tr *Transition, marks ...mark) *Progress {
	g := NewProgress(tr)
	for _, m := range marks {
		g.Add(m.step, m.m)
	}
	return g
}

// joined returns a new Progress that joined what each of those knows.
func joined(t *rapid.T, tr *Transition, of ...*Progress) *Progress {
	g := NewProgress(tr)
	for _, o := range of {
		before := g.AppendTo(nil)
		news, err := g.Join(o.AppendTo(nil))
		if err != nil {
			t.Fatal(err)
		}
		if news == bytes.Equal(before, g.AppendTo(nil)) {
			t.Fatalf("news is %v of %x joined to %x", news, o.AppendTo(nil), before)
		}
	}
	return g
}

// Whatever the order, and however often, nodes hear of marks, those who heard of
// the same know the same.
func TestJoinIsUnion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := drawTransition(t)
		marks := drawMarks(t, tr)
		all := known(tr, marks...)
		want := all.AppendTo(nil)
		i := rapid.IntRange(0, len(marks)).Draw(t, "first half")
		a, b, c := known(tr, marks[:i]...), known(tr, marks[i:]...), known(tr, rapid.Permutation(marks).Draw(t, "order")...)
		for name, g := range map[string]*Progress{
			"itself": joined(t, tr, all), "a b": joined(t, tr, a, b), "b a": joined(t, tr, b, a), "a a b": joined(t, tr, a, a, b),
			"(a b) c": joined(t, tr, joined(t, tr, a, b), c), "a (b c)": joined(t, tr, a, joined(t, tr, b, c)), "another order": c,
		} {
			if got := g.AppendTo(nil); !bytes.Equal(got, want) {
				t.Fatalf("%s: %x, want %x", name, got, want)
			}
			if g.Over() != all.Over() {
				t.Fatalf("%s: over: %v", name, g.Over())
			}
		}
		for _, m := range marks {
			if all.Add(m.step, m.m) {
				t.Fatalf("%+v is news again", m)
			}
		}
	})
}

// As marks come in, levels only grow, phases follow one another without a gap, and
// a view's sets are those of its step and phase.
func TestMarksOnlyLeadOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := drawTransition(t)
		g := NewProgress(tr)
		last := make([]View, tr.from.params.Q)
		for p := range last {
			last[p] = tr.from.View(kv.Partition(p))
		}
		look := func() {
			over := true
			for p := range last {
				v := g.View(kv.Partition(p))
				checkView(t, g, kv.Partition(p), v)
				if v.Level < last[p].Level {
					t.Fatalf("partition %d goes back from %v to %v", p, last[p].Level, v.Level)
				}
				k, phase := g.At(kv.Partition(p))
				over = over && k == len(tr.Steps(kv.Partition(p)))-1 && phase == 3
				last[p] = v
			}
			if over != g.Over() {
				t.Fatalf("over: %v, want %v", g.Over(), over)
			}
		}
		look()
		for _, m := range drawMarks(t, tr) {
			g.Add(m.step, m.m)
			if rapid.IntRange(0, 3).Draw(t, "look") == 0 {
				look()
			}
		}
		for i := range tr.steps {
			g.Add(i, tr.steps[i].everyone(tr.steps[i].Union))
		}
		look()
		if !g.Over() {
			t.Fatal("not over when everybody said everything")
		}
		for p := range last {
			if want := tr.to.View(kv.Partition(p)); want.Level <= last[p].Level || !slices.Equal(sorted(want.Old), sorted(last[p].Old)) {
				t.Fatalf("partition %d ends at %+v, and is settled at %+v", p, last[p], want)
			}
		}
	})
}

func sorted(ids []kv.NodeID) []kv.NodeID { return slices.Sorted(slices.Values(ids)) }

// checkView compares v with the table of phases.
func checkView(t *rapid.T, g *Progress, p kv.Partition, v View) {
	k, phase := g.At(p)
	if k < 0 {
		owners := g.From().Owners(p)
		if v.Level != kv.LevelOf(g.From().Epoch()) || !slices.Equal(v.Old, owners) || v.New != nil || !slices.Equal(v.Readers, owners) || !slices.Equal(v.Owners, owners) {
			t.Fatalf("partition %d without steps: %+v", p, v)
		}
		return
	}
	s := &g.Steps(p)[k]
	want := map[int]View{
		1: {Old: s.Old, New: s.New, Readers: s.Old, Owners: s.Union},
		2: {Old: s.Old, New: s.New, Readers: s.New, Owners: s.Union},
		3: {Old: s.New, New: nil, Readers: s.New, Owners: s.New},
	}[phase]
	if v.Level != kv.LevelOf(g.From().Epoch()).At(k, phase) || !slices.Equal(v.Old, want.Old) || !slices.Equal(v.New, want.New) ||
		!slices.Equal(v.Readers, want.Readers) || !slices.Equal(v.Owners, want.Owners) {
		t.Fatalf("partition %d in phase %d of step %d: %+v, want %+v", p, phase, k, v, want)
	}
	for i := range k {
		if g.Steps(p)[i].Phase(g.Marks(g.Index(p, i))) != 3 {
			t.Fatalf("partition %d is in step %d before step %d is over", p, k, i)
		}
	}
}

// Marks that come before their time count when it has come.
func TestMarksOutOfOrder(t *testing.T) {
	params := Params{N: 3, R: 2, W: 2}
	tr := mustTransit(t, ringOf(t, params, 1, "A B C", "ABC"), ringOf(t, params, 2, "A D E", "ADE"))
	g := NewProgress(tr) // ABC>ADC/ABCD ADC>ADE/ADCE
	for _, tt := range []struct {
		step     int
		m        Marks
		k, phase int
	}{
		{1, MarkDone(0) | MarkDone(1) | MarkStage2(0) | MarkStage2(1), 0, 1},
		{0, MarkStage2(0) | MarkStage2(1), 0, 1},
		{0, MarkDone(0) | MarkDone(1), 0, 1}, // B cannot be done.
		{0, MarkStage2(3), 0, 1},             // D cannot be at stage 2.
		{0, MarkDone(3), 1, 3},
	} {
		g.Add(tt.step, tt.m)
		if k, phase := g.At(0); k != tt.k || phase != tt.phase {
			t.Errorf("after marks %x of step %d: step %d phase %d, want %d %d", tt.m, tt.step, k, phase, tt.k, tt.phase)
		}
	}
}

// The bytes are fixed, for neighbours of one release exchange them.
func TestMarksByHand(t *testing.T) {
	params := Params{N: 3, R: 2, W: 2}
	tr := mustTransit(t, ringOf(t, params, 1, "A B C D", "ABC", "BCD", "ABC", "ABD"), ringOf(t, params, 2, "A B D E", "ABD", "BDE", "ADE", "BDA"))
	// 0: ABC>ABD/ABCD, 1: BCD>BDE/BCDE, 2 and 3: ABC>ADC>ADE.
	g := known(tr, mark{0, MarkDone(3) | MarkStage2(0)}, mark{2, MarkDone(0)}, mark{3, MarkStage2(2) | MarkDone(3)})
	if got, want := hex.EncodeToString(g.AppendTo([]byte{0xff})), "ff"+"0118"+"0201"+"0148"; got != want {
		t.Errorf("marks are %s, want %s", got, want)
	}
	for name, b := range map[string]string{
		"cut in a distance":      "80",
		"cut before marks":       "01",
		"cut in marks":           "0180",
		"no distance":            "0001",
		"past the last":          "0501",
		"past it bit by bit":     "04010101",
		"a distance of 65 bits":  "ffffffffffffffffff0201",
		"the greatest distance":  "ffffffffffffffffff0101",
		"marks of 65 bits":       "01ffffffffffffffffff02",
		"good, then a lone byte": "011802",
	} {
		raw, err := hex.DecodeString(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewProgress(tr).Join(raw); kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), "read marks") {
			t.Errorf("%s: %v, want an error of KindInvalid", name, err)
		}
	}
}

// FuzzJoin: hostile bytes cannot do more than set marks.
func FuzzJoin(f *testing.F) {
	params := Params{N: 3, R: 2, W: 2}
	tr := mustTransit(f, ringOf(f, params, 1, "A B C D", "ABC", "BCD", "ABC", "ABD"), ringOf(f, params, 2, "A B D E", "ABD", "BDE", "ADE", "BDA"))
	for _, seed := range []string{"", "\x01\x18\x02\x01\x01\x48", "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x04\x80\x00", "\x05\x01"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g := NewProgress(tr)
		news, err := g.Join(b)
		out := g.AppendTo(nil)
		if news != (len(out) > 0) {
			t.Fatalf("news is %v, and marks are %x", news, out)
		}
		for i := range tr.steps {
			if m := g.Marks(i); tr.steps[i].valid(m) != m {
				t.Fatalf("marks %x of step %d", m, i)
			}
		}
		again := NewProgress(tr)
		if _, err := again.Join(out); err != nil || !bytes.Equal(again.AppendTo(nil), out) {
			t.Fatalf("%x read back: %v, %x", out, err, again.AppendTo(nil))
		}
		if news, second := g.Join(b); news || (second == nil) != (err == nil) {
			t.Fatalf("joined again: news %v, %v then %v", news, err, second)
		}
	})
}

// TestMarksConcurrently: readers and writers at once see marks only grow, and in
// the end all are there and counted.
func TestMarksConcurrently(t *testing.T) {
	params := DefaultParams()
	params.Q = 64
	nodes := equals(12)
	from := mustClaim(t, nil, params, 1, nodes[:6])
	tr := mustTransit(t, from, mustClaim(t, from, params, 2, nodes[4:]))
	g, all := NewProgress(tr), NewProgress(tr)
	for i := range tr.steps {
		all.Add(i, tr.steps[i].everyone(tr.steps[i].Union))
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for _, i := range shuffled(tr.Len(), uint64(w)) {
				for _, place := range shuffled(4, uint64(i+w)) {
					g.Add(i, MarkDone(place)|MarkStage2(3-place))
				}
			}
		})
		wg.Go(func() {
			last := make([]kv.Level, params.Q)
			for !g.Over() {
				for p := range last {
					v := g.View(kv.Partition(p))
					if v.Level < last[p] {
						t.Errorf("partition %d goes back from %v to %v", p, last[p], v.Level)
					}
					last[p] = v.Level
				}
				if _, err := NewProgress(tr).Join(g.AppendTo(nil)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if !bytes.Equal(g.AppendTo(nil), all.AppendTo(nil)) {
		t.Error("marks are missing")
	}
}

// What runs for every request and every message must not allocate.
func TestProgressDoesNotAllocate(t *testing.T) {
	params := DefaultParams()
	nodes := equals(12)
	from := mustClaim(t, nil, params, 1, nodes[:6])
	tr := mustTransit(t, from, mustClaim(t, from, params, 2, nodes[4:]))
	c := &Current{Ring: from, Progress: NewProgress(tr)}
	settled := &Current{Ring: from}
	b := NewProgress(tr).AppendTo(make([]byte, 0, 1<<16))
	p := kv.Partition(slices.IndexFunc(tr.first, func(i uint32) bool { return i > 0 }) - 1)
	c.Progress.Add(0, tr.steps[0].everyone(tr.steps[0].New))
	for name, f := range map[string]func(){
		"View":           func() { c.View(p) },
		"View, settled":  func() { settled.View(p) },
		"At":             func() { c.Progress.At(p) },
		"Steps":          func() { tr.Steps(p)[0].Place(9) },
		"Latest":         func() { c.Latest() },
		"Add":            func() { c.Progress.Add(0, MarkDone(1)) },
		"Join, AppendTo": func() { _, _ = c.Progress.Join(c.Progress.AppendTo(b[:0])) },
		"Over":           func() { c.Progress.Over() },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if c.Latest() != tr.To() || settled.Latest() != from {
		t.Error("the latest ring is another")
	}
}

func BenchmarkView(b *testing.B) {
	params := DefaultParams()
	nodes := equals(12)
	from := mustClaim(b, nil, params, 1, nodes[:6])
	tr := mustTransit(b, from, mustClaim(b, from, params, 2, nodes[4:]))
	for name, c := range map[string]*Current{"settled": {Ring: from}, "moving": {Ring: from, Progress: NewProgress(tr)}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.View(kv.Partition(i % params.Q))
			}
		})
	}
}
