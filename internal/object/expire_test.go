package object

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// TestHide holds Hide, LiveAt and Soonest against their definitions.
func TestHide(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		o := w.draw(t)
		now := kv.Time(rapid.IntRange(0, 1000*(lastMark+1)).Draw(t, "now"))
		dst := []byte("before")
		got, buf := Hide(dst, o, now)
		if diff := cmp.Diff(shownAt(o, now), describe(got)); diff != "" {
			t.Fatalf("at %d (-want +got):\n%s%v", now, diff, w)
		}
		same := bytes.Equal(got.raw, o.raw)
		if want := append(dst, got.raw...); !bytes.HasPrefix(buf, dst) || !same && !bytes.Equal(buf, want) || same && len(buf) > len(dst) {
			t.Fatalf("the buffer is %x\n%v", buf, w)
		}
		if got.raw != nil {
			checkParse(t, got.raw)
		}
		seen, shown := ContextOf(o), ContextOf(got)
		if !bytes.Equal(seen.Clock, shown.Clock) || seen.tag() != shown.tag() {
			t.Fatalf("what is hidden is left out of the context: %v, %v\n%v", seen, shown, w)
		}
		if got.Live() != o.LiveAt(now) {
			t.Fatalf("%d are shown, %d live\n%v", got.Live(), o.LiveAt(now), w)
		}
		soonest := Soonest(o)
		if hides := soonest.Passed(now); hides == same {
			t.Fatalf("the soonest expires at %d, hidden at %d: %v\n%v", soonest, now, !same, w)
		}
	})
}

// shownAt is the specification of Hide.
func shownAt(o Object, now kv.Time) []string {
	var lines []string
	for _, l := range describe(o) {
		hidden := false
		for c := o.Siblings(); c.Next(); {
			if l != "sibling "+show(c.Sibling) || !c.Expires.Passed(now) {
				continue
			}
			hidden = true
			if c.LWW {
				lines = append(lines, showHorizon(c.Time, c.Dot))
			}
		}
		if !hidden {
			lines = append(lines, l)
		}
	}
	slices.Sort(lines)
	return lines
}

// TestPlainObjects: who uses neither expiry nor meta keeps objects that a node of
// the version before reads.
func TestPlainObjects(t *testing.T) {
	d := vclock.Dot{Actor: vclock.Actor{Node: 1, Birth: 1}, Counter: 1}
	put := func(local Object, w Write) Object {
		w.Own, w.Seq = vclock.Own(d), d.Counter
		d.Counter++
		o, _, _, err := Put(nil, local, w)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	plain := put(Object{}, Write{Value: []byte("v")})
	with := put(plain, Write{Value: []byte("w"), Meta: []byte("m"), Expires: 5})
	again := put(with, Write{Value: []byte("x"), Context: ContextOf(with)})
	for _, c := range []struct {
		name string
		o    Object
		want byte
	}{
		{"a plain put", plain, versionPlain}, {"with an expiry and meta beside it", with, Version},
		{"once a plain put has superseded both", again, versionPlain},
		{"a plain object merged with another", mustMerge(plain, with), Version},
	} {
		if c.o.raw[0] != c.want {
			t.Errorf("%s: version %d, want %d", c.name, c.o.raw[0], c.want)
		}
	}
	hidden, _ := Hide(nil, with, 5000)
	if hidden.raw[0] != versionPlain || hidden.Len() != 1 {
		t.Errorf("what is shown has version %d and %d siblings", hidden.raw[0], hidden.Len())
	}
	pruned := mustPrune(with, append(vclock.AppendExpiryMark(nil, 5), vclock.AppendFloorEntry(nil, 1, 9)...))
	if pruned.raw[0] != versionPlain || pruned.Len() != 1 {
		t.Errorf("what is left has version %d and %d siblings", pruned.raw[0], pruned.Len())
	}
}
