package bench

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/client"
)

// lagging is a store whose reader's side shows a put some time after it was
// acknowledged.
type lagging struct {
	lag time.Duration
	mu  sync.Mutex
	old map[string][]byte
	new map[string][]byte
	at  map[string]time.Time
}

func (s *lagging) Put(_ context.Context, key string, _ client.Context, value []byte, _ ...client.Option) (client.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.new == nil {
		s.old, s.new, s.at = map[string][]byte{}, map[string][]byte{}, map[string]time.Time{}
	}
	s.old[key], s.new[key], s.at[key] = s.new[key], append([]byte(nil), value...), time.Now()
	return client.Result{Context: client.Context("c")}, nil
}

func (s *lagging) Get(_ context.Context, key string, _ ...client.Option) (client.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value := s.new[key]
	if time.Since(s.at[key]) < s.lag {
		value = s.old[key]
	}
	if value == nil {
		return client.Result{}, nil
	}
	return client.Result{Siblings: []client.Sibling{{Value: value}}, Context: client.Context("c")}, nil
}

func TestStaleness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := openLoop(10)
		cfg.Duration, cfg.Probers, cfg.ValueBytes = 10*time.Second, 3, 4
		cfg.Delays = []time.Duration{0, time.Millisecond, 4 * time.Millisecond, 5 * time.Millisecond, 20 * time.Millisecond}
		r := runVirtually(t, cfg, &lagging{lag: 5 * time.Millisecond})
		if r.Staleness == nil || len(r.Staleness.Delays) != len(cfg.Delays) || r.Staleness.Failed != 0 {
			t.Fatalf("%+v", r.Staleness)
		}
		for i, d := range r.Staleness.Delays {
			want := 0.0
			if cfg.Delays[i] < 5*time.Millisecond {
				want = 1
			}
			// 30 ms for all delays, 10 s, 3 probers.
			if d.Share != want || d.Gets < 990 || d.Gets > 1010 || d.Misses != uint64(want)*d.Gets || d.Low > d.Share || d.High < d.Share {
				t.Errorf("%+v, want a share of %v of 1,000", d, want)
			}
		}
		if got, want := r.Ops, int64(100); got != want {
			t.Errorf("%d operations, want the load's %d alone", got, want)
		}
	})
}

// A get that comes late counts for the delay that has really passed.
func TestStalenessCountsByRealDelay(t *testing.T) {
	cfg := Default()
	cfg.Delays = DefaultDelays()
	p := newProber(newBench(cfg, &lagging{}).shared, 0, 7)
	for passed, want := range map[time.Duration]time.Duration{
		-1: 0, 0: 0, 99 * time.Microsecond: 0, 100 * time.Microsecond: 100 * time.Microsecond,
		7 * time.Millisecond: 5 * time.Millisecond, time.Hour: 100 * time.Millisecond,
	} {
		if got := cfg.Delays[p.step(passed)]; got != want {
			t.Errorf("%v counts as %v, want %v", passed, got, want)
		}
	}
}

func TestStalenessCountsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := openLoop(10)
		cfg.Delays, cfg.Probers = []time.Duration{0}, 2
		r := runVirtually(t, cfg, &fakeStore{fail: func(int) error { return errTest }})
		if r.Staleness == nil || r.Staleness.Failed != 400 || r.Staleness.Delays[0].Gets != 0 {
			t.Errorf("%+v", r.Staleness)
		}
	})
}

func TestWilson(t *testing.T) {
	for _, c := range []struct {
		hits, of  uint64
		low, high float64
	}{{0, 10, 0, 0.2775}, {10, 10, 0.7225, 1}, {5, 10, 0.2366, 0.7634}, {1, 1000, 0.000177, 0.005643}} {
		low, high := wilson(c.hits, c.of)
		if low-c.low > 1e-4 || c.low-low > 1e-4 || high-c.high > 1e-4 || c.high-high > 1e-4 {
			t.Errorf("%d of %d: %v to %v, want %v to %v", c.hits, c.of, low, high, c.low, c.high)
		}
	}
}
