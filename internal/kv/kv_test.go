package kv

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestKeysOfAnyBytes joins and takes apart buckets and keys of any bytes.
func TestKeysOfAnyBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bucket := string(rapid.SliceOfN(rapid.Byte(), 1, MaxBucket).Draw(t, "bucket"))
		user := string(rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "key"))
		k, err := NewKey(bucket, user)
		if err != nil {
			t.Fatal(err)
		}
		if string(k.Bucket()) != bucket || string(k.User()) != user {
			t.Fatalf("%q/%q comes back as %q/%q", bucket, user, k.Bucket(), k.User())
		}
		parsed, err := ParseKey(k)
		if err != nil || !bytes.Equal(parsed, k) {
			t.Fatalf("ParseKey(%x) = %x, %v", k, parsed, err)
		}
		if got := AppendKey([]byte("before"), bucket, []byte(user)); !bytes.Equal(got, append([]byte("before"), k...)) {
			t.Fatalf("AppendKey appends %x, NewKey made %x", got, k)
		}
	})
}

// TestDistinctKeysDiffer: where the bucket ends is part of the key.
func TestDistinctKeysDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range [][2]string{{"a", "bc"}, {"ab", "c"}, {"a", "b/c"}, {"a/b", "c"}, {"\x01", "a"}, {"a", "\x01"}} {
		k, err := NewKey(c[0], c[1])
		if err != nil {
			t.Fatal(err)
		}
		if seen[string(k)] {
			t.Errorf("%q/%q has another key's bytes", c[0], c[1])
		}
		seen[string(k)] = true
	}
}

func TestKeyLimits(t *testing.T) {
	s := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		bucket, key string
		ok          bool
		want        Kind
	}{
		{s(1), s(1), true, 0},
		{s(MaxBucket), s(MaxKey), true, 0},
		{s(0), s(1), false, KindInvalid},
		{s(1), s(0), false, KindInvalid},
		{s(MaxBucket + 1), s(1), false, KindTooLarge},
		{s(1), s(MaxKey + 1), false, KindTooLarge},
	} {
		_, err := NewKey(c.bucket, c.key)
		if (err == nil) != c.ok || err != nil && KindOf(err) != c.want {
			t.Errorf("a bucket of %d bytes, a key of %d: %v", len(c.bucket), len(c.key), err)
		}
		if len(c.bucket) > MaxBucket {
			continue // one byte cannot say its length
		}
		_, err = ParseKey(AppendKey(nil, c.bucket, []byte(c.key)))
		if (err == nil) != c.ok || err != nil && KindOf(err) != c.want {
			t.Errorf("parsed, a bucket of %d bytes, a key of %d: %v", len(c.bucket), len(c.key), err)
		}
	}
	for _, b := range [][]byte{nil, {0}, {1}, {1, 'a'}, {2, 'a', 'b'}} {
		if _, err := ParseKey(b); KindOf(err) != KindInvalid || err == nil {
			t.Errorf("ParseKey(%x): %v", b, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte{1, 'b', 'k'})
	f.Add([]byte{255})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKey(b)
		if err != nil {
			if kind := KindOf(err); kind != KindInvalid && kind != KindTooLarge {
				t.Fatal(err)
			}
			return
		}
		again, err := NewKey(string(k.Bucket()), string(k.User()))
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("ParseKey accepts %x, NewKey makes %x of it, %v", b, again, err)
		}
	})
}

func TestKeyString(t *testing.T) {
	for _, c := range []struct{ bucket, key, want string }{
		{"default", "a/b", `"default"/"a/b"`},
		{"a\nb", "\x00", `"a\nb"/"\x00"`},
		{"b", strings.Repeat("k", 65), `"b"/"` + strings.Repeat("k", 64) + `"`},
	} {
		if got := AppendKey(nil, c.bucket, []byte(c.key)).String(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestNodeIDs(t *testing.T) {
	for _, c := range []struct {
		text string
		want NodeID
		ok   bool
	}{
		{"0000000000000001", 1, true},
		{"ffffffffffffffff", math.MaxUint64, true},
		{"0123456789abcdef", 0x0123456789abcdef, true},
		{"0000000000000000", 0, false},
		{"", 0, false},
		{"1", 0, false},
		{"00000000000000001", 0, false},
		{"000000000000000g", 0, false},
		{"+000000000000001", 0, false},
	} {
		id, err := ParseNodeID(c.text)
		if id != c.want || (err == nil) != c.ok || err != nil && KindOf(err) != KindInvalid {
			t.Errorf("ParseNodeID(%q) = %v, %v", c.text, id, err)
		}
		if err == nil && id.String() != c.text {
			t.Errorf("%v is written as %s, read from %s", uint64(id), id, c.text)
		}
	}
	in := map[NodeID]NodeID{1: 2}
	b, err := json.Marshal(in)
	if err != nil || string(b) != `{"0000000000000001":"0000000000000002"}` {
		t.Fatalf("%s, %v", b, err)
	}
	var out map[NodeID]NodeID
	if err := json.Unmarshal(b, &out); err != nil || out[1] != 2 || len(out) != 1 {
		t.Errorf("%v, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"1":"2"}`), &out); err == nil {
		t.Error("short ids are accepted")
	}
}

func TestNewIDsDiffer(t *testing.T) {
	seen := map[NodeID]bool{}
	for range 1000 {
		id := NewNodeID()
		if id == 0 || seen[id] {
			t.Fatalf("%v is zero or came twice", id)
		}
		seen[id] = true
		if c := ClusterID(NewNodeID()); c == 0 || len(c.String()) != 16 {
			t.Fatalf("cluster id %v", c)
		}
	}
}

func TestTime(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want Time
	}{
		{time.Unix(0, 0), 0},
		{time.Unix(-1, 0), 0},
		{time.Unix(1, 2999), 1_000_002},
		{time.Date(2007, 10, 14, 0, 0, 0, 0, time.UTC), 1192320000000000},
	} {
		got := TimeOf(c.at)
		if got != c.want {
			t.Errorf("TimeOf(%v) = %d, want %d", c.at, got, c.want)
		}
		if back := TimeOf(got.Wall()); back != got || got.Wall().Location() != time.UTC {
			t.Errorf("%d comes back as %d, in %v", got, back, got.Wall().Location())
		}
	}
}

func TestMerge(t *testing.T) {
	for _, m := range []Merge{MergeSiblings, MergeLWW} {
		if got, err := ParseMerge(m.String()); got != m || err != nil {
			t.Errorf("%v comes back as %v, %v", m, got, err)
		}
	}
	for _, s := range []string{"", "LWW", "last"} {
		if _, err := ParseMerge(s); err == nil || KindOf(err) != KindInvalid {
			t.Errorf("ParseMerge(%q): %v", s, err)
		}
	}
}
