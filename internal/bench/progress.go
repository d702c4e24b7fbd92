package bench

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/metrics"
)

// progressEvery is how often a line of progress is written.
const progressEvery = time.Second

// every calls f at each tick until ctx ends.
func every(ctx context.Context, tick time.Duration, f func(now time.Time)) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			f(now)
		}
	}
}

// moment is what all callers had done at one time.
type moment struct {
	at     time.Time
	done   metrics.Snapshot
	failed uint64
}

func (b *bench) moment(now time.Time) *moment {
	m := &moment{at: now}
	for _, r := range b.recorders {
		m.done.Add(&r.live.done)
		m.failed += r.live.failed.Load()
	}
	return m
}

// progress writes what was done in each second of the measurement s and of the
// warm-up before it.
func (b *bench) progress(ctx context.Context, out io.Writer, s span) {
	from, began := s.from, s.from.Add(-b.cfg.WarmUp)
	last := b.moment(began)
	every(ctx, progressEvery, func(now time.Time) {
		m := b.moment(now)
		writeProgress(out, from, began, now, between(last, m))
		last = m
	})
}

// between tells what was done between two moments.
func between(last, m *moment) second {
	did := m.done
	did.Sub(&last.done)
	rate := float64(did.Count()) / m.at.Sub(last.at).Seconds()
	return second{Ops: uint64(rate), Failed: m.failed - last.failed, P99: did.Percentile(990)}
}

// writeProgress writes a line of what was done in the last second, of a load that
// began at began, measured since from.
func writeProgress(out io.Writer, from, began, now time.Time, s second) {
	what, since := "measure", from
	if now.Add(-progressEvery).Before(from) {
		what, since = "warm up", began
	}
	fmt.Fprintf(out, "%s %4.0f s  %9s ops/s  p99 %9s  %s errors\n", what, now.Sub(since).Seconds(),
		thousands(int64(s.Ops)), millisText(s.P99), thousands(int64(s.Failed)))
}

// preloadProgress writes how many of keys are loaded.
func preloadProgress(ctx context.Context, out io.Writer, keys int, loaded *atomic.Int64) {
	began := time.Now()
	every(ctx, progressEvery, func(now time.Time) {
		n := loaded.Load()
		fmt.Fprintf(out, "preload %4.0f s  %s of %s keys\n", now.Sub(began).Seconds(), thousands(n), thousands(int64(keys)))
	})
}
