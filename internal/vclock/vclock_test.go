package vclock

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// model is a clock as the paper has it (§4.4): actors and their counters.
type model map[Actor]uint64

// The few actors of these tests, among them ones of one node, of one birth, and
// at the ends of the order.
var actors = []Actor{
	{Node: 1, Birth: 0}, {Node: 1, Birth: 1}, {Node: 1, Birth: 1 << 40}, {Node: 2, Birth: 1},
	{Node: 1 << 63, Birth: 1}, {Node: 1<<64 - 1, Birth: 1<<64 - 1},
}

func compareActors(a, b Actor) int {
	return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Birth, b.Birth))
}

// entryOf is the entry of the write with dot d: in one history every dot has
// one entry.
func entryOf(d Dot) Entry {
	return Entry{Dot: d, Seq: d.Birth + d.Counter, Wall: kv.Time(10 * d.Counter)}
}

// clock encodes m.
func (m model) clock() Clock {
	var c Clock
	for _, a := range slices.SortedFunc(maps.Keys(m), compareActors) {
		c = AppendEntry(c, entryOf(Dot{a, m[a]}))
	}
	return c
}

// covers tells whether m covers all that o does.
func (m model) covers(o model) bool {
	for a, n := range o {
		if m[a] < n {
			return false
		}
	}
	return true
}

func models() *rapid.Generator[model] {
	return rapid.Map(rapid.MapOf(rapid.SampledFrom(actors), rapid.Uint64Range(1, 3)), func(m map[Actor]uint64) model { return m })
}

func TestCompare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := models().Draw(t, "a"), models().Draw(t, "b")
		want := Concurrent
		switch {
		case a.covers(b) && b.covers(a):
			want = Equal
		case a.covers(b):
			want = After
		case b.covers(a):
			want = Before
		}
		if got := a.clock().Compare(b.clock()); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
	})
}

func TestCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := models().Draw(t, "clock")
		c := m.clock()
		for _, a := range actors {
			if got := c.Counter(a); got != m[a] {
				t.Fatalf("the counter of %v is %d, want %d", a, got, m[a])
			}
			want := uint64(0)
			if m[a] > 0 {
				want = entryOf(Dot{a, m[a]}).Seq
			}
			if got := c.Seq(a); got != want {
				t.Fatalf("the sequence of %v is %d, want %d", a, got, want)
			}
			for n := uint64(1); n <= 4; n++ {
				if got, want := c.Covers(Dot{a, n}), n <= m[a]; got != want {
					t.Fatalf("covers %v %d: %v, want %v", a, n, got, want)
				}
			}
		}
	})
}

func TestAppendMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := models().Draw(t, "a"), models().Draw(t, "b")
		want := maps.Clone(a)
		for actor, n := range b {
			want[actor] = max(want[actor], n)
		}
		got := AppendMerge([]byte("before"), a.clock(), b.clock())
		if !bytes.Equal(got, append([]byte("before"), want.clock()...)) {
			t.Fatalf("%v and %v merge to %x", a, b, got)
		}
	})
}

// TestDefectiveEntries: should one dot come with two entries, then merges still
// commute, and Compare says which clock the merge will be.
func TestDefectiveEntries(t *testing.T) {
	d := Dot{actors[0], 2}
	for _, pair := range [][2]Entry{
		{{Dot: d, Seq: 1, Wall: 1}, {Dot: d, Seq: 2, Wall: 1}},
		{{Dot: d, Seq: 1, Wall: 1}, {Dot: d, Seq: 1, Wall: 2}},
		{{Dot: d, Seq: 1, Wall: 9}, {Dot: d, Seq: 2, Wall: 1}},
	} {
		a, b := Clock(AppendEntry(nil, pair[0])), Clock(AppendEntry(nil, pair[1]))
		if got := a.Compare(b); got != Before {
			t.Errorf("%v: Compare is %d, want Before", pair, got)
		}
		if ab, ba := AppendMerge(nil, a, b), AppendMerge(nil, b, a); !bytes.Equal(ab, b) || !bytes.Equal(ba, b) {
			t.Errorf("%v: merges to %x and %x", pair, ab, ba)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Entry{
			Dot:  Dot{Actor{kv.NodeID(rapid.Uint64Min(1).Draw(t, "node")), rapid.Uint64().Draw(t, "birth")}, rapid.Uint64Min(1).Draw(t, "counter")},
			Seq:  rapid.Uint64().Draw(t, "seq"),
			Wall: kv.Time(rapid.Uint64().Draw(t, "wall")),
		}
		c, err := Parse(AppendEntry(nil, e), 1)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(e, c.At(0)); diff != "" {
			t.Fatal(diff)
		}
		if got := DecodeDot(AppendDot(nil, e.Dot)); got != e.Dot {
			t.Fatalf("dot %v comes back as %v", e.Dot, got)
		}
		if got := DecodeOwn(AppendOwn(nil, Own(e.Dot))); got != Own(e.Dot) {
			t.Fatalf("own %v comes back as %v", e.Dot, got)
		}
	})
}

