package bench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// small is a short run without preload and warm-up.
func small(w Workload) Config {
	cfg := Default()
	cfg.Workload, cfg.Keys, cfg.Concurrency = w, 1000, 8
	cfg.WarmUp, cfg.Duration, cfg.Preload = 0, 2*time.Second, false
	return cfg
}

// count returns how many operations of a kind there were.
func (r Report) count(k kind) int64 {
	for _, kr := range r.Kinds {
		if kr.Kind == kindNames[k] {
			return kr.Count
		}
	}
	return 0
}

func TestMix(t *testing.T) {
	for w, share := range map[Workload]float64{WorkloadA: 0.5, WorkloadB: 0.95, WorkloadC: 1, WorkloadW: 0} {
		synctest.Test(t, func(t *testing.T) {
			store := &fakeStore{getTime: time.Millisecond, putTime: time.Millisecond}
			r, err := RunOn(t.Context(), small(w), store, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			// A closed loop of 8 callers, 1 ms an operation, 2 s; at its end an
			// update that had to get first may make its put.
			if r.Ops != 16_000 || r.Seconds < 2 || r.Seconds > 2.001 || r.OpsPerSec != 16_000/r.Seconds {
				t.Errorf("%s: %d operations in %v s, want 16,000 in 2", w, r.Ops, r.Seconds)
			}
			if late := int64(store.gets+store.puts) - r.Ops; late < 0 || late > 8 {
				t.Errorf("%s: %+v, the store counted %d gets and %d puts", w, r.Kinds, store.gets, store.puts)
			}
			draws := int(r.count(read) + r.count(update))
			wantShare(t, "reads of workload "+string(w), int(r.count(read)), draws, share)
		})
	}
}

func TestLatencies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{getTime: 1500 * time.Microsecond, putTime: 70 * time.Millisecond}
		r, err := RunOn(t.Context(), small(WorkloadA), store, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range r.Kinds {
			want := 1.5
			if k.Kind == kindNames[update] {
				want = 70
			}
			for _, got := range []float64{k.P50, k.P99, k.P999, k.Max} {
				if math.Abs(got-want) > want/1000 {
					t.Errorf("%+v, want %v ms", k, want)
				}
			}
		}
	})
}

func TestSiblingsDoNotPileUp(t *testing.T) {
	for _, w := range []Workload{WorkloadA, WorkloadW} {
		for _, d := range []Distribution{Uniform, Zipfian} {
			synctest.Test(t, func(t *testing.T) {
				store := &fakeStore{getTime: time.Millisecond, putTime: time.Millisecond}
				cfg := small(w)
				cfg.Distribution, cfg.Keys = d, 50
				r, err := RunOn(t.Context(), cfg, store, io.Discard)
				if err != nil {
					t.Fatal(err)
				}
				if store.mostAtPut > cfg.Concurrency+1 {
					t.Errorf("%s, %s: %d siblings of one key from %d callers", w, d, store.mostAtPut, cfg.Concurrency)
				}
				if r.Conflicts == 0 || r.MostSiblings < 2 || r.count(lookup) == 0 {
					t.Errorf("%s, %s: concurrent updates of 50 keys left no trace: %+v", w, d, r)
				}
			})
		}
	}
}

func TestPreloadLeavesOneValueOfEachKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{getTime: time.Millisecond, putTime: time.Millisecond}
		cfg := small(WorkloadC)
		cfg.Preload = true
		var out bytes.Buffer
		for range 2 { // the second finds the first one's keys
			r, err := RunOn(t.Context(), cfg, store, &out)
			if err != nil {
				t.Fatal(err)
			}
			if r.Missing > 0 || r.Conflicts > 0 || len(store.keys) != cfg.Keys {
				t.Errorf("%d keys of %d, %d reads saw none, %d several", len(store.keys), cfg.Keys, r.Missing, r.Conflicts)
			}
		}
		r, err := RunOn(t.Context(), small(WorkloadC), &fakeStore{getTime: time.Millisecond}, io.Discard)
		if err != nil || r.Missing != uint64(r.Ops) {
			t.Errorf("without preload: %d of %d reads are missing, %v", r.Missing, r.Ops, err)
		}
	})
}

