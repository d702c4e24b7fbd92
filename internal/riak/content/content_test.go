package content

import (
	"bytes"
	"crypto/rand"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/field"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

func full() Meta {
	return Meta{
		Charset:  []byte("utf-8"),
		Encoding: []byte("gzip"),
		Links:    []Link{{[]byte("b"), []byte("k"), []byte("t")}, {[]byte{}, []byte{0xff}, []byte{}}},
		User:     []Pair{{[]byte("name"), []byte("v"), true}, {[]byte("empty"), []byte{}, true}, {[]byte("none"), nil, false}},
		Indexes:  []Pair{{[]byte("age_int"), []byte("7"), true}},
	}
}

func TestEncodeAndDecode(t *testing.T) {
	m := full()
	got, err := Decode(m.Encode())
	if diff := cmp.Diff(m, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if b := (&Meta{}).Encode(); b != nil {
		t.Errorf("nothing is kept as %x", b)
	}
	if again := Fields(m.Encode()); !bytes.Equal(again, m.Encode()[1:]) {
		t.Errorf("Fields gives %x", again)
	}
}

func TestTake(t *testing.T) {
	m := full()
	b := field.AppendText(nil, 1, "the value")
	b = append(b, m.appendFields(nil)...)
	b = field.AppendUint(b, 7, 99)
	var got Meta
	others := 0
	f := field.Read(b)
	for f.Next() {
		if !got.Take(&f) {
			others++
		}
	}
	if diff := cmp.Diff(m, got); diff != "" || f.Err() != nil || others != 2 {
		t.Errorf("%v, %d other fields (-want +got):\n%s", f.Err(), others, diff)
	}
}

// TestWhatIsNotOurs: meta that another door has kept is none, and what a client
// has made up reaches no answer.
func TestWhatIsNotOurs(t *testing.T) {
	value := field.AppendText([]byte{mark}, 1, "forged")
	for name, b := range map[string][]byte{
		"nothing": nil, "another door's": {2, 0x1a, 1, 'x'}, "a field that is not kept": value,
		"cut": {mark, 0x1a, 9}, "a link that is cut": field.AppendBytes([]byte{mark}, Links, []byte{0x0a, 9}),
		"a pair that is none": field.AppendBytes([]byte{mark}, User, []byte{0x08, 9}),
	} {
		if f := Fields(b); f != nil {
			t.Errorf("%s: %x", name, f)
		}
		m, err := Decode(b)
		if ours := len(b) > 0 && b[0] == mark; (err != nil) != ours || err != nil && kv.KindOf(err) != kv.KindInvalid {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestVTag(t *testing.T) {
	d := vclock.Dot{Actor: vclock.Actor{Node: 1, Birth: 2}, Counter: 3}
	a := VTag(d)
	if len(a) != tagLen || strings.Trim(a, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		t.Errorf("%q", a)
	}
	if b := VTag(d); a != b {
		t.Errorf("one write has the tags %s and %s", a, b)
	}
	d.Counter++
	if b := VTag(d); a == b {
		t.Error("two writes have one tag")
	}
	for range 100 {
		var b [16]byte
		if _, err := rand.Read(b[:]); err != nil {
			t.Fatal(err)
		}
		n, ok := new(big.Int).SetString(base62(b), 62)
		if !ok || n.Cmp(new(big.Int).SetBytes(b[:])) != 0 {
			t.Fatalf("%x is %q", b, base62(b))
		}
	}
	if got := base62([16]byte{}); got != strings.Repeat("0", tagLen) {
		t.Errorf("zero is %q", got)
	}
}

func TestNewKey(t *testing.T) {
	a, err := NewKey()
	b, _ := NewKey()
	if err != nil || a == b || len(a) != tagLen {
		t.Errorf("%q, %q, %v", a, b, err)
	}
}

// FuzzDecode: what can be read is written as it is read again.
func FuzzDecode(f *testing.F) {
	m := full()
	f.Add(m.Encode())
	f.Add([]byte{mark, 0x0b, 0x0b})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			if kv.KindOf(err) != kv.KindInvalid {
				t.Fatal(err)
			}
			return
		}
		again, err := Decode(m.Encode())
		if err != nil || !bytes.Equal(again.Encode(), m.Encode()) {
			t.Fatalf("%x becomes %x, %v", m.Encode(), again.Encode(), err)
		}
	})
}

func BenchmarkVTag(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		VTag(vclock.Dot{Counter: 1})
	}
}
