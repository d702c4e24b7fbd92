package bench

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/ringtaildb/ringtail/client"
)

// afterError is how long a caller waits after an error, so that a cluster that
// refuses at once is not asked as fast as it can refuse.
const afterError = 10 * time.Millisecond

// shared is what all callers have in common; it is safe for concurrent use.
type shared struct {
	store    Store
	reads    int // percent
	keys     chooser
	values   *values
	contexts *contexts
}

// worker is one caller. It is used by one goroutine, but for its record's live
// part.
type worker struct {
	*shared
	*record
	rand *rand.Rand
	name []byte
	// Operations that begin within span are recorded; began is when the one under
	// way did.
	span  span
	began time.Time
}

func newWorker(s *shared, seed, i uint64) *worker {
	return &worker{shared: s, record: newRecord(), rand: rand.New(rand.NewPCG(seed, i))}
}

// run makes operations until t ends or ctx does, and records those that began
// within t.
func (w *worker) run(ctx context.Context, t span) {
	w.span, w.began = t, time.Now()
	for ctx.Err() == nil && w.began.Before(t.to) {
		var err error
		if w.rand.IntN(100) < w.reads {
			_, err = w.read(ctx, read, w.keys.draw(w.rand))
		} else {
			err = w.update(ctx, w.keys.draw(w.rand))
		}
		if err != nil {
			pause(ctx, afterError)
			w.began = time.Now()
		}
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
		w.saw(k, res)
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
	res, err := w.store.Put(ctx, w.key(n), known.context, w.values.draw(w.rand))
	w.end(ctx, update, err)
	if err != nil || len(res.Context) == 0 {
		w.contexts.spoil(n)
		return err
	}
	w.contexts.learn(n, res.Context)
	return nil
}

// end notes how the operation that began at w.began ended, unless ctx ended it,
// and lets the next one begin. It tells whether the operation is recorded.
func (w *worker) end(ctx context.Context, k kind, err error) bool {
	now := time.Now()
	took, counted := now.Sub(w.began), w.span.holds(w.began)
	w.began = now
	switch {
	case err == nil:
		w.live.done.Record(took)
		if counted {
			w.done(k, took)
		}
	case ctx.Err() == nil:
		w.live.failed.Add(1)
		if counted {
			w.failed(err)
		}
	}
	return counted
}

func (w *worker) key(n int) string {
	w.name = appendKey(w.name[:0], n)
	return string(w.name)
}