// TestLookup: a run without preload is beside nothing that an earlier one has left,
// if it looks.
func TestLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, look := range []bool{true, false} {
			store := &fakeStore{getTime: time.Millisecond, putTime: time.Millisecond}
			cfg := small(WorkloadC)
			cfg.Preload = true
			if _, err := RunOn(t.Context(), cfg, store, io.Discard); err != nil {
				t.Fatal(err)
			}
			cfg = small(WorkloadW)
			cfg.Concurrency, cfg.Lookup = 1, look
			r, err := RunOn(t.Context(), cfg, store, io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			if beside := r.Conflicts > 0; beside == look {
				t.Errorf("looks before it puts: %v; siblings: %v", look, beside)
			}
			if n := r.count(lookup); look && (n < 100 || n > int64(cfg.Keys)) {
				t.Errorf("%d of %d keys were looked up", n, cfg.Keys)
			}
		}
	})
}

func TestPreloadGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := small(WorkloadA)
		cfg.Preload = true
		refused := &client.Error{Op: "put", Kind: client.KindDiskFull, Err: errTest}
		_, err := RunOn(t.Context(), cfg, &fakeStore{fail: func(int) error { return refused }}, io.Discard)
		if !errors.Is(err, errTest) {
			t.Errorf("got %v", err)
		}
	})
}

func TestPreloadOutlastsAFewErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := small(WorkloadC)
		cfg.Preload, cfg.Keys = true, 10
		refused := &client.Error{Op: "put", Kind: client.KindOverloaded, Err: errTest}
		store := &fakeStore{getTime: time.Millisecond, putTime: time.Millisecond, fail: func(n int) error {
			if n < 20 {
				return refused
			}
			return nil
		}}
		r, err := RunOn(t.Context(), cfg, store, io.Discard)
		if err != nil || r.Missing > 0 || r.MostSiblings != 1 {
			t.Errorf("%v, %+v", err, r)
		}
	})
}

func TestErrorsAreCountedByKindAndPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{fail: func(n int) error {
			if n%4 == 0 {
				return errTest
			}
			return &client.Error{Op: "test", Kind: client.KindUnavailable, Err: errTest}
		}}
		var out bytes.Buffer
		r, err := RunOn(t.Context(), small(WorkloadA), store, &out)
		if err != nil {
			t.Fatal(err)
		}
		// 8 callers, one operation every 10 ms each, for 2 s.
		if r.Ops != 0 || r.Errors[client.KindUnavailable] != 1200 || r.Errors[client.KindInternal] != 400 {
			t.Errorf("%d operations, errors %v", r.Ops, r.Errors)
		}
		if second := regexp.MustCompile(`0 ops/s .* (79|80)\d errors\n`); !second.MatchString(out.String()) {
			t.Errorf("progress says nothing of about 800 errors a second:\n%s", out.String())
		}
	})
}

func TestWarmUpIsNotReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := small(WorkloadC)
		cfg.WarmUp, cfg.Duration = 5*time.Second, 10*time.Second
		slow := &client.Error{Op: "test", Kind: client.KindTimeout, Err: errTest}
		store := &fakeStore{getTime: time.Millisecond, fail: func(n int) error {
			if n <= 100 {
				return slow
			}
			return nil
		}}
		var out bytes.Buffer
		r, err := RunOn(t.Context(), cfg, store, &out)
		if err != nil || r.Ops != 80_000 || len(r.Errors) > 0 {
			t.Errorf("%v, %+v", err, r)
		}
		second := regexp.MustCompile(`(?m)^(warm up|measure) +\d+ s +(7,9|8,0)\d\d ops/s  p99 +1\.01 ms  0 errors$`)
		if n := len(second.FindAllString(out.String(), -1)); n < 13 || n > 14 { // all but the first, the last perhaps
			t.Errorf("%d lines of progress are as they should be:\n%s", n, out.String())
		}
		if n := strings.Count(out.String(), "warm up"); n != 5 {
			t.Errorf("%d lines are of the warm-up, want 5:\n%s", n, out.String())
		}
	})
}

