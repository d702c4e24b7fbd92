package object

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

var testSealer = NewSealer([]byte("the key of this cluster"))

func mustSeal(t interface{ Fatalf(string, ...any) }, c Context) []byte {
	b, err := testSealer.AppendSealed(nil, c)
	if err != nil {
		t.Fatalf("seal: %v", err)
	}
	return b
}

// contextOf is a context with something in each field.
func contextOf(entries int) Context {
	b := begin(nil)
	for i := range entries {
		b.b = vclock.AppendEntry(b.b, vclock.Entry{Dot: vclock.Dot(ownOf(i)), Seq: 7, Wall: 9})
	}
	b.endClock()
	o, _ := b.end()
	return Context{Clock: o.clock, Time: 5, LWW: vclock.Dot(ownOf(3)), Seq: 8, Fastest: 11}
}

func TestContextRoundTrip(t *testing.T) {
	inEachBucket(t, func(t *rapid.T, w *world) {
		want := ContextOf(w.draw(t))
		want.Fastest = kv.NodeID(rapid.Uint64().Draw(t, "fastest"))
		sealed := mustSeal(t, want)
		text, err := DecodeContext(EncodeContext(sealed))
		if err != nil || !bytes.Equal(text, sealed) {
			t.Fatalf("as text: %v", err)
		}
		got, err := testSealer.Open(text)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
		if id := FastestOf(sealed); id != want.Fastest {
			t.Fatalf("the fastest is %v, want %v", id, want.Fastest)
		}
	})
}

func TestAppendSealedAppends(t *testing.T) {
	b, err := testSealer.AppendSealed([]byte("before"), contextOf(1))
	if err != nil || !bytes.Equal(b, append([]byte("before"), mustSeal(t, contextOf(1))...)) {
		t.Errorf("%x, %v", b, err)
	}
}

