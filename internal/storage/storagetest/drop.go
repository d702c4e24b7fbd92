package storagetest

import (
	"bytes"
	"testing"

	"github.com/ringtaildb/ringtail/internal/storage"
)

func testDrop(t *testing.T, e storage.Engine) {
	before := storage.NewPrefix(storage.SpaceData, 0x01fe)
	hints := storage.NewPrefix(storage.SpaceHints, p1.Partition())
	kept := []storage.Prefix{before, p2, hints}
	for _, p := range append(kept, p1) {
		fill(t, e, p, 20)
		set(t, e, key(p, "\xff\xff\xff"), "last")
	}
	drop(t, e, p1)
	wantScan(t, e, p1, nil)
	wantNone(t, e, key(p1, numbered(3)))
	for _, p := range kept {
		wantValue(t, e, key(p, numbered(3)), numbered(3))
		wantValue(t, e, key(p, "\xff\xff\xff"), "last")
	}
	// The prefix can be used again, and dropped again, also when empty.
	set(t, e, key(p1, "again"), "v")
	wantScan(t, e, p1, nil, pair{"again", "v"})
	drop(t, e, p1)
	drop(t, e, p1)
	wantScan(t, e, p1, nil)
}

// testDropLastPrefix drops the prefix whose range has no end.
func testDropLastPrefix(t *testing.T, e storage.Engine) {
	last := storage.Prefix{255, 255, 255}
	longest := make([]byte, storage.MaxKey)
	for i := range longest {
		longest[i] = 255
	}
	set(t, e, longest, "v")
	set(t, e, key(storage.Prefix{255, 255, 254}, "k"), "kept")
	drop(t, e, last)
	wantScan(t, e, last, nil)
	wantNone(t, e, longest)
	wantValue(t, e, key(storage.Prefix{255, 255, 254}, "k"), "kept")
}

// testDropRange drops ranges that begin and end anywhere.
func testDropRange(t *testing.T, e storage.Engine) {
	p3 := storage.NewPrefix(storage.SpaceHints, p1.Partition())
	all := []storage.Prefix{p1, p2, p3}
	at := func(p storage.Prefix, i int) []byte { return key(p, numbered(i)) }
	for _, c := range []struct {
		name     string
		from, to []byte
	}{
		{"within a prefix", at(p1, 3), at(p1, 7)},
		{"between keys", key(p1, numbered(3)+"x"), key(p1, numbered(3)+"y")},
		{"one key", at(p1, 3), append(at(p1, 3), 0)},
		{"to the prefix's end", at(p1, 3), p2[:]},
		{"from the prefix's beginning", p2[:], at(p2, 4)},
		{"over a border", at(p1, 8), at(p2, 2)},
		{"over two borders", at(p1, 8), at(p3, 2)},
		{"shorter than a prefix", []byte{byte(storage.SpaceData)}, []byte{byte(storage.SpaceData), 2}},
		{"from the beginning", nil, at(p2, 1)},
		{"to the end", at(p2, 8), nil},
		{"everything", nil, nil},
		{"nothing", at(p1, 3), at(p1, 3)},
		{"the wrong way round", at(p2, 3), at(p1, 3)},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := make(map[storage.Prefix][]pair)
			for _, p := range all {
				for _, kv := range fill(t, e, p, 10) {
					k := key(p, kv.Key)
					if bytes.Compare(k, c.from) < 0 || c.to != nil && bytes.Compare(k, c.to) >= 0 {
						want[p] = append(want[p], kv)
					}
				}
			}
			from, to := bytes.Clone(c.from), bytes.Clone(c.to)
			if err := e.Drop(from, to); err != nil {
				t.Fatal(err)
			}
			clear(from) // they are the caller's again
			clear(to)
			for _, p := range all {
				wantScan(t, e, p, nil, want[p]...)
			}
		})
	}
}

func testDropDuringScan(t *testing.T, e storage.Engine) {
	all := fill(t, e, p1, 30)
	seen := 0
	err := e.Scan(p1, nil, func(k, v []byte) bool {
		if seen == 0 {
			drop(t, e, p1)
			fill(t, e, p1, 3)
		}
		if string(v) != all[seen].Value {
			t.Errorf("the scan shows %q, want %q", v, all[seen].Value)
		}
		seen++
		return true
	})
	if err != nil || seen != 30 {
		t.Errorf("the scan showed %d keys (%v), want the 30 from before the drop", seen, err)
	}
	wantScan(t, e, p1, nil, all[:3]...)
}

// dropAll drops all keys of p.
func dropAll(e storage.Engine, p storage.Prefix) error { return e.Drop(p.Range()) }

func drop(t testing.TB, e storage.Engine, p storage.Prefix) {
	t.Helper()
	if err := dropAll(e, p); err != nil {
		t.Fatalf("drop: %v", err)
	}
}
