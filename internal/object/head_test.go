package object

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// TestHeadTells shows that heads tell of merges and puts what objects do.
func TestHeadTells(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		a, fa := w.drawUnder(t, "a")
		b, fb := w.drawUnder(t, "b")
		if a.raw == nil {
			return
		}
		room := AppendHead(nil, a)
		head, err := Parse(room)
		switch {
		case err != nil:
			t.Fatal(err)
		case len(room) != HeadSize(a):
			t.Fatalf("a head of %d bytes, not %d", len(room), HeadSize(a))
		case Digest(head, nil) != Digest(a, nil) || Soonest(head) != Soonest(a):
			t.Fatalf("the head %x is not that of %x", room, a.raw)
		}
		for c := head.Siblings(); c.Next(); {
			if len(c.Value) > 0 {
				t.Fatalf("a value in the head: %q", c.Value)
			}
		}
		_, _, want, err := MergeUnder(nil, a, b, fa, fb)
		if err != nil {
			t.Fatal(err)
		}
		if got := CompareHead(head, b, fa, fb); got != want {
			t.Fatalf("merge of %x and %x: outcome %v, by its head %v", a.raw, b.raw, want, got)
		}
		put := Write{
			Merge: rapid.SampledFrom(w.rules).Draw(t, "rule"), Context: Context{Clock: b.clock}, Now: 1 << 40,
			Own: ownOf(99), Seq: 1, Value: []byte("v"),
		}
		o, _, _, err := Put(nil, a, put)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(o.Len() == 1, Supersedes(put, head)); diff != "" {
			t.Fatalf("put to %x with %x:\n%s", a.raw, b.clock, diff)
		}
	})
}

// TestHeadKeepsWhatIsNoValue shows that a head has content type, expiry and meta.
func TestHeadKeepsWhatIsNoValue(t *testing.T) {
	w := Write{
		Merge: kv.MergeSiblings, Now: 7, Own: ownOf(1), Seq: 1, ContentType: []byte("text/plain"),
		Value: []byte("value"), Expires: 1 << 41, Meta: []byte("meta"),
	}
	o, _, _, err := Put(nil, Object{}, w)
	if err != nil {
		t.Fatal(err)
	}
	w.Value = nil
	want, _, _, err := Put(nil, Object{}, w)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Bytes(), AppendHead(nil, o)); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}