func TestEmptyContextHasSeenNothing(t *testing.T) {
	got, err := testSealer.Open(nil)
	if diff := cmp.Diff(Context{}, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestDamagedContext: a context is refused when any bit of it differs, when it
// is cut anywhere, when anything is added, and under another key.
func TestDamagedContext(t *testing.T) {
	good := mustSeal(t, contextOf(2))
	refuse := func(what string, b []byte) {
		t.Helper()
		c, err := testSealer.Open(b)
		if kv.KindOf(err) != kv.KindBadContext || c.Clock != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			refuse("changed", b)
		}
		if i > 0 {
			refuse("cut at the end", good[:i])
			refuse("cut at the start", good[i:])
		}
	}
	refuse("longer", append(bytes.Clone(good), 0))
	refuse("too long", make([]byte, MaxContext+1))
	other, err := NewSealer([]byte("the key of another cluster")).AppendSealed(nil, contextOf(2))
	if err != nil {
		t.Fatal(err)
	}
	refuse("of another cluster", other)
}

// TestSealedNonsense seals what no AppendSealed makes: the checksum is right,
// the content is not.
func TestSealedNonsense(t *testing.T) {
	seal := func(b []byte) []byte {
		m := testSealer.macs.Get().(*mac)
		defer testSealer.macs.Put(m)
		return append(b, m.of(b)...)
	}
	good := mustSeal(t, contextOf(2))
	body := good[:len(good)-contextMAC]
	if _, err := testSealer.Open(seal(bytes.Clone(body))); err != nil {
		t.Fatal(err)
	}
	with := func(at int, v byte) []byte {
		b := bytes.Clone(body)
		b[at] = v
		return b
	}
	for name, b := range map[string][]byte{
		"another version":    with(0, contextVersion+1),
		"the version before": with(0, contextVersion-1),
		"one entry more":     with(2, 3),
		"one entry less":     with(2, 1),
		"a cut entry":        bytes.Clone(body[:len(body)-1]),
		"an entry of nobody": with(contextHeader+7, 0),
	} {
		if _, err := testSealer.Open(seal(b)); kv.KindOf(err) != kv.KindBadContext {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestContextLimit(t *testing.T) {
	b := mustSeal(t, contextOf(maxContextEntries))
	if len(b) != MaxContext {
		t.Errorf("the largest context has %d bytes, MaxContext is %d", len(b), MaxContext)
	}
	if _, err := testSealer.Open(b); err != nil {
		t.Error(err)
	}
	dst := []byte("kept")
	got, err := testSealer.AppendSealed(dst, contextOf(maxContextEntries+1))
	if kv.KindOf(err) != kv.KindTooManySiblings || string(got) != "kept" {
		t.Errorf("one entry more: %v", err)
	}
}

func TestDecodeContext(t *testing.T) {
	largest := EncodeContext(make([]byte, MaxContext))
	for _, c := range []struct {
		name, text string
		ok         bool
	}{
		{"empty", "", true},
		{"the alphabet of URLs", "-_8", true},
		{"the largest", largest, true},
		{"one more", largest + "A", false},
		{"padding", "AA==", false},
		{"another alphabet", "+/8", false},
		{"stray bits at the end", "AB", false},
		{"a line break", "AA\nAA", false},
		{"one character", "A", false},
		{"huge", strings.Repeat("A", 1<<20), false},
	} {
		b, err := DecodeContext(c.text)
		if (err == nil) != c.ok || err != nil && kv.KindOf(err) != kv.KindBadContext {
			t.Errorf("%s: %v", c.name, err)
		}
		if err == nil && EncodeContext(b) != c.text {
			t.Errorf("%s: comes back as %q", c.name, EncodeContext(b))
		}
	}
}

// FuzzContext opens any bytes, and any bytes that bear a right checksum.
func FuzzContext(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(mustSeal(f, contextOf(0)))
	f.Add(mustSeal(f, contextOf(3)))
	check := func(t *testing.T, b []byte) {
		c, err := testSealer.Open(b)
		switch {
		case err != nil && kv.KindOf(err) != kv.KindBadContext:
			t.Fatal(err)
		case err == nil && len(b) > 0 && !bytes.Equal(mustSeal(t, c), b):
			t.Fatalf("%x opens, but is not what its content seals to", b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		check(t, b)
		m := testSealer.macs.Get().(*mac)
		check(t, append(bytes.Clone(b), m.of(b)...))
		testSealer.macs.Put(m)
		if d, err := DecodeContext(string(b)); err == nil && EncodeContext(d) != string(b) {
			t.Fatalf("%q decodes, but is not what its content encodes to", b)
		}
	})
}

// TestFastestOfWhatIsNoContext: it names nobody.
func TestFastestOfWhatIsNoContext(t *testing.T) {
	sealed := mustSeal(t, Context{Fastest: 11})
	for _, b := range [][]byte{nil, sealed[:len(sealed)-1], append([]byte{contextVersion + 1}, sealed[1:]...)} {
		if id := FastestOf(b); id != 0 {
			t.Errorf("% x names %v", b, id)
		}
	}
}

func TestSameSeen(t *testing.T) {
	base := contextOf(2)
	other := func(change func(*Context)) []byte {
		c := base
		change(&c)
		return mustSeal(t, c)
	}
	a := mustSeal(t, base)
	if !SameSeen(a, other(func(c *Context) { c.Fastest++ })) {
		t.Error("which replica was fastest makes a difference")
	}
	for name, b := range map[string][]byte{
		"another clock": other(func(c *Context) { c.Clock = contextOf(1).Clock }),
		"another time":  other(func(c *Context) { c.Time++ }),
		"nothing":       nil, "cut": a[:len(a)-1], "long": append(append([]byte(nil), a...), 0),
	} {
		if SameSeen(a, b) || SameSeen(b, a) {
			t.Errorf("%s makes none", name)
		}
	}
	if SameSeen(nil, nil) || SameSeen([]byte("short"), []byte("short")) {
		t.Error("what is no context has seen the same")
	}
}
