package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMixesAreWhole(t *testing.T) {
	for w, m := range mixes {
		sum := 0
		for _, share := range m {
			sum += share
		}
		if sum != 100 {
			t.Errorf("workload %s adds up to %d %%", w, sum)
		}
	}
}

func TestHotspot(t *testing.T) {
	const draws = 300_000
	cfg := Default()
	cfg.Distribution, cfg.Keys, cfg.HotKeys, cfg.HotShare = Hotspot, 1000, 4, 0.6
	counts := frequencies(cfg.chooser(nil), cfg.Keys, draws)
	slices.Sort(counts)
	slices.Reverse(counts)
	for i, got := range counts[:4] {
		wantShare(t, "a hot key", got, draws, 0.15+0.0004)
		if i == 3 && got < 10*counts[4] {
			t.Errorf("the fourth key has %d draws, the fifth %d", got, counts[4])
		}
	}
	wantShare(t, "the coldest", counts[999], draws, 0.0004) // of 1,000, so it is rather low
}

func TestLatest(t *testing.T) {
	const n, draws = 1000, 300_000
	grown := newGrowth(n)
	sum := 0.0
	for i := 1; i <= n; i++ {
		sum += 1 / math.Pow(float64(i), 0.99)
	}
	counts := frequencies(latest{newZipf(n), grown}, n, draws)
	for age := range 10 {
		wantShare(t, "age", counts[n-1-age], draws, 1/math.Pow(float64(age+1), 0.99)/sum)
	}
	for range 50 {
		grown.end(grown.begin())
	}
	r := rand.New(rand.NewPCG(1, 2))
	newest := 0
	for range draws {
		newest = max(newest, latest{newZipf(n), grown}.draw(r))
	}
	if newest != n+49 {
		t.Errorf("after 50 inserts the newest that is drawn is %d", newest)
	}
}

// Only what has been put, with all before it, is known.
func TestGrowth(t *testing.T) {
	g := newGrowth(10)
	a, b, c := g.begin(), g.begin(), g.begin()
	if a != 10 || b != 11 || c != 12 {
		t.Fatalf("new keys are %d, %d and %d", a, b, c)
	}
	for _, step := range []struct {
		end   int
		known int64
	}{{c, 10}, {a, 11}, {a, 11}, {b, 13}} {
		g.end(step.end)
		if got := g.known.Load(); got != step.known {
			t.Errorf("after %d was put %d are known, want %d", step.end, got, step.known)
		}
	}
	if len(g.mu.done) != 0 {
		t.Errorf("%v is kept for nothing", g.mu.done)
	}
}

// Workload D reads what it inserts, and inserts other keys in each run.
func TestInserts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := small(WorkloadD)
		cfg.Distribution, cfg.Preload, cfg.Keys = Latest, true, 100
		store := &fakeStore{getTime: time.Millisecond, putTime: time.Millisecond}
		var inserted int64
		for range 2 {
			r := runVirtually(t, cfg, store)
			if r.Missing > 0 || r.MostSiblings != 1 || r.count(update) != 0 {
				t.Errorf("%+v", r)
			}
			wantShare(t, "inserts", int(r.count(insert)), int(r.Ops), 0.05)
			inserted += r.count(insert)
		}
		if late := int64(len(store.keys)) - 100 - inserted; late < 0 || late > 16 {
			t.Errorf("%d keys of 100 and %d inserts", len(store.keys), inserted)
		}
		for key := range store.keys {
			if !strings.HasPrefix(key, "key") && !strings.HasPrefix(key, "new") {
				t.Fatalf("there is a key %q", key)
			}
		}
	})
}

// Each key is put by one process alone, and is near the one that was drawn.
func TestOwnKeys(t *testing.T) {
	for _, keys := range []int{3, 4, 100, 101} {
		for p := range 3 {
			c := Config{Keys: keys, Processes: 3, Process: p}
			for n := range keys {
				got := c.own(n)
				if got%3 != p || got < 0 || got >= keys || got-n > 2 || n-got > 4 {
					t.Fatalf("of %d keys, process %d puts %d for %d", keys, p, got, n)
				}
			}
		}
	}
}

func TestVersionsThatGetsSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{getTime: time.Millisecond, keys: map[string][]uint64{}}
		cfg := small(WorkloadC)
		cfg.Keys, cfg.Distribution = 4, Uniform
		for n := range 4 {
			for v := range n {
				store.keys[string(appendKey(nil, "key", n))] = append(store.keys[string(appendKey(nil, "key", n))], uint64(v+1))
			}
		}
		r := runVirtually(t, cfg, store)
		if len(r.Versions) != 4 || r.MostSiblings != 3 || r.Missing != r.Versions[0] || r.Conflicts != r.Versions[2]+r.Versions[3] {
			t.Fatalf("%+v", r)
		}
		for _, gets := range r.Versions {
			wantShare(t, "versions", int(gets), int(r.Ops), 0.25)
		}
	})
}
