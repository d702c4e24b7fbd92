package object

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

func mustPrune(o Object, f vclock.Floor) Object {
	o, _, _ = Prune(nil, o, f)
	return o
}

// floorIn draws a floor that the holder of a copy which has seen the writes in
// set may have: for each node it ends before the node's first write that is not
// in set.
func (w *world) floorIn(t *rapid.T, by set, name string) vclock.Floor {
	f := vclock.Floor(vclock.AppendExpiryMark(nil, kv.Expiry(rapid.IntRange(0, lastMark).Draw(t, name+"'s mark"))))
	for _, n := range w.nodes {
		seq := rapid.Uint64Range(0, w.seq).Draw(t, name)
		for e, x := range w.writes {
			if x.Node == n.id && !by.has(e) {
				seq = min(seq, x.Seq-1)
			}
		}
		if seq > 0 {
			f = vclock.AppendFloorEntry(f, n.id, seq)
		}
	}
	return f
}

// drawUnder draws an object of the execution and a floor for its holder; now and
// then the floor alone, of a holder that has dropped the record.
func (w *world) drawUnder(t *rapid.T, name string) (Object, vclock.Floor) {
	var s seen
	if len(w.all) > 0 {
		s = w.all[rapid.IntRange(0, len(w.all)-1).Draw(t, name)]
	}
	f := w.floorIn(t, s.set, name+"'s floor")
	if o := mustPrune(s.Object, f); o.raw == nil {
		return o, f
	}
	return s.Object, f
}

// TestPruneDrops holds Prune against its definition, and each of Digest and
// Reapable against Prune.
func TestPruneDrops(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		o := w.draw(t)
		f := w.floorIn(t, ^set(0), "floor")
		dst := []byte("before")
		got, buf, changed := Prune(dst, o, f)
		if diff := cmp.Diff(leftUnder(o, f), describe(got)); diff != "" {
			t.Fatalf("(-want +got):\n%s%v", diff, w)
		}
		if changed == bytes.Equal(got.raw, o.raw) || !bytes.HasPrefix(buf, dst) {
			t.Fatalf("changed is %v\n%v", changed, w)
		}
		if want := append(dst, got.raw...); changed && !bytes.Equal(buf, want) {
			t.Fatalf("the buffer is %x, want %x", buf, want)
		}
		if got.raw != nil {
			checkParse(t, got.raw)
		}
		if d, want := Digest(o, f), VersionHash(got); d != want {
			t.Fatalf("the digest is %x, what is left has %x\n%v", d, want, w)
		}
		if again, _, changed := Prune(nil, got, f); changed || !bytes.Equal(again.raw, got.raw) {
			t.Fatalf("pruned twice it is another\n%v", w)
		}
		higher := vclock.Floor(vclock.AppendFloorJoin(nil, f, w.floorIn(t, ^set(0), "more")))
		if a, b := mustPrune(got, higher), mustPrune(o, higher); !bytes.Equal(a.raw, b.raw) {
			t.Fatalf("pruned in two steps it is another (-two +one):\n%s", cmp.Diff(describe(a), describe(b)))
		}
	})
}

// leftUnder is the specification of Prune: it describes what it leaves of o.
func leftUnder(o Object, f vclock.Floor) []string {
	b := begin(nil)
	left := func(s Sibling) bool {
		return !s.Deleted && (s.Expires == 0 || s.Expires > f.Expiry()) || !f.Covers(s.Node, s.Seq)
	}
	for i := range o.clock.Len() {
		e := o.clock.At(i)
		keep := !f.Covers(e.Node, e.Seq)
		for c := o.Siblings(); c.Next(); {
			keep = keep || c.Actor == e.Actor && !c.LWW && left(c.Sibling)
		}
		if keep {
			b.b = vclock.AppendEntry(b.b, e)
		}
	}
	b.endClock()
	if r := o.register(); r.fate == dead && !f.Covers(r.tag.dot.Node, r.tag.seq) {
		b.horizon(r)
	}
	for c := o.Siblings(); c.Next(); {
		if left(c.Sibling) {
			b.sibling(&c.Sibling)
		}
	}
	res, _ := b.end()
	return describe(res)
}

