package storagetest

import (
	"slices"
	"testing"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// fill sets n keys of p to their own numbers.
func fill(t testing.TB, e storage.Engine, p storage.Prefix, n int) []pair {
	t.Helper()
	var b storage.Batch
	var pairs []pair
	for i := range n {
		b.Set(key(p, numbered(i)), []byte(numbered(i)))
		pairs = append(pairs, pair{numbered(i), numbered(i)})
	}
	apply(t, e, &b)
	return pairs
}

func testScanOrder(t *testing.T, e storage.Engine) {
	wantScan(t, e, p1, nil)
	for _, rest := range []string{"b", "", "a\xff", "a", "\xff", "a\x00", "ab"} {
		set(t, e, key(p1, rest), rest)
		set(t, e, key(p2, rest), "of the neighbour")
	}
	all := []pair{{"", ""}, {"a", "a"}, {"a\x00", "a\x00"}, {"ab", "ab"}, {"a\xff", "a\xff"}, {"b", "b"}, {"\xff", "\xff"}}
	wantScan(t, e, p1, nil, all...)
	wantScan(t, e, p1, nil, all...)

	// An order that an engine keeps must follow the keys that come and go.
	set(t, e, key(p1, "aa"), "aa")
	all = slices.Insert(all, 3, pair{"aa", "aa"})
	wantScan(t, e, p1, nil, all...)
	var b storage.Batch
	b.Delete(key(p1, "a"))
	apply(t, e, &b)
	all = slices.Delete(all, 1, 2)
	wantScan(t, e, p1, nil, all...)
}

func testScanFrom(t *testing.T, e storage.Engine) {
	all := fill(t, e, p1, 10)
	fill(t, e, p2, 3)
	for _, c := range []struct {
		name string
		from []byte
		want []pair
	}{
		{"a key", key(p1, numbered(4)), all[4:]},
		{"between two keys", key(p1, numbered(4)+"\x00"), all[5:]},
		{"the prefix", p1[:], all},
		{"before the prefix", []byte{0}, all},
		{"the empty key", []byte{}, all},
		{"the last key", key(p1, numbered(9)), all[9:]},
		{"past the last key", key(p1, "z"), nil},
		{"the next prefix", p2[:], nil},
		{"past the next prefix", []byte{255, 255, 255, 255}, nil},
	} {
		t.Run(c.name, func(t *testing.T) { wantScan(t, e, p1, c.from, c.want...) })
	}
}

func testScanStops(t *testing.T, e storage.Engine) {
	fill(t, e, p1, 10)
	calls := 0
	err := e.Scan(p1, nil, func(_, _ []byte) bool {
		calls++
		return calls < 3
	})
	if err != nil || calls != 3 {
		t.Errorf("fn was called %d times (%v), want 3", calls, err)
	}
}

// testScanSnapshot overwrites, deletes and adds keys while a scan stands at
// its first key, with values that fit into the old ones' place.
func testScanSnapshot(t *testing.T, e storage.Engine) {
	all := fill(t, e, p1, 50)
	for range 2 { // the second time with an order that the engine may have kept
		var got []pair
		err := e.Scan(p1, nil, func(k, v []byte) bool {
			if got == nil {
				var b storage.Batch
				for i := range 50 {
					b.Set(key(p1, numbered(i)), []byte("xxxxxx"))
				}
				b.Delete(key(p1, numbered(40)))
				b.Set(key(p1, numbered(45)+"new"), []byte("new"))
				apply(t, e, &b)
			}
			got = append(got, pair{string(k[storage.PrefixLen:]), string(v)})
			return true
		})
		if err != nil || len(got) != len(all) {
			t.Fatalf("the scan showed %d keys (%v), want %d", len(got), err, len(all))
		}
		for i := range got {
			if got[i] != all[i] {
				t.Fatalf("the scan shows %q, want %q", got[i], all[i])
			}
		}
		wantValue(t, e, key(p1, numbered(0)), "xxxxxx")
		wantNone(t, e, key(p1, numbered(40)))

		var b storage.Batch
		b.Delete(key(p1, numbered(45)+"new"))
		apply(t, e, &b)
		fill(t, e, p1, 50)
	}
}

func testScanMayCallTheEngine(t *testing.T, e storage.Engine) {
	fill(t, e, p1, 5)
	err := e.Scan(p1, nil, func(k, v []byte) bool {
		wantValue(t, e, k, string(v))
		set(t, e, key(p2, string(k[storage.PrefixLen:])), "seen")
		nested, err := scan(e, p1, nil)
		if err != nil || len(nested) != 5 {
			t.Errorf("a scan within a scan shows %d keys, %v", len(nested), err)
		}
		if err := e.Sync(); err != nil {
			t.Errorf("sync: %v", err)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, e, key(p2, numbered(4)), "seen")
}
