package object

import (
	"fmt"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// sized returns an object with a clock of entries entries and one sibling of
// size bytes, by the last of its actors; more changes that sibling's counter.
func sized(entries, size int, more uint64) Object {
	b := begin(nil)
	var d vclock.Dot
	for i := range entries {
		d = vclock.Dot{Actor: actor(i), Counter: 1}
		if i == entries-1 {
			d.Counter += more
		}
		b.b = vclock.AppendEntry(b.b, vclock.Entry{Dot: d, Seq: uint64(i), Wall: kv.Time(i)})
	}
	b.endClock()
	b.sibling(&Sibling{Dot: d, ContentType: []byte("text/plain"), Value: make([]byte, size)})
	o, _ := b.end()
	return o
}

// hot are the operations that every request does; none of them allocates.
func hot() map[string]func() {
	older, newer := sized(3, 1024, 0), sized(3, 1024, 1)
	concurrent := mustMerge(sized(2, 1024, 1), sized(3, 1024, 0))
	sealed := mustSeal(panics{}, ContextOf(newer))
	// A floor of five nodes , of which one lets an entry go.
	var floor vclock.Floor
	for id := range kv.NodeID(5) {
		floor = vclock.AppendFloorEntry(floor, id+1, 1)
	}
	room := make([]byte, 0, 16<<10)
	merge := func(a, b Object, want Outcome) func() {
		return func() {
			if _, _, got, err := Merge(room, a, b); got != want || err != nil {
				panic("the merge came out otherwise")
			}
		}
	}
	under := func(a, b Object, want Outcome) func() {
		return func() {
			if _, _, got, err := MergeUnder(room, a, b, floor, floor); got != want || err != nil {
				panic("the merge came out otherwise")
			}
		}
	}
	return map[string]func(){
		"MergeUnder/first":  under(newer, older, First),
		"MergeUnder/second": under(older, newer, Second),
		"MergeUnder/absent": under(Object{}, newer, Second),
		"Prune":             func() { Prune(room, newer, floor) },
		"Digest":            func() { Digest(newer, floor) },
		"Reapable":          func() { Reapable(newer) },
		"Merge/equal":       merge(newer, sized(3, 1024, 1), First),
		"Merge/first":       merge(newer, older, First),
		"Merge/second":      merge(older, newer, Second),
		"Merge/mixed":       merge(sized(2, 1024, 1), sized(3, 1024, 0), Mixed),
		"Merge/siblings":    merge(concurrent, older, First),
		"VersionHash":       func() { VersionHash(newer) },
		"Parse": func() {
			if _, err := Parse(newer.raw); err != nil {
				panic(err)
			}
		},
		"Put": func() {
			if _, _, _, err := Put(room, newer, Write{Own: ownOf(1), Value: newer.raw[:1024]}); err != nil {
				panic(err)
			}
		},
		"SealAndOpen": func() {
			b, err := testSealer.AppendSealed(room, ContextOf(newer))
			if err == nil {
				_, err = testSealer.Open(b)
			}
			if err != nil {
				panic(err)
			}
		},
		"Open": func() {
			if _, err := testSealer.Open(sealed); err != nil {
				panic(err)
			}
		},
	}
}

type panics struct{}

func (panics) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// BenchmarkHot runs over objects of three clock entries and 1 KiB.
func BenchmarkHot(b *testing.B) {
	for name, op := range hot() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				op()
			}
		})
	}
}

// BenchmarkMergeWideClocks merges objects at the clock's hard cap.
func BenchmarkMergeWideClocks(b *testing.B) {
	older, newer := sized(MaxClock, 1024, 0), sized(MaxClock, 1024, 1)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, outcome, err := Merge(nil, newer, older); outcome != First || err != nil {
			b.Fatal(outcome, err)
		}
	}
}
