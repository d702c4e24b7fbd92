package object

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// inEachBucket checks property over executions in a bucket of each merge rule,
// and in one whose rule changes while nodes still believe in the other.
func inEachBucket(t *testing.T, property func(*rapid.T, *world)) {
	for name, rules := range map[string][]kv.Merge{
		"siblings": {kv.MergeSiblings},
		"lww":      {kv.MergeLWW},
		"changing": {kv.MergeSiblings, kv.MergeLWW},
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { property(t, drawWorld(rules...).Draw(t, "world")) })
		})
	}
}

// draw picks one of the objects that the execution made, or the zero Object.
func (w *world) draw(t *rapid.T) Object {
	if len(w.all) == 0 {
		return Object{}
	}
	return w.all[rapid.IntRange(0, len(w.all)-1).Draw(t, "object")].Object
}

// TestObjectIsWhatItHasSeen is the definition of an object: it is a function of
// the set of writes that it has seen, whatever the way it saw them.
func TestObjectIsWhatItHasSeen(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		for _, o := range w.all {
			if diff := cmp.Diff(w.says(o.set), describe(o.Object)); diff != "" {
				t.Fatalf("after the writes %b (-want +got):\n%s%v", o.set, diff, w)
			}
		}
	})
}

func TestMergeLaws(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		a, b, c := w.draw(t), w.draw(t), w.draw(t)
		for _, law := range []struct {
			name        string
			left, right Object
		}{
			{"a∪a = a", mustMerge(a, a), a},
			{"a∪0 = a", mustMerge(a, Object{}), a},
			{"0∪a = a", mustMerge(Object{}, a), a},
			{"a∪b = b∪a", mustMerge(a, b), mustMerge(b, a)},
			{"(a∪b)∪c = a∪(b∪c)", mustMerge(mustMerge(a, b), c), mustMerge(a, mustMerge(b, c))},
			{"(a∪b)∪a = a∪b", mustMerge(mustMerge(a, b), a), mustMerge(a, b)},
		} {
			if !bytes.Equal(law.left.raw, law.right.raw) {
				t.Fatalf("%s (-left +right):\n%s%v", law.name, cmp.Diff(describe(law.left), describe(law.right)), w)
			}
		}
	})
}

// TestCopiesConverge lets every node hear of every object, each in an order of
// its own.
func TestCopiesConverge(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		if len(w.all) == 0 {
			return
		}
		var want set
		for _, o := range w.all {
			want |= o.set
		}
		for _, n := range w.nodes {
			for _, o := range rapid.Permutation(w.all).Draw(t, "order") {
				n.Object = mustMerge(n.Object, o.Object)
			}
			if !bytes.Equal(n.raw, w.nodes[0].raw) {
				t.Fatalf("nodes differ (-first +other):\n%s%v", cmp.Diff(describe(w.nodes[0].Object), describe(n.Object)), w)
			}
		}
		if diff := cmp.Diff(w.says(want), describe(w.nodes[0].Object)); diff != "" {
			t.Fatalf("after all writes (-want +got):\n%s%v", diff, w)
		}
	})
}

// TestMergeWithoutCopying holds the merges that return one of their arguments
// against the general way, over all pairs of objects of an execution.
func TestMergeWithoutCopying(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		for _, a := range w.all {
			for _, b := range w.all {
				m := mixing{a: a.Object, b: b.Object}
				m.registers()
				general, _, err := m.appendTo(nil)
				if err != nil {
					t.Fatal(err)
				}
				want := Mixed
				switch {
				case bytes.Equal(general.raw, a.raw):
					want = First
				case bytes.Equal(general.raw, b.raw):
					want = Second
				}
				got, _, outcome, err := Merge(nil, a.Object, b.Object)
				if err != nil || outcome != want || !bytes.Equal(got.raw, general.raw) {
					t.Fatalf("outcome %d, %v, want %d (-want +got):\n%s%v", outcome, err, want, cmp.Diff(describe(general), describe(got)), w)
				}
			}
		}
	})
}

