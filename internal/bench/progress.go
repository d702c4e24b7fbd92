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
	for _, w := range b.workers {
		m.done.Add(&w.live.done)
		m.failed += w.live.failed.Load()
	}
	return m
}

// progress writes what was done in each second of a measurement that begins at
// from, after a warm-up that began at began.
func (b *bench) progress(ctx context.Context, out io.Writer, began, from time.Time) {
	last := b.moment(began)
	every(ctx, progressEvery, func(now time.Time) {
		m := b.moment(now)
		line := progressLine(last, m)
		if last.at.Before(from) {
			fmt.Fprintf(out, "warm up %4.0f s  %s\n", now.Sub(began).Seconds(), line)
		} else {
			fmt.Fprintf(out, "measure %4.0f s  %s\n", now.Sub(from).Seconds(), line)
		}
		last = m
	})
}

// progressLine tells what was done between two moments.
func progressLine(last, m *moment) string {
	did := m.done
	did.Sub(&last.done)
	rate := float64(did.Count()) / m.at.Sub(last.at).Seconds()
	return fmt.Sprintf("%9s ops/s  p99 %9s  %s errors",
		thousands(int64(rate)), millisText(did.Percentile(990)), thousands(int64(m.failed-last.failed)))
}

// preloadProgress writes how many of keys are loaded.
func preloadProgress(ctx context.Context, out io.Writer, keys int, loaded *atomic.Int64) {
	began := time.Now()
	every(ctx, progressEvery, func(now time.Time) {
		n := loaded.Load()
		fmt.Fprintf(out, "preload %4.0f s  %s of %s keys\n", now.Sub(began).Seconds(), thousands(n), thousands(int64(keys)))
	})
}
