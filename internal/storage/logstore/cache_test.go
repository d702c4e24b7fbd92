package logstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// keyOf returns the i-th key.
func keyOf(i int) []byte { return fmt.Appendf(nil, "key %d", i) }

// valueOf returns the value of the record with number i.
func valueOf(i, n int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%d,", i), n)[:n] }

// TestCache: whatever is found is what was put there, through many rounds of the
// rings; what was put last is found, and so is, but for when its set is full, what
// is asked for all the while.
func TestCache(t *testing.T) {
	c := newCache(1 << 20)
	rng := rand.New(rand.NewPCG(1, 1))
	var dst []byte
	const hot = 1 << 30
	lost := 0
	for i := range 50_000 {
		n := 1 + rng.IntN(600)
		seq := uint64(i)
		c.put(keyOf(i), seq, valueOf(i, n))
		var ok bool
		if dst, ok = c.get(keyOf(i), seq, n, append(dst[:0], "before"...)); !ok || string(dst) != "before"+string(valueOf(i, n)) {
			t.Fatalf("%d: found %v, %q", i, ok, dst)
		}
		if _, ok = c.get(keyOf(i), seq+1<<20, n, nil); ok {
			t.Fatalf("%d: found by another number", i)
		}
		if j := rng.IntN(i + 1); j%7 == 0 {
			if got, ok := c.get(keyOf(j), uint64(j), 1, nil); ok && got[0] != valueOf(j, 1)[0] {
				t.Fatalf("%d: got %q", j, got)
			}
		}
		if dst, ok = c.get(keyOf(hot), hot, 100, dst[:0]); !ok {
			lost++
			c.put(keyOf(hot), hot, valueOf(hot, 100))
		} else if !bytes.Equal(dst, valueOf(hot, 100)) {
			t.Fatalf("after %d: %q", i, dst)
		}
	}
	if lost > 50 { // a ring of 16 KiB is full after some fifty values
		t.Errorf("what is asked for all the while was gone %d times of 50,000", lost)
	}
	if n := c.bytes(); n > 1<<20 {
		t.Errorf("%d bytes are in use, of %d", n, 1<<20)
	}
}

// TestCacheRenew: a key that is written again stays, with its new value alone; one
// that is not there does not come in. A value that fits into the room of the last
// one takes no other.
func TestCacheRenew(t *testing.T) {
	c := newCache(1 << 20)
	rng := rand.New(rand.NewPCG(1, 3))
	type record struct {
		seq uint64
		n   int
	}
	last := map[int]record{}
	room := c.shards[0].size / cacheShare
	kept := 0
	for seq := uint64(1); seq <= 50_000; seq++ {
		i := rng.IntN(40)
		is := record{seq, 1 + rng.IntN(600)}
		if rng.IntN(50) == 0 {
			is.n = room * rng.IntN(3) // none, all that is taken, too much
		}
		was, known := last[i]
		had := false
		if known {
			_, had = c.get(keyOf(i), was.seq, was.n, nil)
		}
		s, _ := c.shard(keyOf(i))
		end := s.mu.end
		value := valueOf(int(seq), is.n)
		c.renew(keyOf(i), was.seq, was.n, is.seq, value)
		if is.n <= was.n && s.mu.end != end {
			t.Fatalf("%d: %d bytes in the room of %d took more", seq, is.n, was.n)
		}
		got, has := c.get(keyOf(i), is.seq, is.n, nil)
		if want := had && s.takes(is.n); has != want || has && !bytes.Equal(got, value) {
			t.Fatalf("%d: had the last one %v, has the new one of %d bytes %v, %q", seq, had, is.n, has, got)
		}
		if _, ok := c.get(keyOf(i), was.seq, was.n, nil); ok {
			t.Fatalf("%d: the last one is still there", seq)
		}
		if has {
			kept++
		} else if c.put(keyOf(i), is.seq, value); known {
			if _, ok := c.get(keyOf(i), was.seq, was.n, nil); ok {
				t.Fatalf("%d: the last one is back", seq)
			}
		}
		last[i] = is
	}
	if kept < 40_000 {
		t.Errorf("%d of 50,000 were kept", kept)
	}
}

func TestCacheLimits(t *testing.T) {
	c := newCache(1 << 20)
	room := c.shards[0].size / cacheShare
	for n, want := range map[int]bool{0: false, 1: true, room: true, room + 1: false} {
		c.put(keyOf(n), uint64(n), make([]byte, n))
		if _, ok := c.get(keyOf(n), uint64(n), n, nil); ok != want {
			t.Errorf("a value of %d bytes: found %v", n, ok)
		}
	}
	for _, limit := range []int64{0, 1, 5000} {
		c := newCache(limit)
		for i := range 100 {
			c.put(keyOf(i), uint64(i), make([]byte, 10))
			c.renew(keyOf(i), uint64(i), 10, uint64(1000+i), make([]byte, 10))
		}
		if got, _ := c.get(keyOf(3), 1003, 10, nil); limit == 0 && len(got) > 0 || c.bytes() > limit+cacheShards*64 {
			t.Errorf("limit %d: %d bytes", limit, c.bytes())
		}
	}
}

func TestCacheConcurrently(t *testing.T) {
	c := newCache(1 << 18)
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 2))
			for range 20_000 {
				i := rng.IntN(500)
				n := 10 + i
				key := keyOf(i % 100) // five records of each
				if got, ok := c.get(key, uint64(i), n, nil); !ok {
					c.put(key, uint64(i), valueOf(i, n))
				} else if !bytes.Equal(got, valueOf(i, n)) {
					t.Errorf("%d: got %q", i, got)
					return
				} else if next := (i + 100) % 500; rng.IntN(4) == 0 {
					c.renew(key, uint64(i), n, uint64(next), valueOf(next, 10+next))
				}
			}
		})
	}
	all.Wait()
}