func TestInterruption(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		ops   int64 // -1: an error, no report
	}{
		{"preload", 50 * time.Millisecond, -1},
		{"warm-up", 1125*time.Millisecond + 500*time.Microsecond, -1},
		{"measurement", 4125*time.Millisecond + 500*time.Microsecond, 16_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.after)
				defer cancel()
				cfg := small(WorkloadC)
				cfg.Preload, cfg.WarmUp, cfg.Duration = true, 2*time.Second, time.Minute // the preload takes 125 ms
				r, err := RunOn(ctx, cfg, &fakeStore{getTime: time.Millisecond, putTime: time.Millisecond}, io.Discard)
				switch {
				case c.ops < 0 && !errors.Is(err, context.DeadlineExceeded):
					t.Errorf("got %v", err)
				case c.ops >= 0 && (err != nil || !r.Interrupted || r.Ops != c.ops || len(r.Errors) > 0):
					t.Errorf("got %v, %+v", err, r)
				}
			})
		})
	}
}

// meterFunc is a function as a CPU.
type meterFunc func() (time.Duration, error)

func (f meterFunc) CPU(context.Context) (time.Duration, error) { return f() }

func TestClusterCPU(t *testing.T) {
	const ops = 16_000
	for _, c := range []struct {
		name          string
		before, after time.Duration
		err           error
		want          float64
		note          string
	}{
		{name: "known", before: time.Minute, after: time.Minute + ops*25*time.Microsecond, want: 25},
		{name: "restarted", before: time.Minute, after: time.Second, note: "restarted"},
		{name: "no answer", err: errTest, note: errTest.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, asked := small(WorkloadC), 0
				cfg.CPU = meterFunc(func() (time.Duration, error) {
					if asked++; asked == 1 {
						return c.before, nil
					}
					return c.after, c.err
				})
				r, err := RunOn(t.Context(), cfg, &fakeStore{getTime: time.Millisecond}, io.Discard)
				if err != nil || r.ClusterCPU != c.want || !strings.Contains(r.ClusterCPUNote, c.note) || (c.note == "") != (r.ClusterCPUNote == "") {
					t.Errorf("%v, %v µs, %q", err, r.ClusterCPU, r.ClusterCPUNote)
				}
			})
		})
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for name, change := range map[string]func(*Config){
		"no address":     func(c *Config) { c.Addrs = nil },
		"no connection":  func(c *Config) { c.Conns = 0 },
		"connections":    func(c *Config) { c.Conns = client.MaxConns + 1 },
		"no bucket":      func(c *Config) { c.Bucket = "" },
		"workload":       func(c *Config) { c.Workload = "e" },
		"value below 0":  func(c *Config) { c.ValueBytes = -1 },
		"value":          func(c *Config) { c.ValueBytes = kv.MaxValue + 1 },
		"no keys":        func(c *Config) { c.Keys = 0 },
		"keys":           func(c *Config) { c.Keys = MaxKeys + 1 },
		"distribution":   func(c *Config) { c.Distribution = "normal" },
		"no callers":     func(c *Config) { c.Concurrency = 0 },
		"callers":        func(c *Config) { c.Concurrency = MaxConcurrency + 1 },
		"warm-up below":  func(c *Config) { c.WarmUp = -1 },
		"warm-up":        func(c *Config) { c.WarmUp = MaxDuration + 1 },
		"no duration":    func(c *Config) { c.Duration = 0 },
		"duration":       func(c *Config) { c.Duration = MaxDuration + 1 },
		"long bucket":    func(c *Config) { c.Bucket = strings.Repeat("b", kv.MaxBucket+1) },
		"empty workload": func(c *Config) { c.Workload = "" },
		"no routing":     func(c *Config) { c.Routing = "" },
	} {
		cfg := Default()
		change(&cfg)
		_, err := Run(t.Context(), cfg, io.Discard)
		if k := kv.KindOf(err); k != kv.KindInvalid && k != kv.KindTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
	cfg := Default()
	cfg.Conns, cfg.ValueBytes, cfg.Keys, cfg.Concurrency = client.MaxConns, kv.MaxValue, MaxKeys, MaxConcurrency
	cfg.WarmUp, cfg.Duration, cfg.Bucket = MaxDuration, MaxDuration, strings.Repeat("b", kv.MaxBucket)
	if err := cfg.Validate(); err != nil {
		t.Errorf("all at their limits: %v", err)
	}
}
