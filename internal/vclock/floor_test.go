package vclock

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// floorModel is a floor as a map.
type floorModel map[kv.NodeID]uint64

// The few nodes of these tests, among them the ends of the order.
var floorNodes = []kv.NodeID{1, 2, 1 << 32, 1 << 63, 1<<64 - 1}

func (m floorModel) floor() Floor {
	var f Floor
	for _, id := range slices.Sorted(maps.Keys(m)) {
		f = AppendFloorEntry(f, id, m[id])
	}
	return f
}

func floorModels() *rapid.Generator[floorModel] {
	seq := rapid.OneOf(rapid.Uint64Range(1, 4), rapid.SampledFrom([]uint64{255, 256, 1<<64 - 1}))
	return rapid.Map(rapid.MapOf(rapid.SampledFrom(floorNodes), seq), func(m map[kv.NodeID]uint64) floorModel { return m })
}

func join(a, b Floor) Floor { return AppendFloorJoin(nil, a, b) }

func TestFloorIsItsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := floorModels().Draw(t, "floor")
		f, err := ParseFloor(m.floor())
		if err != nil || f.Len() != len(m) {
			t.Fatalf("%v parses to %d entries: %v", m, f.Len(), err)
		}
		for i := range f.Len() {
			if id, seq := f.At(i); m[id] != seq {
				t.Fatalf("entry %d of %v is %d for %v", i, m, seq, id)
			}
		}
		for _, id := range append([]kv.NodeID{3}, floorNodes...) {
			if got := f.Seq(id); got != m[id] {
				t.Fatalf("the sequence of %v is %d, want %d", id, got, m[id])
			}
			for _, seq := range []uint64{0, 1, 2, 3, 4, 5, 255, 256, 257, 1<<64 - 1} {
				if got, want := f.Covers(id, seq), seq > 0 && seq <= m[id]; got != want {
					t.Fatalf("%v covers %d of %v: %v, want %v", m, seq, id, got, want)
				}
			}
		}
	})
}

// TestFloorsAreASemilattice: the join is the least floor that includes both.
func TestFloorsAreASemilattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ma, mb, mc := floorModels().Draw(t, "a"), floorModels().Draw(t, "b"), floorModels().Draw(t, "c")
		a, b, c := ma.floor(), mb.floor(), mc.floor()
		want := maps.Clone(ma)
		for id, seq := range mb {
			want[id] = max(want[id], seq)
		}
		if got := AppendFloorJoin([]byte("before"), a, b); !bytes.Equal(got, append([]byte("before"), want.floor()...)) {
			t.Fatalf("%v and %v join to %x", ma, mb, got)
		}
		for _, law := range []struct {
			name        string
			left, right Floor
		}{
			{"a∨a = a", join(a, a), a},
			{"a∨0 = a", join(a, nil), a},
			{"a∨b = b∨a", join(a, b), join(b, a)},
			{"(a∨b)∨c = a∨(b∨c)", join(join(a, b), c), join(a, join(b, c))},
		} {
			if !bytes.Equal(law.left, law.right) {
				t.Fatalf("%s: %x and %x", law.name, law.left, law.right)
			}
		}
		if got, want := a.Includes(b), bytes.Equal(join(a, b), a); got != want {
			t.Fatalf("%v includes %v: %v, want %v", ma, mb, got, want)
		}
		if ab := join(a, b); !ab.Includes(a) || !ab.Includes(b) || c.Includes(a) && c.Includes(b) && !c.Includes(ab) {
			t.Fatalf("the join of %v and %v is not their least bound, over %v", ma, mb, mc)
		}
	})
}

func TestFloorVersion(t *testing.T) {
	if v := Floor(nil).Version(); v != 0 {
		t.Errorf("the zero floor's version is %d", v)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := floorModels().Draw(t, "a").floor(), floorModels().Draw(t, "b").floor()
		if (a.Version() == b.Version()) != bytes.Equal(a, b) {
			t.Fatalf("%x has version %d, %x has %d", a, a.Version(), b, b.Version())
		}
	})
}

