package object

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// encode builds o anew from what its methods tell of it.
func encode(o Object) []byte {
	b := begin(nil)
	for i := range o.Clock().Len() {
		b.b = vclock.AppendEntry(b.b, o.Clock().At(i))
	}
	b.endClock()
	b.horizon(o.register())
	for c := o.Siblings(); c.Next(); {
		b.sibling(&c.Sibling)
	}
	o, _ = b.end()
	return o.raw
}

// checkParse fails unless b is refused, or is the one encoding of an object on
// which everything works.
func checkParse(t interface{ Fatalf(string, ...any) }, b []byte) {
	o, err := Parse(b)
	if err != nil {
		if k := kv.KindOf(err); k != kv.KindInvalid && k != kv.KindWrongVersion {
			t.Fatalf("Parse(%x): kind %v", b, k)
		}
		if o.raw != nil {
			t.Fatalf("Parse(%x) returned an object and an error", b)
		}
		return
	}
	if again := encode(o); !bytes.Equal(again, b) {
		t.Fatalf("Parse accepts\n%x, whose encoding is\n%x", b, again)
	}
	if live := o.Live(); live > o.Len() || VersionHash(o) == 0 {
		t.Fatalf("%d of %d siblings live, hash %d", live, o.Len(), VersionHash(o))
	}
	if m := mustMerge(o, o); !bytes.Equal(m.raw, b) {
		t.Fatalf("%x merged with itself is %x", b, m.raw)
	}
}

// samples are objects of every shape.
func samples() []Object {
	w := newWorld(2, 1)
	a, b := w.nodes[0], w.nodes[1]
	w.put(a, -1, kv.MergeSiblings, false)
	w.put(a, -1, kv.MergeSiblings, true)
	w.put(b, -1, kv.MergeLWW, false)
	w.merge(a.seen, b.seen)
	w.get(0, b)
	w.put(b, 0, kv.MergeSiblings, false)
	w.merge(a.seen, b.seen)
	var out []Object
	for _, o := range w.all {
		out = append(out, o.Object)
	}
	return out
}

func TestParseAcceptsWhatIsMade(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		for _, o := range w.all {
			got, err := Parse(o.raw)
			if err != nil {
				t.Fatalf("%v\n%v", err, describe(o.Object))
			}
			if !slices.Equal(describe(got), describe(o.Object)) {
				t.Fatalf("parsed %v, made %v", describe(got), describe(o.Object))
			}
			checkParse(t, o.raw)
		}
	})
}

// TestParseDamaged changes each byte of each sample to every other value, cuts
// it at every place, and adds a byte.
func TestParseDamaged(t *testing.T) {
	refused := 0
	for _, o := range samples() {
		for i := range o.raw {
			b := bytes.Clone(o.raw)
			for d := 1; d < 256; d++ {
				b[i] = o.raw[i] ^ byte(d)
				checkParse(t, b)
			}
			if _, err := Parse(o.raw[:i]); err == nil {
				t.Errorf("cut to %d of %d bytes it is accepted", i, len(o.raw))
			}
			if i < headerSize {
				if _, err := Parse(b); err == nil {
					t.Errorf("byte %d of the header can be changed", i)
				}
				refused++
			}
		}
		if _, err := Parse(append(bytes.Clone(o.raw), 0)); err == nil {
			t.Errorf("a byte more is accepted")
		}
	}
	if refused == 0 {
		t.Error("there are no samples")
	}
}

