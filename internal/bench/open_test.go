package bench

import (
	"context"
	"io"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/client"
)

// runVirtually is RunOn in a bubble, whose time no system call may wait for.
func runVirtually(t *testing.T, cfg Config, store Store) Report {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	b := newBench(cfg, store)
	b.wait = func(ctx context.Context, until time.Time) time.Time {
		pause(ctx, time.Until(until))
		return time.Now()
	}
	if err := b.prepare(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	r, err := b.measure(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantNear(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > math.Abs(want)/500+0.001 {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// openLoop is a load of reads at a rate, from 8 callers, for two seconds.
func openLoop(rate float64) Config {
	cfg := small(WorkloadC)
	cfg.Rate = rate
	return cfg
}

func TestOpenLoopThatIsKeptUpWith(t *testing.T) {
	for _, a := range []Arrivals{Even, Poisson} {
		synctest.Test(t, func(t *testing.T) {
			cfg := openLoop(1000)
			cfg.Arrivals, cfg.WarmUp = a, time.Second
			r := runVirtually(t, cfg, &fakeStore{getTime: time.Millisecond})
			if a == Even && r.Ops != 2000 || math.Abs(float64(r.Ops)-2000) > 200 || uint64(r.Ops) != r.Open.Due || r.Open.Unbegun != 0 {
				t.Errorf("%s: %d operations of %+v", a, r.Ops, r.Open)
			}
			k := r.Kinds[0]
			wantNear(t, "p50", k.P50, 1)
			wantNear(t, "p50 once begun", k.Service.P50, 1)
			if a == Even {
				wantNear(t, "longest", k.Max, 1)
				wantNear(t, "late", r.Open.Behind.Max, 0.001) // as fine as it is told
			}
		})
	}
}

// Of a store that stops for a second the closed loop sees 8 slow operations; the
// open loop sees all that would have been made.
func TestOpenLoopCorrectsForCoordinatedOmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := openLoop(1000)
		cfg.Duration = 4 * time.Second
		store := &stopping{Store: &fakeStore{getTime: time.Millisecond}, from: time.Now().Add(time.Second), to: time.Now().Add(2 * time.Second)}
		r := runVirtually(t, cfg, store)
		k := r.Kinds[0]
		if r.Ops != 4000 || k.Count != 4000 {
			t.Fatalf("%d operations, want 4,000", r.Ops)
		}
		// A thousand were due while it stopped; then 8 callers catch up, 7 ms of the
		// backlog in each millisecond.
		wantNear(t, "longest", k.Max, 1001)
		wantNear(t, "longest once begun", k.Service.Max, 1001)
		if k.P90 < 500 || k.Service.P99 > 1.01 {
			t.Errorf("p90 %v ms from when due, p99 %v ms once begun; want above 500 and 1", k.P90, k.Service.P99)
		}
		if r.Open.Behind.Max < 980 || r.Open.Unbegun != 0 {
			t.Errorf("%+v, want to be 990 ms behind once, and to catch up", r.Open)
		}
		cfg.Rate, store.from, store.to = 0, time.Now().Add(time.Second), time.Now().Add(2*time.Second)
		closed := runVirtually(t, cfg, store).Kinds[0]
		if closed.P99 > 1.01 || closed.Max < 1000 || closed.Service != nil {
			t.Errorf("the closed loop's %+v, want no trace at p99", closed)
		}
	})
}

// stopping is a store that does not answer for some time.
type stopping struct {
	Store
	from, to time.Time
}

func (s *stopping) Get(ctx context.Context, key string, opts ...client.Option) (client.Result, error) {
	if now := time.Now(); !now.Before(s.from) && now.Before(s.to) {
		pause(ctx, s.to.Sub(now))
	}
	return s.Store.Get(ctx, key, opts...)
}

func TestOpenLoopThatIsNotKeptUpWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// 8 callers do 8,000 a second.
		r := runVirtually(t, openLoop(16_000), &fakeStore{getTime: time.Millisecond})
		if r.Open.Due != 32_000 || uint64(r.Ops)+r.Open.Unbegun != r.Open.Due {
			t.Errorf("%d operations of %+v", r.Ops, r.Open)
		}
		wantNear(t, "achieved", r.OpsPerSec, 8000)
		wantNear(t, "offered", r.Open.Offered, 16_000)
		wantNear(t, "behind at the end", r.Open.BehindAtEnd, 1000)
		wantNear(t, "longest once begun", r.Kinds[0].Service.Max, 1)
		if r.Open.keptUp() || r.Kinds[0].Max < 990 || r.Kinds[0].Max > 1001 {
			t.Errorf("%+v, longest %v ms, want a second", r.Open, r.Kinds[0].Max)
		}
		wantNear(t, "behind in the first second", r.Timeline[0].Behind, 500)
		wantNear(t, "behind in the last", r.Timeline[1].Behind, 1000)
	})
}