func TestReapable(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		o := w.draw(t)
		var all vclock.Floor
		for _, n := range w.nodes {
			all = vclock.AppendFloorEntry(all, n.id, w.seq)
		}
		left := mustPrune(o, all)
		lines := len(describe(o)) - len(describe(left))
		if tombstones, entries := Reapable(o); tombstones != o.Len()-left.Len() || tombstones+entries != lines {
			t.Fatalf("%d tombstones and %d entries, want %d of %d\n%v", tombstones, entries, o.Len()-left.Len(), lines, w)
		}
	})
}

// TestMergeUnderLaws are the laws of Merge as far as they hold under floors.
func TestMergeUnderLaws(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		a, fa := w.drawUnder(t, "a")
		b, fb := w.drawUnder(t, "b")
		ab := mustMergeUnder(a, b, fa, fb)
		for _, law := range []struct {
			name        string
			left, right Object
		}{
			{"a∪b = b∪a", ab, mustMergeUnder(b, a, fb, fa)},
			{"a∪a = a", mustMergeUnder(a, a, fa, fa), a},
			{"(a∪b)∪b = a∪b", mustMergeUnder(ab, b, fa, fb), ab},
			{"a∪(a∪b) = a∪b", mustMergeUnder(a, ab, fa, fb), ab},
			{"(a∪b)∪(a∪b) = a∪b", mustMergeUnder(ab, ab, fa, fb), ab},
		} {
			if !bytes.Equal(law.left.raw, law.right.raw) {
				t.Fatalf("%s (-left +right):\n%sunder %x and %x\n%v", law.name, cmp.Diff(describe(law.left), describe(law.right)), fa, fb, w)
			}
		}
		if ab.raw != nil {
			checkParse(t, ab.raw)
		}
	})
}

// TestMergeUnderOutcome: First and Second say which object the result equals.
func TestMergeUnderOutcome(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		a, fa := w.drawUnder(t, "a")
		b, fb := w.drawUnder(t, "b")
		m := mixing{a: a, b: b, fa: fa, fb: fb}
		m.registers()
		general, _, err := m.appendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(describe(general)) == 0 {
			general = Object{}
		}
		want := Mixed
		switch {
		case bytes.Equal(general.raw, a.raw):
			want = First
		case bytes.Equal(general.raw, b.raw):
			want = Second
		}
		got, _, outcome, err := MergeUnder(nil, a, b, fa, fb)
		if err != nil || outcome != want || !bytes.Equal(got.raw, general.raw) {
			t.Fatalf("outcome %d, %v, want %d (-want +got):\n%s%v", outcome, err, want, cmp.Diff(describe(general), describe(got)), w)
		}
	})
}

// TestPrunedOrNot: whether the holder of a copy has dropped what its floor lets
// it drop makes no difference to what comes of it.
func TestPrunedOrNot(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		a, fa := w.drawUnder(t, "a")
		b, fb := w.drawUnder(t, "b")
		both := vclock.Floor(vclock.AppendFloorJoin(nil, fa, fb))
		want := mustPrune(mustMergeUnder(a, b, fa, fb), both)
		for _, c := range []struct {
			name string
			a, b Object
		}{
			{"a", mustPrune(a, fa), b},
			{"b", a, mustPrune(b, fb)},
			{"both", mustPrune(a, fa), mustPrune(b, fb)},
		} {
			got := mustMergeUnder(c.a, c.b, fa, fb)
			if diff := cmp.Diff(describe(want), describe(mustPrune(got, both))); diff != "" {
				t.Fatalf("pruned %s (-not +pruned):\n%sunder %x and %x\n%v", c.name, diff, fa, fb, w)
			}
			if Digest(got, both) != VersionHash(want) {
				t.Fatalf("pruned %s: another digest\n%v", c.name, w)
			}
		}
	})
}

