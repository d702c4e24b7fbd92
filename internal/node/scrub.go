package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
)

// ScrubConfig says how fast and how often a node reads all that it stores.
type ScrubConfig struct {
	// Rate is the pace in bytes per second. A node that stores B bytes reads
	// them in B/Rate seconds.
	Rate int
	// Every is the pause between the end of a pass and the begin of the next.
	// The first begins so long after the start.
	Every time.Duration
}

// DefaultScrub reads 4 MiB a second, which a disk hardly notices, once a week.
func DefaultScrub() ScrubConfig { return ScrubConfig{Rate: 4 << 20, Every: 7 * 24 * time.Hour} }

// Validate returns an error of KindInvalid that names the field.
func (c ScrubConfig) Validate() error {
	switch {
	case c.Rate < 1:
		return kv.Errorf(kv.KindInvalid, "check scrub", "Rate %d is less than 1", c.Rate)
	case c.Every <= 0:
		return kv.Errorf(kv.KindInvalid, "check scrub", "Every %v is not positive", c.Every)
	}
	return nil
}

// scrubLeaves is how much of a partition is read at a time.
const scrubLeaves = 64

// scrubbed is what a scrub reads (package replica).
type scrubbed interface {
	// Held returns the partitions with data, ascending.
	Held() []kv.Partition
	// ScrubSlice reads and checks the records of leaves of a partition. What is
	// damaged it sets aside, and returns KindCorrupt.
	ScrubSlice(p kv.Partition, first merkle.Leaf, leaves int) (bytes int, err error)
}

// scrubber reads everything that a node stores, now and then and on demand, so
// that damage is found while other owners still have what it took. start and
// progress are safe for concurrent use.
type scrubber struct {
	cfg   ScrubConfig
	store scrubbed
	log   *slog.Logger
	now   func() time.Time
	// wait returns after d, earlier when woken by start, false when ctx ended.
	wait func(ctx context.Context, d time.Duration, woken <-chan struct{}) bool
	wake chan struct{}
	// shared lengthens a pause where clients would suffer.
	shared func(time.Duration) time.Duration
	mu     struct {
		sync.Mutex
		view httpapi.RunView
	}
}

func newScrubber(cfg ScrubConfig, store scrubbed, log *slog.Logger) *scrubber {
	return &scrubber{cfg: cfg, store: store, log: log, now: time.Now, wait: waitFor, wake: make(chan struct{}, 1), shared: func(d time.Duration) time.Duration { return d }}
}

func waitFor(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-woken:
	case <-ctx.Done():
		return false
	}
	return true
}

// start has a pass begin now. One that is under way goes on.
func (s *scrubber) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.view.Running {
		return
	}
	s.mu.view = httpapi.RunView{Running: true, Started: s.now()}
	s.wake <- struct{}{} // it has room: nobody started since the last pass began
}

// progress returns where the pass, or the last one, stands.
func (s *scrubber) progress() httpapi.RunView {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.view
}

// run makes passes until ctx ends.
func (s *scrubber) run(ctx context.Context) error {
	for s.wait(ctx, s.cfg.Every, s.wake) {
		s.pass(ctx)
	}
	return nil
}

func (s *scrubber) pass(ctx context.Context) {
	parts := s.store.Held()
	s.update(func(v *httpapi.RunView) {
		if !v.Running {
			*v = httpapi.RunView{Running: true, Started: s.now()}
		}
		v.Total = len(parts)
	})
	defer s.update(func(v *httpapi.RunView) { v.Running, v.Ended = false, s.now() })
	for _, p := range parts {
		for l := merkle.Leaf(0); l < merkle.Leaves; l += scrubLeaves {
			if !s.slice(ctx, p, l) {
				return
			}
		}
		s.update(func(v *httpapi.RunView) { v.Done++ })
	}
	v := s.progress()
	s.log.Info("scrubbed", "partitions", v.Total, "bytes", v.Bytes, "damaged", v.Found, "took", s.now().Sub(v.Started))
}

// slice reads a part of a partition and waits as long as the pace asks for. It
// returns false when the pass cannot go on.
func (s *scrubber) slice(ctx context.Context, p kv.Partition, l merkle.Leaf) bool {
	n, err := s.store.ScrubSlice(p, l, scrubLeaves)
	if err != nil && kv.KindOf(err) != kv.KindCorrupt {
		s.log.Error("the scrub ends early", "partition", p, "error", err)
		return false
	}
	s.update(func(v *httpapi.RunView) {
		v.Bytes += uint64(n)
		if err != nil {
			v.Found++
		}
	})
	if n == 0 {
		return ctx.Err() == nil
	}
	return s.wait(ctx, s.shared(time.Duration(n)*time.Second/time.Duration(s.cfg.Rate)), nil)
}

func (s *scrubber) update(change func(*httpapi.RunView)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.mu.view)
}
