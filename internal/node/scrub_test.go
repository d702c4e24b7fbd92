package node

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
)

// shelf holds some bytes in each leaf of its partitions, one leaf of them
// damaged.
type shelf struct {
	parts   []kv.Partition
	perLeaf int
	damaged merkle.Leaf
	fail    error
	read    []kv.Partition
}

func (s *shelf) Held() []kv.Partition { return s.parts }

func (s *shelf) ScrubSlice(p kv.Partition, l merkle.Leaf, leaves int) (int, error) {
	if s.fail != nil {
		return 0, s.fail
	}
	if l == 0 {
		s.read = append(s.read, p)
	}
	var err error
	if p == s.parts[0] && s.damaged >= l && s.damaged < l+merkle.Leaf(leaves) {
		err = kv.Errorf(kv.KindCorrupt, "scrub", "leaf %d", s.damaged)
	}
	return leaves * s.perLeaf, err
}

// newTestScrubber has time go by only where the scrubber waits, and ends after
// the given number of passes.
func newTestScrubber(t *testing.T, store *shelf, cfg ScrubConfig, passes int) (*scrubber, context.Context) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newScrubber(cfg, store, slog.New(slog.DiscardHandler))
	now := noonUTC
	s.now = func() time.Time { return now }
	s.wait = func(ctx context.Context, d time.Duration, woken <-chan struct{}) bool {
		if woken != nil {
			if passes--; passes < 0 {
				cancel()
			}
			select {
			case <-woken:
				return ctx.Err() == nil
			default:
			}
		}
		now = now.Add(d)
		return ctx.Err() == nil
	}
	return s, ctx
}

var noonUTC = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestScrubReadsEverythingAtItsPace(t *testing.T) {
	store := &shelf{parts: []kv.Partition{2, 7}, perLeaf: 1024, damaged: 700}
	s, ctx := newTestScrubber(t, store, ScrubConfig{Rate: 1 << 20, Every: time.Hour}, 2)
	s.start()
	s.start() // it runs already
	if v := s.progress(); !v.Running {
		t.Errorf("after start: %+v", v)
	}
	if err := s.run(ctx); err != nil {
		t.Fatal(err)
	}
	// Two passes of 2 MiB at 1 MiB/s; the second begins an hour after the end
	// of the first.
	second := noonUTC.Add(2*time.Second + time.Hour)
	want := httpapi.RunView{Started: second, Ended: second.Add(2 * time.Second), Done: 2, Total: 2, Bytes: 2 << 20, Found: 1}
	if diff := cmp.Diff(want, s.progress()); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]kv.Partition{2, 7, 2, 7}, store.read); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

func TestScrubEndsWithTheDisk(t *testing.T) {
	store := &shelf{parts: []kv.Partition{2}, fail: kv.Errorf(kv.KindStorage, "read", "gone")}
	s, ctx := newTestScrubber(t, store, DefaultScrub(), 1)
	if err := s.run(ctx); err != nil {
		t.Fatal(err)
	}
	if v := s.progress(); v.Running || v.Done != 0 || v.Total != 1 {
		t.Errorf("progress %+v", v)
	}
}

func TestScrubConfig(t *testing.T) {
	for _, c := range []struct {
		cfg ScrubConfig
		ok  bool
	}{
		{DefaultScrub(), true},
		{ScrubConfig{Rate: 1, Every: 1}, true},
		{ScrubConfig{Rate: 0, Every: 1}, false},
		{ScrubConfig{Rate: 1, Every: 0}, false},
	} {
		if err := c.cfg.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
}