// TestFloorsRemember: no value that a copy had let go comes back, when an old
// copy of it comes late to a holder whose floor covers it.
func TestFloorsRemember(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		a, fa := w.drawUnder(t, "a")
		late, _ := w.drawUnder(t, "late")
		for _, merged := range []Object{mustMergeUnder(mustPrune(a, fa), late, fa, nil), mustMergeUnder(late, mustPrune(a, fa), nil, fa)} {
			for c := late.Siblings(); c.Next(); {
				had, has := find(a, c.Dot) != nil, find(merged, c.Dot) != nil
				if fa.Covers(c.Node, c.Seq) && !c.Deleted && has && !had {
					t.Fatalf("%s is back\n%v", show(c.Sibling), w)
				}
			}
		}
	})
}

// TestSequencesGoBack: a write that drew its sequence number before another of
// the same actor, and was counted after it, does not let a floor forget the
// other.
func TestSequencesGoBack(t *testing.T) {
	own := func(n uint64) vclock.Own { return vclock.Own{Actor: actor(1), Counter: n} }
	put := func(local Object, w Write) Object {
		o, _, _, err := Put(nil, local, w)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	first := put(Object{}, Write{Own: own(1), Seq: 6})
	second := put(first, Write{Own: own(2), Seq: 5, Context: ContextOf(first), Deleted: true})
	for seq, left := range map[uint64]int{4: 1, 5: 0, 6: 0} {
		f := vclock.Floor(vclock.AppendFloorEntry(nil, 1, seq))
		o := mustPrune(second, f)
		if o.Len() != left {
			t.Errorf("under %d, %d siblings are left, want %d", seq, o.Len(), left)
		}
		if back := mustMergeUnder(o, first, f, nil); back.Live() != 0 {
			t.Errorf("under %d the first write is back", seq)
		}
	}
}

// FuzzMergeUnder merges any two objects under any floors.
func FuzzMergeUnder(f *testing.F) {
	floor := vclock.AppendFloorEntry(vclock.AppendFloorEntry(nil, 1, 2), 2, 9)
	for _, a := range samples() {
		for _, b := range samples() {
			f.Add(a.raw, b.raw, floor, floor[vclock.FloorEntrySize:])
			f.Add(a.raw, b.raw, []byte(nil), floor)
		}
	}
	f.Fuzz(func(t *testing.T, x, y, g, h []byte) {
		if len(x)+len(y)+len(g)+len(h) > 1<<16 {
			return
		}
		fa, errFA := vclock.ParseFloor(g)
		fb, errFB := vclock.ParseFloor(h)
		a, errA := parseOrZero(x)
		b, errB := parseOrZero(y)
		if errA != nil || errB != nil || errFA != nil || errFB != nil {
			return
		}
		ab, ba := mustMergeUnder(a, b, fa, fb), mustMergeUnder(b, a, fb, fa)
		if !bytes.Equal(ab.raw, ba.raw) {
			t.Fatalf("a∪b is not b∪a:\n%v\n%v", describe(ab), describe(ba))
		}
		if ab.raw != nil {
			checkParse(t, ab.raw)
		}
		left := mustPrune(ab, fa)
		if diff := cmp.Diff(leftUnder(ab, fa), describe(left)); diff != "" || Digest(ab, fa) != VersionHash(left) {
			t.Fatalf("pruned (-want +got):\n%s", diff)
		}
		if left.raw != nil {
			checkParse(t, left.raw)
		}
	})
}

// parseOrZero is Parse, with no bytes for the zero Object.
func parseOrZero(b []byte) (Object, error) {
	if len(b) == 0 {
		return Object{}, nil
	}
	return Parse(b)
}