// What follows as part of an operation is due when the first part ended.
func TestOpenLoopOfReadModifyWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := openLoop(100)
		cfg.Workload, cfg.Preload = WorkloadF, true
		r := runVirtually(t, cfg, &fakeStore{getTime: 2 * time.Millisecond, putTime: 3 * time.Millisecond})
		for name, want := range map[string]float64{"read": 2, "read before update": 2, "update": 3, "read-modify-write": 5} {
			k := r.kind(name)
			if k == nil {
				t.Fatalf("no %s in %+v", name, r.Kinds)
			}
			wantNear(t, name, k.Max, want)
			wantNear(t, name+" once begun", k.Service.Max, want)
		}
		whole := r.kind("read-modify-write")
		if !whole.Whole || r.Ops != r.count(read)+r.count(lookup)+r.count(update) || whole.Count != r.count(update) || r.Open.Due != 200 {
			t.Errorf("%d operations, %+v", r.Ops, r.Kinds)
		}
		wantShare(t, "read-modify-writes", int(whole.Count), 200, 0.5)
	})
}

// Errors of an open loop are not waited after: the load goes on as it was set.
func TestOpenLoopGoesOnAfterErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := runVirtually(t, openLoop(1000), &fakeStore{fail: func(int) error { return errTest }})
		if r.Errors[client.KindInternal] != 2000 || r.Ops != 0 || len(r.Kinds) != 0 {
			t.Errorf("%+v", r)
		}
	})
}

func TestOpenLoopInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond+10*time.Microsecond)
		defer cancel()
		cfg := openLoop(1000)
		cfg.Duration = time.Minute
		b := newBench(cfg, &fakeStore{})
		b.wait = func(ctx context.Context, until time.Time) time.Time {
			pause(ctx, time.Until(until))
			return time.Now()
		}
		r, err := b.measure(ctx, io.Discard)
		if err != nil || !r.Interrupted || r.Ops != 1501 || r.Open.Unbegun != 0 || len(r.Timeline) != 2 {
			t.Errorf("%v, %+v", err, r)
		}
		wantNear(t, "offered", r.Open.Offered, 1000.66)
	})
}

func TestTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := openLoop(1000)
		cfg.Duration, cfg.Interval = 2500*time.Millisecond, 500*time.Millisecond
		store := &stopping{Store: &fakeStore{getTime: time.Millisecond}, from: time.Now().Add(600 * time.Millisecond), to: time.Now().Add(900 * time.Millisecond)}
		r := runVirtually(t, cfg, store)
		if len(r.Timeline) != 5 {
			t.Fatalf("%d steps: %+v", len(r.Timeline), r.Timeline)
		}
		var ops int64
		for i, step := range r.Timeline {
			ops += step.Ops
			wantNear(t, "step", step.At, float64(i)/2)
			if slow := step.Kinds[0].Max > 250; slow != (i == 1) {
				t.Errorf("step %d: %+v", i, step)
			}
		}
		if ops != r.Ops {
			t.Errorf("%d operations in all steps, %d in all", ops, r.Ops)
		}
	})
}
