package logstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// placeOf returns the i-th place, of a record with an n-byte value.
func placeOf(i, n int) *loc {
	l := newLoc(uint64(i), uint32(i>>16), int64(i), int64(headerLen+n))
	return &l
}

// valueOf returns the value at the i-th place.
func valueOf(i, n int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%d,", i), n)[:n] }

// TestCache: whatever is found is what was put there, through many rounds of the
// rings; what was put last is found, and so is, but for when its set is full, what
// is asked for all the while.
func TestCache(t *testing.T) {
	c := newCache(1 << 20)
	rng := rand.New(rand.NewPCG(1, 1))
	var dst []byte
	hot := placeOf(1<<30, 100)
	lost := 0
	for i := range 50_000 {
		n := 1 + rng.IntN(600)
		c.put(placeOf(i, n), valueOf(i, n))
		var ok bool
		if dst, ok = c.get(placeOf(i, n), n, append(dst[:0], "before"...)); !ok || string(dst) != "before"+string(valueOf(i, n)) {
			t.Fatalf("%d: found %v, %q", i, ok, dst)
		}
		elsewhere := *placeOf(i, n)
		elsewhere.segment += 1 << 20
		if _, ok = c.get(&elsewhere, n, nil); ok {
			t.Fatalf("%d: found in another segment", i)
		}
		if j := rng.IntN(i + 1); j%7 == 0 {
			if got, ok := c.get(placeOf(j, 1), 1, nil); ok && got[0] != valueOf(j, 1)[0] {
				t.Fatalf("%d: got %q", j, got)
			}
		}
		if dst, ok = c.get(hot, 100, dst[:0]); !ok {
			lost++
			c.put(hot, valueOf(1<<30, 100))
		} else if !bytes.Equal(dst, valueOf(1<<30, 100)) {
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

func TestCacheLimits(t *testing.T) {
	c := newCache(1 << 20)
	room := c.shards[0].size / cacheShare
	for n, want := range map[int]bool{0: false, 1: true, room: true, room + 1: false} {
		c.put(placeOf(n, n), make([]byte, n))
		if _, ok := c.get(placeOf(n, n), n, nil); ok != want {
			t.Errorf("a value of %d bytes: found %v", n, ok)
		}
	}
	for _, limit := range []int64{0, 1, 5000} {
		c := newCache(limit)
		for i := range 100 {
			c.put(placeOf(i, 10), make([]byte, 10))
		}
		if got, _ := c.get(placeOf(3, 10), 10, nil); limit == 0 && len(got) > 0 || c.bytes() > limit+cacheShards*64 {
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
				if got, ok := c.get(placeOf(i, n), n, nil); !ok {
					c.put(placeOf(i, n), valueOf(i, n))
				} else if !bytes.Equal(got, valueOf(i, n)) {
					t.Errorf("%d: got %q", i, got)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestGetFromCache: a value that was read is read from memory the next time, and
// not its old value when it was written again.
func TestGetFromCache(t *testing.T) {
	e := mustOpen(t, onFiles(t.TempDir()))
	defer e.Close()
	k := []byte("\x02\x00\x01key")
	for i := range 3 {
		want := fmt.Sprintf("value %d", i)
		mustSet(t, e, k, want)
		if err := e.Sync(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if got, ok, err := e.Get(k, nil); err != nil || !ok || string(got) != want {
				t.Fatalf("%q, %v, %v", got, ok, err)
			}
		}
		place, _ := e.index.get(k)
		if _, ok := e.cache.get(&place, len(want), nil); !ok {
			t.Error("it is not in the cache")
		}
	}
}