// TestBytesOrderAsDots: encoded dots are compared as bytes.
func TestBytesOrderAsDots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() Dot {
			return Dot{rapid.SampledFrom(actors).Draw(t, "actor"), rapid.Uint64Range(1, 300).Draw(t, "counter")}
		}
		a, b := draw(), draw()
		want := cmp.Or(compareActors(a.Actor, b.Actor), cmp.Compare(a.Counter, b.Counter))
		if got := bytes.Compare(AppendDot(nil, a), AppendDot(nil, b)); got != want {
			t.Fatalf("%v and %v: %d, want %d", a, b, got, want)
		}
	})
}

func TestParse(t *testing.T) {
	entry := func(node kv.NodeID, birth, counter uint64) Entry {
		return Entry{Dot: Dot{Actor{node, birth}, counter}}
	}
	for _, c := range []struct {
		name    string
		entries []Entry
		n       int
		ok      bool
	}{
		{"empty", nil, 0, true},
		{"in order", []Entry{entry(1, 1, 5), entry(1, 2, 1), entry(2, 1, 1)}, 3, true},
		{"birth 0", []Entry{entry(1, 0, 1)}, 1, true},
		{"one announced too many", []Entry{entry(1, 1, 5)}, 2, false},
		{"one announced too few", []Entry{entry(1, 1, 5)}, 0, false},
		{"nodes out of order", []Entry{entry(2, 1, 1), entry(1, 1, 1)}, 2, false},
		{"births out of order", []Entry{entry(1, 2, 1), entry(1, 1, 1)}, 2, false},
		{"an actor twice", []Entry{entry(1, 1, 1), entry(1, 1, 2)}, 2, false},
		{"no node", []Entry{entry(0, 1, 1)}, 1, false},
		{"no counter", []Entry{entry(1, 1, 0)}, 1, false},
	} {
		var b []byte
		for _, e := range c.entries {
			b = AppendEntry(b, e)
		}
		got, err := Parse(b, c.n)
		if (err == nil) != c.ok || err != nil && kv.KindOf(err) != kv.KindInvalid {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && (!bytes.Equal(got, b) || got.Len() != c.n) {
			t.Errorf("%s: %d entries of %d", c.name, got.Len(), c.n)
		}
	}
}

func TestTruncate(t *testing.T) {
	// Each entry is written as its wall time; births count from 0.
	clock := func(walls []kv.Time) Clock {
		var c Clock
		for i, w := range walls {
			c = AppendEntry(c, Entry{Dot: Dot{Actor{1, uint64(i)}, 1}, Wall: w})
		}
		return c
	}
	for _, c := range []struct {
		name  string
		walls []kv.Time
		limit int
		live  []uint64
		want  []uint64
	}{
		{"at the limit", []kv.Time{3, 1, 2}, 3, nil, []uint64{0, 1, 2}},
		{"one past it", []kv.Time{3, 1, 2}, 2, nil, []uint64{0, 2}},
		{"two past it", []kv.Time{3, 1, 2}, 1, nil, []uint64{0}},
		{"equal times go by actor", []kv.Time{5, 5, 5}, 2, nil, []uint64{1, 2}},
		{"live ones stay", []kv.Time{3, 1, 2}, 2, []uint64{1}, []uint64{0, 1}},
		{"also beyond the limit", []kv.Time{3, 1, 2}, 1, []uint64{1, 2}, []uint64{1, 2}},
		{"all live", []kv.Time{3, 1, 2}, 1, []uint64{0, 1, 2}, []uint64{0, 1, 2}},
		{"empty", nil, 1, nil, nil},
	} {
		got, dropped := Truncate(clock(c.walls), c.limit, func(a Actor) bool { return slices.Contains(c.live, a.Birth) })
		var births []uint64
		for i := range got.Len() {
			births = append(births, got.At(i).Birth)
			if want := c.walls[got.At(i).Birth]; got.At(i).Wall != want {
				t.Errorf("%s: entry %d has the wall time %d, want %d", c.name, i, got.At(i).Wall, want)
			}
		}
		if diff := gocmp.Diff(c.want, births); diff != "" || dropped != len(c.walls)-len(c.want) {
			t.Errorf("%s: dropped %d (-want +got):\n%s", c.name, dropped, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(uint8(0), []byte(nil))
	f.Add(uint8(2), []byte(model{actors[0]: 1, actors[3]: 2}.clock()))
	f.Fuzz(func(t *testing.T, n uint8, b []byte) {
		c, err := Parse(b, int(n))
		if err != nil {
			if kv.KindOf(err) != kv.KindInvalid {
				t.Fatal(err)
			}
			return
		}
		var again []byte
		for i := range c.Len() {
			e := c.At(i)
			again = AppendEntry(again, e)
			if !c.Covers(e.Dot) || c.Covers(Dot{e.Actor, e.Counter + 1}) && e.Counter+1 != 0 {
				t.Fatalf("entry %d, %v, is not what the clock covers", i, e)
			}
		}
		if !bytes.Equal(again, b) || c.Compare(c) != Equal || !bytes.Equal(AppendMerge(nil, c, c), b) {
			t.Fatalf("Parse accepts %x, which is not canonical", b)
		}
	})
}
