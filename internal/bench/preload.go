package bench

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// preloadAttempts bounds how often one key is tried.
const preloadAttempts = 5

// preload puts every key of this process's, so that each has one value afterwards, whatever an
// earlier run left. The first key that cannot be put ends it.
func (b *bench) preload(parent context.Context, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	var next, loaded atomic.Int64
	var callers, printer sync.WaitGroup
	step, first := b.cfg.processes(), b.cfg.Process
	take := func() int { return int(next.Add(1)-1)*step + first }
	for i := range b.cfg.callers() {
		w := newWorker(b.shared, newRecorder(), uint64(i+b.cfg.Process*MaxConcurrency)<<32) // with draws of its own
		callers.Go(func() {
			for n := take(); n < b.cfg.Keys && ctx.Err() == nil; n = take() {
				if err := w.preload(ctx, n); err != nil {
					cancel(err)
					return
				}
				loaded.Add(1)
			}
		})
	}
	printing, stop := context.WithCancel(ctx)
	printer.Go(func() { preloadProgress(printing, out, (b.cfg.Keys-first+step-1)/step, &loaded) })
	callers.Wait()
	stop()
	printer.Wait()
	if parent.Err() != nil {
		return kv.Wrap(kv.KindTimeout, "preload", context.Cause(parent))
	}
	return context.Cause(ctx)
}

// preload puts key n until it has one value.
func (w *worker) preload(ctx context.Context, n int) error {
	var err error
	w.at(time.Now())
	for range preloadAttempts {
		if err = w.update(ctx, n); err == nil && !w.contexts.of(n).stale {
			return nil
		}
		if err != nil {
			pause(ctx, 10*afterError)
		}
	}
	if err == nil {
		err = kv.Errorf(kv.KindRefused, "preload", "another writer is at key %d of the bucket", n)
	}
	return err
}