func TestParseFloorRefuses(t *testing.T) {
	entries := func(pairs ...uint64) []byte {
		var b []byte
		for i := 0; i < len(pairs); i += 2 {
			b = AppendFloorEntry(b, kv.NodeID(pairs[i]), pairs[i+1])
		}
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		ok   bool
	}{
		{"the zero floor", nil, true},
		{"in order", entries(1, 5, 2, 1), true},
		{"a cut entry", entries(1, 5)[:15], false},
		{"out of order", entries(2, 1, 1, 5), false},
		{"a node twice", entries(1, 5, 1, 6), false},
		{"an expiry mark", entries(0, 5, 1, 5), true},
		{"the last one", entries(0, uint64(kv.MaxExpiry)), true},
		{"one past it", entries(0, uint64(kv.MaxExpiry)+1), false},
		{"an expiry mark that is not the first", entries(1, 5, 0, 5), false},
		{"two expiry marks", entries(0, 5, 0, 6), false},
		{"no sequence", entries(1, 0), false},
	} {
		f, err := ParseFloor(c.b)
		if (err == nil) != c.ok || err != nil && (kv.KindOf(err) != kv.KindInvalid || f != nil) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestExpiryMark: the join has the later mark, and a mark covers no write.
func TestExpiryMark(t *testing.T) {
	writes := floorModel{1: 3, 2: 4}.floor()
	early, late := join(AppendExpiryMark(nil, 10), writes), Floor(AppendExpiryMark(nil, 20))
	for _, c := range []struct {
		name string
		f    Floor
		want kv.Expiry
	}{
		{"the zero floor", nil, 0}, {"no mark", writes, 0}, {"a mark and writes", early, 10}, {"a mark alone", late, 20},
		{"joined", join(early, late), 20}, {"joined the other way", join(late, early), 20}, {"none appended", AppendExpiryMark(nil, 0), 0},
	} {
		if got := c.f.Expiry(); got != c.want {
			t.Errorf("%s: the mark is %d, want %d", c.name, got, c.want)
		}
	}
	if late.Covers(1, 1) || !join(early, late).Covers(1, 3) || late.Includes(writes) || early.Includes(late) {
		t.Error("the mark and the writes are not held apart")
	}
}

func TestFloorsDoNotAllocate(t *testing.T) {
	a, b := floorModel{1: 1, 2: 2, 1 << 63: 3}.floor(), floorModel{1: 1, 2: 3, 1 << 32: 3}.floor()
	room := make([]byte, 0, len(a)+len(b))
	for name, op := range map[string]func(){
		"Covers":   func() { a.Covers(2, 2) },
		"Includes": func() { a.Includes(b) },
		"Join":     func() { AppendFloorJoin(room, a, b) },
		"Version":  func() { a.Version() },
	} {
		if n := testing.AllocsPerRun(100, op); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzParseFloor(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte(floorModel{1: 1, 2: 2}.floor()))
	f.Fuzz(func(t *testing.T, b []byte) {
		fl, err := ParseFloor(b)
		if err != nil {
			if kv.KindOf(err) != kv.KindInvalid {
				t.Fatal(err)
			}
			return
		}
		var again []byte
		for i := range fl.Len() {
			id, seq := fl.At(i)
			again = AppendFloorEntry(again, id, seq)
			if fl.Seq(id) != seq {
				t.Fatalf("entry %d is %d, Seq says %d", i, seq, fl.Seq(id))
			}
		}
		if !bytes.Equal(again, b) || !bytes.Equal(join(fl, fl), b) || !fl.Includes(fl) || (fl.Version() == 0) != (len(b) == 0) {
			t.Fatalf("ParseFloor accepts %x, which is not canonical", b)
		}
	})
}