// TestNoSiblingIsAnAncestor is P6 in its own words; that siblings never
// outnumber the concurrent writes follows, for they are concurrent writes.
func TestNoSiblingIsAnAncestor(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		number := map[vclock.Dot]int{}
		for e, x := range w.writes {
			number[x.Dot] = e
		}
		for _, o := range w.all {
			for a := o.Siblings(); a.Next(); {
				for b := o.Siblings(); b.Next(); {
					if w.writes[number[a.Dot]].after.has(number[b.Dot]) {
						t.Fatalf("%s is an ancestor of %s:\n%v", show(b.Sibling), show(a.Sibling), w)
					}
				}
			}
		}
	})
}

// TestMergeAfterDefect lets two encodings of one dot be about, which only a
// defect could bring; copies must come out alike all the same.
func TestMergeAfterDefect(t *testing.T) {
	put := func(w Write) Object {
		w.Own = vclock.Own{Actor: vclock.Actor{Node: 1, Birth: 1}, Counter: 1}
		o, _, _, err := Put(nil, Object{}, w)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	at := func(now kv.Time, value string, merge kv.Merge) Object {
		return put(Write{Merge: merge, Now: now, Value: []byte(value), Seq: 1})
	}
	for name, pair := range map[string][2]Object{
		"sequences":     {at(5, "x", kv.MergeSiblings), put(Write{Now: 5, Value: []byte("x"), Seq: 2})},
		"lww sequences": {at(5, "x", kv.MergeLWW), put(Write{Merge: kv.MergeLWW, Now: 5, Value: []byte("x"), Seq: 2})},
		"lww deletes":   {at(5, "x", kv.MergeLWW), put(Write{Merge: kv.MergeLWW, Now: 5, Deleted: true, Seq: 1})},
		"values":        {at(5, "x", kv.MergeSiblings), at(5, "y", kv.MergeSiblings)},
		"times":         {at(5, "x", kv.MergeSiblings), at(6, "x", kv.MergeSiblings)},
		"lww value":     {at(5, "x", kv.MergeLWW), at(5, "y", kv.MergeLWW)},
		"lww time":      {at(6, "x", kv.MergeLWW), at(5, "y", kv.MergeLWW)},
		"rules":         {at(5, "x", kv.MergeSiblings), at(5, "x", kv.MergeLWW)},
	} {
		ab, ba := mustMerge(pair[0], pair[1]), mustMerge(pair[1], pair[0])
		if diff := cmp.Diff(describe(ab), describe(ba)); diff != "" {
			t.Errorf("%s: a∪b and b∪a differ:\n%s", name, diff)
		}
		if _, err := Parse(ab.Bytes()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMergeBeyondTheFormat: a merge is refused only where the format ends.
func TestMergeBeyondTheFormat(t *testing.T) {
	many := func(node kv.NodeID, n int) Object {
		b := begin(nil)
		for i := range n {
			b.b = vclock.AppendEntry(b.b, vclock.Entry{Dot: vclock.Dot{Actor: vclock.Actor{Node: node, Birth: uint64(i)}, Counter: 1}})
		}
		b.endClock()
		o, _ := b.end()
		return o
	}
	dst := []byte("kept")
	for _, c := range []struct {
		n    int
		want kv.Kind
		ok   bool
	}{{maxCount, 0, true}, {maxCount + 1, kv.KindTooManySiblings, false}} {
		o, buf, _, err := Merge(dst, many(1, c.n-1000), many(2, 1000))
		if (err == nil) != c.ok || err != nil && kv.KindOf(err) != c.want {
			t.Errorf("%d entries: %v", c.n, err)
		}
		if err == nil && o.Clock().Len() != c.n {
			t.Errorf("%d entries, want %d", o.Clock().Len(), c.n)
		}
		if err != nil && string(buf) != "kept" {
			t.Errorf("after an error the buffer is %q", buf)
		}
	}
}
