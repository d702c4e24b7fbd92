package bench

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/ringtaildb/ringtail/client"
)

// afterError is how long a caller of a closed loop waits after an error, so that a
// cluster that refuses at once is not asked as fast as it can refuse.
const afterError = 10 * time.Millisecond

// shared is what all callers have in common; it is safe for concurrent use.
type shared struct {
	cfg      Config
	store    Store
	mix      mix
	keys     chooser
	grown    *growth
	values   *values
	contexts *contexts
	// inserted begins the names of inserted keys: others in each run, and each
	// process.
	inserted string
}

// worker is one caller. It is used by one goroutine, but for its recorder.
type worker struct {
	*shared
	*recorder
	rand *rand.Rand
	name []byte
	span span
	// due is what the operation under way is timed from, begun when the caller
	// began it. Those whose first due time is within span are recorded.
	due, begun time.Time
}

func newWorker(s *shared, r *recorder, i uint64) *worker {
	return &worker{shared: s, recorder: r, rand: rand.New(rand.NewPCG(s.cfg.Seed, i))}
}

// run makes operations until s ends or ctx does, and records those that were due
// within s.
func (w *worker) run(ctx context.Context, s span, p *pacer) {
	w.span = s
	if w.cfg.open() {
		w.open(ctx, p)
		return
	}
	w.at(time.Now())
	for ctx.Err() == nil && w.due.Before(s.to) {
		if err := w.operate(ctx); err != nil {
			pause(ctx, afterError)
			w.at(time.Now())
		}
	}
}

// open takes operations from the pacer until there are no more.
func (w *worker) open(ctx context.Context, p *pacer) {
	for at := range p.due {
		now := time.Now()
		switch {
		case ctx.Err() != nil:
			continue
		case !now.Before(w.span.to):
			p.unbegun(at)
			continue
		}
		w.due, w.begun = at, now
		if w.span.holds(at) {
			w.note(func(r *record) { r.late(now.Sub(at)) })
		}
		_ = w.operate(ctx) // which has been counted
	}
}

// at has the next operation due, and begun, at a time.
func (w *worker) at(t time.Time) { w.due, w.begun = t, t }

// operate makes one operation, with what it needs first.
func (w *worker) operate(ctx context.Context) error {
	switch k := w.mix.draw(w.rand); k {
	case insert:
		return w.insert(ctx)
	case update:
		return w.update(ctx, w.cfg.own(w.keys.draw(w.rand)))
	case modify:
		return w.modify(ctx, w.cfg.own(w.keys.draw(w.rand)))
	default:
		_, err := w.read(ctx, read, w.keys.draw(w.rand))
		return err
	}
}

// read gets key n.
func (w *worker) read(ctx context.Context, k kind, n int) (client.Context, error) {
	res, err := w.store.Get(ctx, w.key(n))
	counted := w.end(ctx, k, err)
	if err != nil {
		return nil, err
	}
	if counted {
		w.note(func(r *record) { r.saw(k, res) })
	}
	w.contexts.learn(n, res.Context)
	return res.Context, nil
}

// update puts key n with what is known of it, and gets it first when that is not
// all.
func (w *worker) update(ctx context.Context, n int) error {
	known := w.contexts.of(n)
	if known.stale {
		var err error
		if known.context, err = w.read(ctx, lookup, n); err != nil {
			return err
		}
	}
	return w.put(ctx, n, known.context)
}

// modify gets key n and puts it with what it saw.
func (w *worker) modify(ctx context.Context, n int) error {
	due, begun := w.due, w.begun
	seen, err := w.read(ctx, lookup, n)
	if err == nil {
		err = w.put(ctx, n, seen)
	}
	if err == nil && w.span.holds(due) {
		w.note(func(r *record) { w.took(r, modify, w.begun.Sub(due), w.begun.Sub(begun)) })
	}
	return err
}

func (w *worker) put(ctx context.Context, n int, seen client.Context) error {
	res, err := w.store.Put(ctx, w.key(n), seen, w.values.draw(w.rand))
	w.end(ctx, update, err)
	if err != nil || len(res.Context) == 0 {
		w.contexts.spoil(n)
		return err
	}
	w.contexts.learn(n, res.Context)
	return nil
}

// insert puts a key that was not there before.
func (w *worker) insert(ctx context.Context) error {
	n := w.grown.begin()
	_, err := w.store.Put(ctx, w.key(n), nil, w.values.draw(w.rand))
	w.end(ctx, insert, err)
	w.grown.end(n)
	return err
}

// end notes how the operation that was due at w.due ended, unless ctx ended it,
// and has the next one due now: in an open loop, what follows as a part of the
// same. It tells whether the operation is recorded.
func (w *worker) end(ctx context.Context, k kind, err error) bool {
	now := time.Now()
	took, served, counted := now.Sub(w.due), now.Sub(w.begun), w.span.holds(w.due)
	w.at(now)
	switch {
	case err == nil:
		w.live.done.Record(took)
		if counted {
			w.note(func(r *record) { w.took(r, k, took, served) })
		}
	case ctx.Err() == nil:
		w.live.failed.Add(1)
		if counted {
			w.note(func(r *record) { r.failed(err) })
		}
	}
	return counted
}

func (w *worker) took(r *record, k kind, took, served time.Duration) {
	r.done(k, took)
	if w.cfg.open() {
		r.served(k, served)
	}
}

func (w *worker) key(n int) string {
	if n < w.cfg.Keys {
		w.name = appendKey(w.name[:0], "key", n)
	} else {
		w.name = appendKey(w.name[:0], w.inserted, n)
	}
	return string(w.name)
}
