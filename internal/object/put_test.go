package object

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// actor returns the n-th actor of these tests; its dots are born in order.
func actor(n int) vclock.Actor { return vclock.Actor{Node: 1, Birth: uint64(n)} }

func ownOf(n int) vclock.Own { return vclock.Own{Actor: actor(n), Counter: 1} }

// withSiblings returns an object of n siblings of size bytes each, by the actors
// 0 to n-1, written at the times 1 to n.
func withSiblings(n, size int) Object { return siblingsFrom(0, n, size) }

// siblingsFrom is withSiblings by the actors first to first+n-1.
func siblingsFrom(first, n, size int) Object {
	b := begin(nil)
	for i := first; i < first+n; i++ {
		b.b = vclock.AppendEntry(b.b, vclock.Entry{Dot: vclock.Dot(ownOf(i)), Seq: uint64(i), Wall: kv.Time(i + 1)})
	}
	b.endClock()
	for i := first; i < first+n; i++ {
		b.sibling(&Sibling{Dot: vclock.Dot(ownOf(i)), Seq: uint64(i), Time: kv.Time(i + 1), Value: make([]byte, size)})
	}
	o, _ := b.end()
	return o
}

func TestPutLimits(t *testing.T) {
	// Fifteen full values and one that leaves exactly as much as is said.
	nearlyFull := func(room int) Object {
		o := withSiblings(15, kv.MaxValue)
		last := kv.MaxObject - len(o.raw) - 2*(vclock.EntrySize+siblingSize) - room
		o, _, _, err := Put(nil, o, Write{Own: ownOf(900), Now: 900, Value: make([]byte, last)})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	all := func(o Object) Context { return ContextOf(o) }
	none := func(Object) Context { return Context{} }
	for _, c := range []struct {
		name  string
		local Object
		ctx   func(Object) Context
		value int
		ok    bool
	}{
		{"the last sibling", withSiblings(kv.MaxSiblings-1, 1), none, 1, true},
		{"one sibling more", withSiblings(kv.MaxSiblings, 1), none, 1, false},
		{"one sibling for all", withSiblings(kv.MaxSiblings, 1), all, 1, true},
		{"one sibling for more than all", withSiblings(kv.MaxSiblings+7, 1), all, 1, true},
		{"the last byte", nearlyFull(100), none, 100, true},
		{"one byte more", nearlyFull(100), none, 101, false},
		{"one value for all", nearlyFull(100), all, kv.MaxValue, true},
	} {
		before := bytes.Clone(c.local.raw)
		dst := []byte("kept")
		o, buf, _, err := Put(dst, c.local, Write{
			Context: c.ctx(c.local), Own: ownOf(1000), Now: 1000, Value: make([]byte, c.value),
		})
		if (err == nil) != c.ok || err != nil && kv.KindOf(err) != kv.KindTooManySiblings {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err != nil && (o.raw != nil || string(buf) != "kept" || !bytes.Equal(before, c.local.raw)) {
			t.Errorf("%s: the refused put changed something", c.name)
		}
		if err == nil {
			if _, err := Parse(o.raw); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// TestMergeIsNotCapped: caps refuse puts, never merges (P7).
func TestMergeIsNotCapped(t *testing.T) {
	const n = MaxClock
	o := mustMerge(siblingsFrom(0, n, 1<<15), siblingsFrom(n, n, 1<<15))
	if o.Len() != 2*n || o.Clock().Len() != 2*n || len(o.raw) <= kv.MaxObject {
		t.Errorf("%d siblings, %d clock entries, %d bytes", o.Len(), o.Clock().Len(), len(o.raw))
	}
	if _, err := Parse(o.raw); err != nil {
		t.Error(err)
	}
}

// TestClockCap puts at times that climb with the actors' births, so that the
// oldest entry is the one of the lowest birth.
func TestClockCap(t *testing.T) {
	entries := func(o Object) []uint64 {
		var births []uint64
		for i := range o.Clock().Len() {
			births = append(births, o.Clock().At(i).Birth)
		}
		return births
	}
	for _, c := range []struct {
		name string
		// siblings are those of the local copy, by actors 0 to siblings-1;
		// seen says how many of them, the last, the context covers.
		siblings, seen, limit int
		merge                 kv.Merge
		want                  []uint64
		dropped               int
	}{
		{"at the limit", 3, 3, 4, kv.MergeSiblings, []uint64{0, 1, 2, 9}, 0},
		{"one past it the oldest goes", 3, 3, 3, kv.MergeSiblings, []uint64{1, 2, 9}, 1},
		{"never the new sibling's", 3, 3, 1, kv.MergeSiblings, []uint64{9}, 3},
		{"never a live sibling's", 3, 2, 2, kv.MergeSiblings, []uint64{0, 9}, 2},
		{"even beyond the limit", 3, 1, 1, kv.MergeSiblings, []uint64{0, 1, 9}, 1},
		{"lww has no live sibling to keep", 3, 0, 2, kv.MergeLWW, []uint64{1, 2}, 1},
		{"the default", 255, 255, 0, kv.MergeSiblings, nil, 0},
		{"one past the default", 256, 256, 0, kv.MergeSiblings, nil, 1},
	} {
		local := withSiblings(c.siblings, 1)
		ctx := Context{Clock: local.Clock()[(c.siblings-c.seen)*vclock.EntrySize:]}
		o, _, dropped, err := Put(nil, local, Write{Merge: c.merge, Context: ctx, Now: 1000, Own: ownOf(9), MaxClock: c.limit})
		if c.want == nil {
			o, _, dropped, err = Put(nil, local, Write{Context: ctx, Now: 1000, Own: ownOf(999)})
			if o.Clock().Len() != MaxClock {
				t.Errorf("%s: %d entries, want %d", c.name, o.Clock().Len(), MaxClock)
			}
		} else if diff := cmp.Diff(c.want, entries(o)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if err != nil || dropped != c.dropped {
			t.Errorf("%s: %d dropped, want %d; %v", c.name, dropped, c.dropped, err)
		}
		if _, err := Parse(o.raw); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestHybridTime(t *testing.T) {
	lww := func(local Object, now kv.Time, ctx Context, n int) Object {
		o, _, _, err := Put(nil, local, Write{Merge: kv.MergeLWW, Now: now, Context: ctx, Own: ownOf(n)})
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	timeOf := func(o Object) kv.Time { return o.register().tag.time }
	first := lww(Object{}, 100, Context{}, 1)
	causal, _, _, err := Put(nil, first, Write{Now: 7000, Context: ContextOf(first), Own: ownOf(2)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		local Object
		now   kv.Time
		ctx   Context
		want  kv.Time
	}{
		{"the clock", Object{}, 5, Context{}, 5},
		{"past the local copy", first, 50, Context{}, 101},
		{"the clock again, once it is ahead", first, 102, Context{}, 102},
		{"past the context", Object{}, 50, ContextOf(first), 101},
		{"past a context that has only a time", Object{}, 50, Context{Time: 300}, 301},
		{"past a superseded lww write", causal, 50, Context{}, 101},
		{"not past a causal write, whose clock nobody checks", causal, 200, ContextOf(causal), 200},
	} {
		if got := timeOf(lww(c.local, c.now, c.ctx, 3)); got != c.want {
			t.Errorf("%s: time %d, want %d", c.name, got, c.want)
		}
	}
}

// TestGreatestWriteWins merges the lww writes of many nodes in any order.
func TestGreatestWriteWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var greatest tag
		var merged Object
		for range rapid.IntRange(1, 8).Draw(t, "writes") {
			own := vclock.Own{
				Actor:   vclock.Actor{Node: kv.NodeID(rapid.IntRange(1, 2).Draw(t, "node")), Birth: rapid.Uint64Range(1, 2).Draw(t, "birth")},
				Counter: rapid.Uint64Range(1, 3).Draw(t, "counter"),
			}
			o, _, _, err := Put(nil, Object{}, Write{Merge: kv.MergeLWW, Now: kv.Time(rapid.IntRange(1, 3).Draw(t, "now")), Own: own, Seq: own.Birth + own.Counter})
			if err != nil {
				t.Fatal(err)
			}
			if x := o.register().tag; x.after(greatest) {
				greatest = x
			}
			merged = mustMerge(merged, o)
		}
		if got := merged.register(); got != (register{tag: greatest}) || merged.Len() != 1 || merged.Clock().Len() != 0 {
			t.Fatalf("%v of %d siblings and %d clock entries is left, want %v alone", got, merged.Len(), merged.Clock().Len(), greatest)
		}
	})
}

// TestClientsOfLWWSeeProgress: in an lww bucket whose clocks are within the
// skew, a write is never lost to one that its client had seen.
func TestClientsOfLWWSeeProgress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(kv.MergeLWW).Draw(t, "world")
		for e, x := range w.writes {
			for f := range w.writes {
				if x.after.has(f) && w.beats(f, e) {
					t.Fatalf("write %d is before write %d, which it follows:\n%v", e, f, w)
				}
			}
		}
	})
}
