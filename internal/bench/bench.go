// Package bench puts a cluster under load and tells what it did: operations a
// second, percentiles, errors, and the processor time of an operation. It is
// how the promise about the 99.9th percentile (Dynamo, SOSP 2007, §2.2) is
// measured from the outside.
//
// The loop is closed: each of a number of callers makes its next request when
// the last one was answered, so a slow answer delays what follows it, and the
// percentiles are those of requests made, not of requests due.
//
// An operation is a get or a put. An update is a put with the newest context of
// its key that any caller has seen, as an application would put what it had
// read: so siblings come only from updates of one key at one time. An update
// that finds that siblings were left, or the outcome of the one before unknown,
// gets the key first; that get is an operation of its own.
package bench

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// Store is where the load goes; a *client.Bucket is one.
type Store interface {
	Get(ctx context.Context, key string, opts ...client.Option) (client.Result, error)
	Put(ctx context.Context, key string, seen client.Context, value []byte, opts ...client.Option) (client.Result, error)
}

// CPU tells how much processor time the nodes of a cluster have used since they
// started, all together.
type CPU interface {
	CPU(ctx context.Context) (time.Duration, error)
}

// Run puts the cluster under the load that cfg describes and returns what came
// of it. A line of progress goes to out every second; errors of out are
// ignored. If ctx ends while it measures, the Report covers the time until then
// and says so.
//
// An error is a *kv.Error, of KindInvalid for a bad cfg, or a *client.Error when
// no node answers or the keys cannot be preloaded.
func Run(ctx context.Context, cfg Config, out io.Writer) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	if cfg.Door == DoorRESP {
		s, err := dialRedis(ctx, cfg)
		if err != nil {
			return Report{}, err
		}
		defer s.close()
		return RunOn(ctx, cfg, s, out)
	}
	c, err := client.Dial(ctx, cfg.Addrs, cfg.options()...)
	if err != nil {
		return Report{}, err
	}
	defer c.Close()
	return RunOn(ctx, cfg, c.Bucket(cfg.Bucket), out)
}

// RunOn is Run for a store of the caller's, which need not be Ringtail: so others
// are measured as we are. Of cfg, Door, Addrs, Routing, Conns, Bucket and what
// requests ask for are the caller's business.
func RunOn(ctx context.Context, cfg Config, store Store, out io.Writer) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	b := newBench(cfg, store)
	if cfg.Preload {
		if err := b.preload(ctx, out); err != nil {
			return Report{}, err
		}
	}
	return b.measure(ctx, out)
}

// bench is one run.
type bench struct {
	cfg     Config
	shared  *shared
	workers []*worker
}

func newBench(cfg Config, store Store) *bench {
	b := &bench{cfg: cfg, shared: &shared{
		store: store, reads: cfg.Workload.reads(), keys: cfg.Distribution.chooser(cfg.Keys),
		values: newValues(cfg.ValueBytes, cfg.Seed), contexts: newContexts(cfg.Keys),
	}}
	for i := range cfg.Concurrency {
		b.workers = append(b.workers, newWorker(b.shared, cfg.Seed, uint64(i)))
	}
	return b
}

// measure warms up, measures, and reports.
func (b *bench) measure(ctx context.Context, out io.Writer) (Report, error) {
	began := time.Now()
	span := span{from: began.Add(b.cfg.WarmUp)}
	span.to = span.from.Add(b.cfg.Duration)
	var callers, printer sync.WaitGroup
	for _, w := range b.workers {
		callers.Go(func() { w.run(ctx, span) })
	}
	printing, stop := context.WithCancel(ctx)
	printer.Go(func() { b.progress(printing, out, began, span.from) })
	pause(ctx, b.cfg.WarmUp)
	before := b.meter(ctx)
	callers.Wait()
	after := b.meter(context.WithoutCancel(ctx))
	stop()
	printer.Wait()
	if err := ctx.Err(); err != nil && before.at.Before(span.from) {
		return Report{}, kv.Wrap(kv.KindTimeout, "warm up", err)
	}
	r := b.report(before, after)
	r.Interrupted = ctx.Err() != nil
	return r, nil
}

// span is a time that begins at from and ends before to.
type span struct{ from, to time.Time }

func (s span) holds(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
