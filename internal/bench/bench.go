// Package bench puts a cluster under load and tells what it did: operations a
// second, percentiles, errors, and the processor time of an operation. It is
// how the promise about the 99.9th percentile (Dynamo, SOSP 2007, §2.2) is
// measured from the outside.
//
// A closed loop is one in which each of a number of callers makes its next request
// when the last one was answered: so a slow answer delays what follows it, and the
// percentiles are those of requests made, not of requests due. In an open loop
// operations are due at a set rate, and each is timed from when it was due, however
// late a caller was free for it.
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
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
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
// and says so. It makes the load in this process alone, see RunProcesses.
//
// An error is a *kv.Error, of KindInvalid for a bad cfg, or a *client.Error when
// no node answers or the keys cannot be preloaded.
func Run(ctx context.Context, cfg Config, out io.Writer) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	stores, err := dial(ctx, cfg)
	if err != nil {
		return Report{}, err
	}
	defer stores.close()
	cfg.Probe = stores.probe
	return RunOn(ctx, cfg, stores.load, out)
}

// RunOn is Run for a store of the caller's, which need not be Ringtail: so others
// are measured as we are. Of cfg, Door, Addrs, Routing, Conns, Bucket and what
// requests ask for are the caller's business.
func RunOn(ctx context.Context, cfg Config, store Store, out io.Writer) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	b := newBench(cfg, store)
	if err := b.prepare(ctx, out); err != nil {
		return Report{}, err
	}
	return b.measure(ctx, out)
}

// bench is one run.
type bench struct {
	cfg       Config
	shared    *shared
	recorders []*recorder
	workers   []*worker
	// wait waits until a time, or until ctx ends, and returns the time then.
	wait func(ctx context.Context, until time.Time) time.Time
}

func newBench(cfg Config, store Store) *bench {
	grown := newGrowth(cfg.Keys)
	b := &bench{cfg: cfg, wait: waitUntil, shared: &shared{
		cfg: cfg, store: store, mix: mixes[cfg.Workload], keys: cfg.chooser(grown), grown: grown,
		values: newValues(cfg.sizes(), cfg.Seed), contexts: newContexts(cfg.Keys, cfg.Lookup),
		inserted: "new" + strconv.FormatInt(time.Now().UnixNano(), 36) + "-" + strconv.Itoa(cfg.Process) + "-",
	}}
	for range min(cfg.callers(), 4*runtime.GOMAXPROCS(0)) {
		b.recorders = append(b.recorders, newRecorder())
	}
	for i := range cfg.callers() {
		b.workers = append(b.workers, newWorker(b.shared, b.recorders[i%len(b.recorders)], uint64(cfg.Process*MaxConcurrency+i)))
	}
	return b
}

// prepare puts the keys, if that is wanted.
func (b *bench) prepare(ctx context.Context, out io.Writer) error {
	if !b.cfg.Preload {
		return nil
	}
	return b.preload(ctx, out)
}

// measure warms up, measures, and reports.
func (b *bench) measure(ctx context.Context, out io.Writer) (Report, error) {
	began := time.Now()
	printing, stop := context.WithCancel(ctx)
	var printer sync.WaitGroup
	printer.Go(func() { b.progress(printing, out, b.cfg.span(began)) })
	defer printer.Wait()
	defer stop()
	return measure(ctx, b.cfg, began, func() ([]part, error) {
		p, err := b.load(ctx, began)
		return []part{p}, err
	})
}

// measure reports on what load does with the cluster from began on.
func measure(ctx context.Context, cfg Config, began time.Time, load func() ([]part, error)) (Report, error) {
	var parts []part
	var err error
	var loading sync.WaitGroup
	loading.Go(func() { parts, err = load() })
	from := cfg.span(began).from
	pause(ctx, time.Until(from))
	before := cfg.meter(ctx)
	loading.Wait()
	after := cfg.meter(context.WithoutCancel(ctx))
	switch {
	case err != nil:
		return Report{}, err
	case ctx.Err() != nil && before.at.Before(from):
		return Report{}, kv.Wrap(kv.KindTimeout, "warm up", ctx.Err())
	}
	return newReport(cfg, from, parts, before, after)
}

// load makes the load from began on, and returns what came of it.
func (b *bench) load(ctx context.Context, began time.Time) (part, error) {
	span := b.cfg.span(began)
	pause(ctx, time.Until(began))
	stop := make(chan struct{})
	var callers, others sync.WaitGroup
	line := newTimeline(b.recorders, span.from, b.cfg.interval())
	var own time.Duration
	others.Go(func() {
		pause(ctx, time.Until(span.from))
		own = metrics.CPUTime()
		line.run(stop, span)
	})
	pacer := newPacer(b, began)
	if b.cfg.open() {
		callers.Go(func() { pacer.run(ctx) })
	}
	for _, w := range b.workers {
		callers.Go(func() {
			own, cancel := context.WithCancel(ctx) // one for all would be a lock that all take
			defer cancel()
			w.run(own, span, pacer)
		})
	}
	probers := b.probe(ctx, &callers, span)
	callers.Wait()
	close(stop)
	others.Wait()
	now := time.Now()
	if err := line.end(now); err != nil {
		return part{}, err
	}
	p := pacer.part()
	p.Steps, p.Seconds, p.OwnCPU = line.steps, now.Sub(span.from).Seconds(), metrics.CPUTime()-own
	p.Interrupted, p.Staleness = ctx.Err() != nil, probers.sum(b.cfg.Delays)
	return p, nil
}

// span is a time that begins at from and ends before to.
type span struct{ from, to time.Time }

// span returns when a load that begins then is measured.
func (c Config) span(began time.Time) span {
	from := began.Add(c.WarmUp)
	return span{from: from, to: from.Add(c.Duration)}
}

func (s span) holds(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