// TestGetFromCache: a value that was read is read from memory the next time, also
// when it was written again since, and then it is the new one.
func TestGetFromCache(t *testing.T) {
	e := mustOpen(t, onFiles(t.TempDir()))
	defer e.Close()
	k, other := []byte("\x02\x00\x01key"), []byte("\x02\x00\x01other")
	cached := func(k []byte, n int) bool {
		place, _ := e.index.get(k)
		_, ok := e.cache.get(k, place.seq(), n, nil)
		return ok
	}
	for i := range 5 {
		want := strings.Repeat("value ", 1+i%3) + strconv.Itoa(i)
		mustSet(t, e, k, want)
		mustSet(t, e, other, want)
		if got := cached(k, len(want)); got != (i > 0) {
			t.Fatalf("write %d: in the cache: %v", i, got)
		}
		if err := e.Sync(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if got, ok, err := e.Get(k, nil); err != nil || !ok || string(got) != want {
				t.Fatalf("%q, %v, %v", got, ok, err)
			}
		}
		if !cached(k, len(want)) {
			t.Fatal("what was read is not in the cache")
		}
		if cached(other, len(want)) {
			t.Fatal("what nobody has read is in the cache")
		}
	}
}

// TestMergeLeavesCache: what a merge moves stays in the cache.
func TestMergeLeavesCache(t *testing.T) {
	e, j := single(t, vfs.NewMem(), nil)
	k := key(1, "stays")
	mustSet(t, e, k, "value")
	for i := range 20 {
		mustSet(t, e, key(1, fmt.Sprint(i)), "first")
	}
	e.rollNow(t)
	if _, _, err := e.Get(k, nil); err != nil {
		t.Fatal(err)
	}
	before, _ := e.index.get(k)
	for i := range 20 {
		mustSet(t, e, key(1, fmt.Sprint(i)), "second")
	}
	j.run()
	after, _ := e.index.get(k)
	if after.segment == before.segment {
		t.Fatal("the record was not moved")
	}
	if got, ok := e.cache.get(k, after.seq(), 5, nil); !ok || string(got) != "value" {
		t.Errorf("in the cache: %v, %q", ok, got)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
