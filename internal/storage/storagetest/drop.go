package storagetest

import (
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

func drop(t testing.TB, e storage.Engine, p storage.Prefix) {
	t.Helper()
	if err := e.Drop(p); err != nil {
		t.Fatalf("drop: %v", err)
	}
}