func TestParseRefuses(t *testing.T) {
	dot := func(node kv.NodeID, counter uint64) vclock.Dot {
		return vclock.Dot{Actor: vclock.Actor{Node: node, Birth: 1}, Counter: counter}
	}
	build := func(horizon vclock.Dot, sibs []Sibling, entries ...vclock.Dot) []byte {
		b := begin(nil)
		for _, d := range entries {
			b.b = vclock.AppendEntry(b.b, vclock.Entry{Dot: d, Seq: 1, Wall: 1})
		}
		b.endClock()
		if horizon != (vclock.Dot{}) {
			b.horizon(register{tag: tag{time: 1, dot: horizon, seq: 1}, fate: dead})
		}
		for _, s := range sibs {
			b.sibling(&s)
		}
		o, _ := b.end()
		return o.raw
	}
	sib := func(d vclock.Dot) Sibling { return Sibling{Dot: d} }
	lww := func(d vclock.Dot) Sibling { return Sibling{Dot: d, LWW: true} }
	expires := func(e kv.Expiry) Sibling { return Sibling{Dot: dot(1, 1), Expires: e} }
	meta := func(size int) Sibling { return Sibling{Dot: dot(1, 1), Meta: make([]byte, size)} }
	none := vclock.Dot{}
	last := func(b []byte, v byte) []byte { b[len(b)-1] = v; return b }
	with := func(b []byte, at int, v byte) []byte { b[at] = v; return b }
	for _, c := range []struct {
		name string
		b    []byte
		want kv.Kind
		ok   bool
	}{
		{"one sibling", build(none, []Sibling{sib(dot(1, 1))}, dot(1, 1)), 0, true},
		{"a clock alone", build(none, nil, dot(1, 1)), 0, true},
		{"a horizon alone", build(dot(1, 1), nil), 0, true},
		{"an lww sibling without a clock", build(none, []Sibling{lww(dot(1, 1))}), 0, true},
		{"a full value", build(none, []Sibling{{Dot: dot(1, 1), Value: make([]byte, kv.MaxValue)}}, dot(1, 1)), 0, true},
		{"a full content type", build(none, []Sibling{{Dot: dot(1, 1), ContentType: make([]byte, kv.MaxContentType)}}, dot(1, 1)), 0, true},
		{"an expiry alone", build(none, []Sibling{expires(kv.MaxExpiry)}, dot(1, 1)), 0, true},
		{"full meta", build(none, []Sibling{meta(kv.MaxMeta)}, dot(1, 1)), 0, true},
		{"a full value with full meta", build(none, []Sibling{{Dot: dot(1, 1), Value: make([]byte, kv.MaxValue), Meta: make([]byte, kv.MaxMeta), Expires: 1}}, dot(1, 1)), 0, true},

		{"nothing", nil, kv.KindInvalid, false},
		{"an object that has seen nothing", build(none, nil), kv.KindInvalid, false},
		{"another version", with(build(none, nil, dot(1, 1)), 0, Version+1), kv.KindWrongVersion, false},
		{"a version that is too old", with(build(none, nil, dot(1, 1)), 0, versionPlain-1), kv.KindWrongVersion, false},
		{"a version that no sibling needs", with(build(none, []Sibling{sib(dot(1, 1))}, dot(1, 1)), 0, Version), kv.KindInvalid, false},
		{"an expiry in a version without any", with(build(none, []Sibling{expires(1)}, dot(1, 1)), 0, versionPlain), kv.KindInvalid, false},
		{"meta in a version without any", with(build(none, []Sibling{meta(1)}, dot(1, 1)), 0, versionPlain), kv.KindInvalid, false},
		{"an expiry past the limit", build(none, []Sibling{expires(kv.MaxExpiry + 1)}, dot(1, 1)), kv.KindInvalid, false},
		{"meta past the limit", build(none, []Sibling{meta(kv.MaxMeta + 1)}, dot(1, 1)), kv.KindInvalid, false},
		{"an expiry of 0", last(build(none, []Sibling{expires(1)}, dot(1, 1)), 0), kv.KindInvalid, false},
		{"meta of no bytes", last(build(none, []Sibling{meta(1)}, dot(1, 1)), 0), kv.KindInvalid, false},
		{"meta that is longer than its sibling", last(build(none, []Sibling{meta(1)}, dot(1, 1)), 2), kv.KindInvalid, false},
		{"an expiry that is cut", with(build(none, []Sibling{{Dot: dot(1, 1), Value: []byte("short")}}, dot(1, 1)), headerSize+vclock.EntrySize+flagsAt, flagExpires), kv.KindInvalid, false},
		{"meta that is cut", with(build(none, []Sibling{{Dot: dot(1, 1), Value: []byte("abc")}}, dot(1, 1)), headerSize+vclock.EntrySize+flagsAt, flagMeta), kv.KindInvalid, false},
		{"a tombstone with an expiry", build(none, []Sibling{{Dot: dot(1, 1), Deleted: true, Expires: 1}}, dot(1, 1)), kv.KindInvalid, false},
		{"a tombstone with meta", build(none, []Sibling{{Dot: dot(1, 1), Deleted: true, Meta: []byte("m")}}, dot(1, 1)), kv.KindInvalid, false},
		{"unknown flags", with(build(none, nil, dot(1, 1)), 1, 2), kv.KindInvalid, false},
		{"a value past the limit", build(none, []Sibling{{Dot: dot(1, 1), Value: make([]byte, kv.MaxValue+1)}}, dot(1, 1)), kv.KindInvalid, false},
		{"a tombstone with a value", build(none, []Sibling{{Dot: dot(1, 1), Deleted: true, Value: []byte("x")}}, dot(1, 1)), kv.KindInvalid, false},
		{"a tombstone with a content type", build(none, []Sibling{{Dot: dot(1, 1), Deleted: true, ContentType: []byte("x")}}, dot(1, 1)), kv.KindInvalid, false},
		{"a sibling that the clock does not cover", build(none, []Sibling{sib(dot(1, 2))}, dot(1, 1)), kv.KindInvalid, false},
		{"siblings out of order", build(none, []Sibling{sib(dot(1, 2)), sib(dot(1, 1))}, dot(1, 2)), kv.KindInvalid, false},
		{"one sibling twice", build(none, []Sibling{sib(dot(1, 1)), sib(dot(1, 1))}, dot(1, 1)), kv.KindInvalid, false},
		{"two lww siblings", build(none, []Sibling{lww(dot(1, 1)), lww(dot(2, 1))}), kv.KindInvalid, false},
		{"an lww sibling and a horizon", build(dot(1, 1), []Sibling{lww(dot(1, 2))}), kv.KindInvalid, false},
		{"a horizon without a node", build(vclock.Dot{Counter: 1}, nil), kv.KindInvalid, false},
		{"a horizon without a counter", build(dot(1, 0), nil), kv.KindInvalid, false},
		{"an lww sibling without a node", build(none, []Sibling{lww(vclock.Dot{Counter: 1})}), kv.KindInvalid, false},
		{"an lww sibling without a counter", build(none, []Sibling{lww(dot(1, 0))}), kv.KindInvalid, false},
		{"a clock out of order", build(none, nil, dot(2, 1), dot(1, 1)), kv.KindInvalid, false},
		{"a clock entry twice", build(none, nil, dot(1, 1), dot(1, 1)), kv.KindInvalid, false},
		{"a clock entry without a counter", build(none, nil, dot(1, 0)), kv.KindInvalid, false},
	} {
		_, err := Parse(c.b)
		if (err == nil) != c.ok || err != nil && kv.KindOf(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestCountsAndSizes(t *testing.T) {
	w := newWorld(1, 1)
	n := w.nodes[0]
	if n.Len() != 0 || n.Live() != 0 || n.Bytes() != nil || n.Clock().Len() != 0 {
		t.Errorf("the zero Object holds something: %v", describe(n.Object))
	}
	w.put(n, -1, kv.MergeSiblings, false)
	w.put(n, -1, kv.MergeSiblings, true)
	if n.Len() != 2 || n.Live() != 1 {
		t.Errorf("%d siblings, %d live; want 2, 1", n.Len(), n.Live())
	}
}

// TestVersionHash: two objects of one execution have one hash exactly if they
// are one object.
func TestVersionHash(t *testing.T) {
	if h := VersionHash(Object{}); h != 0 {
		t.Errorf("the zero Object has the hash %d", h)
	}
	inEachBucket(t, func(t *rapid.T, w *world) {
		for _, a := range w.all {
			for _, b := range w.all {
				if same := bytes.Equal(a.raw, b.raw); (VersionHash(a.Object) == VersionHash(b.Object)) != same {
					t.Fatalf("hashes equal: %v, objects equal: %v\n%v\n%v", !same, same, describe(a.Object), describe(b.Object))
				}
			}
		}
	})
}

// TestVersionHashSeesEachPart: objects that differ in one part alone, as they
// may once clocks were capped.
func TestVersionHashSeesEachPart(t *testing.T) {
	with := func(clock uint64, horizon kv.Time, sibling uint64) Object {
		b := begin(nil)
		d := vclock.Dot{Actor: actor(1), Counter: clock}
		b.b = vclock.AppendEntry(b.b, vclock.Entry{Dot: d})
		b.endClock()
		if horizon != 0 {
			b.horizon(register{tag: tag{time: horizon, dot: d}, fate: dead})
		}
		if sibling != 0 {
			b.sibling(&Sibling{Dot: vclock.Dot{Actor: actor(1), Counter: sibling}})
		}
		o, _ := b.end()
		return o
	}
	// A horizon whose bytes are those of an entry.
	alone := begin(nil)
	alone.endClock()
	entry := with(2, 0, 0).clock.At(0)
	alone.horizon(register{fate: dead, tag: tag{
		time: kv.Time(entry.Node), seq: uint64(entry.Wall),
		dot: vclock.Dot{Actor: vclock.Actor{Node: kv.NodeID(entry.Birth), Birth: entry.Counter}, Counter: entry.Seq},
	}})
	horizon, _ := alone.end()
	seen := map[uint64]string{}
	for name, o := range map[string]Object{
		"a horizon like an entry": horizon,
		"nothing but a clock":     with(2, 0, 0), "another clock": with(3, 0, 0),
		"a horizon": with(2, 1, 0), "another horizon": with(2, 9, 0),
		"a sibling": with(2, 0, 1), "another sibling": with(2, 0, 2),
	} {
		h := VersionHash(o)
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s have one hash", name, other)
		}
		seen[h] = name
	}
}

func FuzzParse(f *testing.F) {
	for _, o := range samples() {
		f.Add(o.raw)
	}
	f.Add(binary.BigEndian.AppendUint64([]byte{Version, 1}, 1<<48))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		checkParse(t, b)
	})
}

// FuzzMerge merges any two objects that Parse accepts.
func FuzzMerge(f *testing.F) {
	for _, a := range samples() {
		for _, b := range samples() {
			f.Add(a.raw, b.raw)
		}
	}
	f.Fuzz(func(t *testing.T, x, y []byte) {
		if len(x)+len(y) > 1<<16 {
			return
		}
		a, errA := Parse(x)
		b, errB := Parse(y)
		if errA != nil || errB != nil {
			return
		}
		ab, ba := mustMerge(a, b), mustMerge(b, a)
		if !bytes.Equal(ab.raw, ba.raw) {
			t.Fatalf("a∪b is not b∪a:\n%v\n%v", describe(ab), describe(ba))
		}
		checkParse(t, ab.raw)
	})
}
