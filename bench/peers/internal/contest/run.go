package contest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ringtaildb/ringtail/internal/bench"

	"github.com/ringtaildb/ringtail/bench/peers/internal/store"
)

const (
	// wholeWithin is how long a store that stood still may take until all its
	// nodes answer again: elections, failure detectors.
	wholeWithin = 60 * time.Second
	// overrun is how much longer than planned a measurement may take: more than
	// any request does.
	overrun = 30 * time.Second
	// loadWithin bounds the time in which one store takes all keys.
	loadWithin = 15 * time.Minute
)

// Config describes the measurements.
type Config struct {
	Rounds       int
	Callers      int
	Keys         int
	ValueBytes   int
	Distribution bench.Distribution
	// WarmUp is how long each load runs before it is measured, for Duration.
	WarmUp, Duration time.Duration
}

// load returns the load of one measurement.
func (c Config) load(w bench.Workload, seed uint64) bench.Config {
	cfg := bench.Default()
	cfg.Workload, cfg.Seed, cfg.Preload = w, seed, false
	cfg.Concurrency, cfg.Keys, cfg.ValueBytes, cfg.Distribution = c.Callers, c.Keys, c.ValueBytes, c.Distribution
	cfg.WarmUp, cfg.Duration = c.WarmUp, c.Duration
	return cfg
}

// Validate returns an error that names what is out of its range.
func (c Config) Validate() error {
	if c.Rounds < 1 || c.Rounds > maxRounds {
		return fmt.Errorf("%d rounds are not within 1 to %d", c.Rounds, maxRounds)
	}
	return c.load(bench.WorkloadA, 1).Validate()
}

// maxRounds bounds the rounds: what each measured is kept.
const maxRounds = 1000

// Runner runs contests. Its stores stand still but for the one that is measured:
// the heartbeats of all the others would take a part of the machine, and work
// that a store has put off is done in its own time.
type Runner struct {
	Config
	Stores []store.Store
	// Dir is on the disk that the stores use.
	Dir string
	// Out takes lines of progress.
	Out io.Writer
}

// Run starts each store, loads it with all keys, and puts them under the loads of
// the contests. The stores are the caller's to stop, whatever becomes of it.
func (r *Runner) Run(ctx context.Context, contests []Contest) ([]Result, error) {
	for _, s := range r.Stores {
		if err := r.prepare(ctx, s); err != nil {
			return nil, err
		}
	}
	results := newResults(contests)
	began, done, all := time.Now(), 0, r.Rounds*cells(contests)
	for round := range r.Rounds {
		for i, c := range contests {
			for _, row := range rotated(c.Rows, round) {
				f, err := r.cell(ctx, c, c.Rows[row], uint64(round)+1)
				if err != nil {
					return nil, fmt.Errorf("%s: %s: %w", c.Title, c.Rows[row].Label, err)
				}
				rr := &results[i].Rows[row]
				rr.Version = r.store(c.Rows[row].Store).Version()
				rr.Rounds = append(rr.Rounds, f)
				done++
				left := time.Since(began) / time.Duration(done) * time.Duration(all-done)
				r.say("round %d/%d  %-30s  %-32s %9s ops/s  %6.1f µs  %s left", round+1, r.Rounds, c.Title,
					c.Rows[row].Label, thousands(f.OpsPerSec), f.ServerMicros, left.Round(time.Second))
			}
		}
	}
	for i := range results {
		results[i].conclude()
	}
	return results, nil
}

func cells(contests []Contest) int {
	n := 0
	for _, c := range contests {
		n += len(c.Rows)
	}
	return n
}

func (r *Runner) say(format string, args ...any) { fmt.Fprintf(r.Out, format+"\n", args...) }

func (r *Runner) store(name string) store.Store {
	for _, s := range r.Stores {
		if s.Name() == name {
			return s
		}
	}
	return nil
}

// prepare starts a store, loads it, and has it stand still.
func (r *Runner) prepare(ctx context.Context, s store.Store) error {
	r.say("start %s %s", s.Name(), s.Version())
	if err := s.Start(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := r.preload(ctx, s); err != nil {
		return fmt.Errorf("load %s: %w", s.Name(), err)
	}
	r.say("loaded %s: %s keys in %.1f s", s.Name(), thousands(float64(r.Keys)), time.Since(began).Seconds())
	return s.Group().Pause()
}

// loadView is how each store is loaded: as fast as it will.
func loadView(ctx context.Context, s store.Store) (session store.Session, err error) {
	for _, v := range []store.View{store.Buffered, store.Plain, store.Linearizable} {
		if session, err = s.Open(ctx, v); err == nil {
			return session, nil
		}
	}
	return nil, err
}

func (r *Runner) preload(ctx context.Context, s store.Store) error {
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	session, err := loadView(ctx, s)
	if err != nil {
		return err
	}
	defer session.Close()
	cfg := r.load(bench.WorkloadC, 1)
	// What is measured after it does not matter.
	cfg.Preload, cfg.WarmUp, cfg.Duration = true, 0, time.Millisecond
	_, err = bench.RunOn(ctx, cfg, session, io.Discard)
	return err
}

// cell is one measurement of one store.
func (r *Runner) cell(ctx context.Context, c Contest, row Row, seed uint64) (f Figures, err error) {
	s := r.store(row.Store)
	if err := s.Group().Resume(); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, s.Group().Pause()) }()
	if err := s.Group().Await(ctx, wholeWithin, "answer again", s.Whole); err != nil {
		return f, err
	}
	// What the store before has left in the page cache shall not be written on
	// this one's account.
	if err := syncDisk(r.Dir); err != nil {
		return f, err
	}
	ctx, cancel := context.WithTimeout(ctx, r.WarmUp+r.Duration+overrun)
	defer cancel()
	session, err := s.Open(ctx, row.View)
	if err != nil {
		return f, err
	}
	defer session.Close()
	cfg := r.load(c.Workload, seed)
	cfg.CPU = s.Group()
	report, err := bench.RunOn(ctx, cfg, session, io.Discard)
	if err == nil && report.Interrupted {
		err = context.Cause(ctx)
	}
	if err != nil {
		return f, err
	}
	return figures(report)
}

// syncDisk writes everything to the disk that holds dir.
func syncDisk(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync the disk of %s: %w", dir, err)
	}
	return nil
}
