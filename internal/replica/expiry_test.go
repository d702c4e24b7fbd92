package replica

import (
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// markedFloor is selfFloor with an expiry mark.
func markedFloor(seq uint64, mark kv.Expiry) vclock.Floor {
	return append(vclock.AppendExpiryMark(nil, mark), selfFloor(seq)...)
}

// TestReapExpired: what expired by the floor's mark goes as a tombstone does once
// the floor covers it, and nothing else; and the store knows what expires next.
func TestReapExpired(t *testing.T) {
	s, e := newStore(t, testRing(t, 1))
	p := kv.Partition(0)
	key := func(name string) kv.Key { return kv.AppendKey(nil, "b", []byte(name)) }
	put := func(name string, expires kv.Expiry) object.Object {
		return mustPut(t, s, p, key(name), object.Write{Value: []byte("v"), Expires: expires})
	}
	put("ever", 0)
	late := put("early", 100)
	put("both", 100)
	put("both", 300)
	put("later", 200)
	covered := s.source.(*counter).last.Load()
	put("new", 100)
	check := func(step string, f vclock.Floor, soonest kv.Expiry, want map[string]int) {
		t.Helper()
		if f != nil {
			if err := s.RaiseFloor([]kv.Partition{p}, f); err != nil {
				t.Fatal(err)
			}
		}
		upkeep(t, s)
		for name, n := range want {
			if got := mustRead(t, s, p, key(name)).Len(); got != n {
				t.Errorf("%s: %s has %d siblings, want %d", step, name, got, n)
			}
		}
		if got := s.Soonest(p); got != soonest {
			t.Errorf("%s: the soonest expiry is %d, want %d", step, got, soonest)
		}
		if err := checkTree(s, e, p); err != nil {
			t.Errorf("%s: %v", step, err)
		}
	}
	all := map[string]int{"ever": 1, "early": 1, "both": 2, "later": 1, "new": 1}
	check("no floor", nil, 100, all)
	check("no mark", selfFloor(covered), 100, all)
	check("before the first", markedFloor(covered, 99), 100, all)
	check("the first", markedFloor(covered, 100), 100, map[string]int{"ever": 1, "early": 0, "both": 1, "later": 1, "new": 1})
	check("covered later", markedFloor(covered+1, 100), 200, map[string]int{"ever": 1, "early": 0, "both": 1, "later": 1, "new": 0})
	check("the next", markedFloor(covered+1, 250), 300, map[string]int{"ever": 1, "both": 1, "later": 0})
	check("the last", markedFloor(covered+1, 300), 0, map[string]int{"ever": 1, "both": 0})
	if keys, _, reapable := s.Usage(p); keys != 1 || reapable != 0 {
		t.Errorf("%d keys are left, %d to reap", keys, reapable)
	}
	// What expired does not come back, and leaves no record.
	if err := s.Merge(p, key("early"), late, nil, nil); err != nil {
		t.Fatal(err)
	}
	if keys, _, _ := s.Usage(p); keys != 1 {
		t.Errorf("%d keys, after an old object came late", keys)
	}
	// A write while nothing expires is known of at once.
	put("again", 500)
	if got := s.Soonest(p); got != 500 {
		t.Errorf("the soonest expiry is %d, want 500", got)
	}
}

// TestSoonestIsKept: over a clean stop, and found again after a crash.
func TestSoonestIsKept(t *testing.T) {
	s, e := newStore(t, testRing(t, 1))
	k := kv.AppendKey(nil, "b", []byte("k"))
	mustPut(t, s, 0, k, object.Write{Value: []byte("v"), Expires: 77})
	again := func() *Store {
		var source counter
		source.last.Store(100)
		return mustOpen(t, 0, self, e, &source, rings{testRing(t, 1)}, 101)
	}
	crashed := again()
	upkeep(t, crashed)
	if got := crashed.Soonest(0); got != 77 {
		t.Errorf("after a crash the soonest expiry is %d", got)
	}
	if err := crashed.Save(); err != nil {
		t.Fatal(err)
	}
	stopped := again()
	if state, _, _ := stopped.Tree(0); state != TreeReady || stopped.Soonest(0) != 77 {
		t.Errorf("after a stop the tree is %v, the soonest expiry %d", state, stopped.Soonest(0))
	}
}

// TestListingHidesExpired: a page has the keys that have a value at its moment.
func TestListingHidesExpired(t *testing.T) {
	s, _ := newStore(t, testRing(t, 1))
	now := kv.Time(1000)
	s.cfg.Wall = func() kv.Time { return now }
	for name, expires := range map[string]kv.Expiry{"a": 1, "b": 5, "c": 0} {
		mustPut(t, s, 0, kv.AppendKey(nil, "b", []byte(name)), object.Write{Value: []byte("v"), Expires: expires})
	}
	for at, want := range map[kv.Time]int{999: 3, 1000: 2, 4999: 2, 5000: 1, 1 << 60: 1} {
		now = at
		page, err := s.KeysPage(unplanned, wire.ListKeys{Bucket: []byte("b"), Partitions: []kv.Partition{0}})
		if err != nil || len(page.Keys) != want {
			t.Errorf("at %d: %d keys, %v; want %d", at, len(page.Keys), err, want)
		}
	}
}
