package experiment

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/bench"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
)

// Load is an open loop: operations are due at a rate, whatever becomes of those
// before, and each one's time is counted from when it was due. So a cluster that
// keeps callers waiting is not spared what others would have asked of it.
type Load struct {
	// Rate is in operations a second; with 0 the loop is closed: each caller makes
	// its next operation when its last has ended. Gets is how many of 100 are gets, the others
	// are puts.
	Rate float64
	Gets int
	// Keys are drawn evenly; values have ValueBytes.
	Keys, ValueBytes int
	// Callers is how many operations may be under way; those that find no room are
	// not sent, and count as failed.
	Callers int
	Timeout time.Duration
	Options []client.Option
	// For is how long it lasts, in Slices that are told apart.
	For   time.Duration
	Slice time.Duration
	Seed  uint64
}

// Slice is what came of the operations that were due in a stretch of time.
type Slice struct {
	// At is when it began, since the start of the load, in seconds.
	At float64 `json:"at"`
	// Due, Done, Refused and Failed count operations: Refused ones ended as
	// overloaded, Failed ones otherwise.
	Due     uint64 `json:"due"`
	Done    uint64 `json:"done"`
	Refused uint64 `json:"refused"`
	Failed  uint64 `json:"failed"`
	// Kinds are those of Failed by kind of error; unsent are those for which
	// there was no room, or no time.
	Kinds map[string]uint64 `json:"kinds,omitempty"`
	// Get and Put are the times of those that were done.
	Get Times `json:"get"`
	Put Times `json:"put"`
	// Refusal are the times of those that were refused.
	Refusal Times `json:"refusal"`
}

// Times are percentiles in milliseconds.
type Times struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// slice is a Slice while it is counted.
type slice struct {
	get, put, refused metrics.Histogram
	due               atomic.Uint64

	mu     sync.Mutex
	failed map[string]uint64
}

// unsent is the kind of those for which there was no room, or no time.
const unsent = "unsent"

// fail counts an operation that failed.
func (s *slice) fail(kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = map[string]uint64{}
	}
	s.failed[kind]++
}

// releaseEvery is how often due operations are let go: it bounds how late one
// starts on a machine with nothing else to do.
const releaseEvery = time.Millisecond

// player plays a Load.
type player struct {
	Load
	store  bench.Store
	slices []slice
	began  time.Time
	// pool is where values are cut out of.
	pool     []byte
	underway atomic.Int64
	group    sync.WaitGroup
}

// poolBytes is the size of the pool beside a value.
const poolBytes = 64 << 10

// Play puts a store under the load until it is over or ctx ends, and returns what
// came of it once every operation has ended.
func (l Load) Play(ctx context.Context, store bench.Store) []Slice {
	p := &player{Load: l, store: store, slices: make([]slice, int((l.For+l.Slice-1)/l.Slice)), pool: make([]byte, poolBytes+l.ValueBytes)}
	rng := rand.New(rand.NewPCG(l.Seed, 1))
	for i := range p.pool {
		p.pool[i] = byte(rng.Uint32())
	}
	p.began = time.Now()
	if l.Rate > 0 {
		p.release(ctx)
	} else {
		for range l.Callers {
			p.group.Go(func() { p.loop(ctx) })
		}
	}
	p.group.Wait()
	out := make([]Slice, len(p.slices))
	for i := range p.slices {
		out[i] = p.slices[i].told(time.Duration(i) * l.Slice)
	}
	return out
}

// of returns the slice of what is due at a time.
func (p *player) of(at time.Duration) *slice { return &p.slices[min(int(at/p.Slice), len(p.slices)-1)] }

// release lets operations go when they are due, each in a goroutine of its own:
// one that is made before is late where the machine is slow to make it.
func (p *player) release(ctx context.Context) {
	t := time.NewTicker(releaseEvery)
	defer t.Stop()
	for n := 0; ; {
		since := min(time.Since(p.began), p.For)
		for until := int(since.Seconds() * p.Rate); n < until; n++ {
			at := time.Duration(float64(n) / p.Rate * float64(time.Second))
			s := p.of(at)
			s.due.Add(1)
			if p.underway.Add(1) > int64(p.Callers) {
				p.underway.Add(-1)
				s.fail(unsent)
				continue
			}
			p.group.Go(func() {
				p.operate(ctx, s, p.began.Add(at))
				p.underway.Add(-1)
			})
		}
		if since >= p.For {
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// loop makes one operation after the other.
func (p *player) loop(ctx context.Context) {
	for ctx.Err() == nil {
		at := time.Now()
		since := at.Sub(p.began)
		if since >= p.For {
			return
		}
		s := p.of(since)
		s.due.Add(1)
		p.operate(ctx, s, at)
	}
}

// loadKey returns the n-th key of a load.
func loadKey(n int) string { return "k" + strconv.Itoa(n) }

// operate makes an operation that was due at a time. A put has no context: the
// bucket keeps the last of a key's values, so none is needed.
func (p *player) operate(ctx context.Context, s *slice, at time.Time) {
	left := p.Timeout - time.Since(at)
	if left < time.Millisecond || ctx.Err() != nil {
		s.fail(unsent)
		return
	}
	key := loadKey(rand.IntN(p.Keys))
	opts := append(p.Options[:len(p.Options):len(p.Options)], client.Timeout(left))
	h := &s.put
	var err error
	if rand.IntN(100) < p.Gets {
		h = &s.get
		_, err = p.store.Get(ctx, key, opts...)
	} else {
		from := rand.IntN(poolBytes)
		_, err = p.store.Put(ctx, key, nil, p.pool[from:from+p.ValueBytes], opts...)
	}
	s.ended(h, time.Since(at), err)
}

// ended counts an operation.
func (s *slice) ended(h *metrics.Histogram, took time.Duration, err error) {
	var told *client.Error
	switch {
	case err == nil:
		h.Record(took)
	case !errors.As(err, &told):
		s.fail(kv.KindInternal.String())
	case told.Kind == client.KindOverloaded:
		s.refused.Record(took)
	default:
		s.fail(string(told.Kind))
	}
}

func (s *slice) told(at time.Duration) Slice {
	get, getTimes := timesOf(&s.get)
	put, putTimes := timesOf(&s.put)
	refused, refusal := timesOf(&s.refused)
	failed := uint64(0)
	for _, n := range s.failed {
		failed += n
	}
	return Slice{
		At: at.Seconds(), Due: s.due.Load(), Done: get + put, Refused: refused, Failed: failed, Kinds: s.failed,
		Get: getTimes, Put: putTimes, Refusal: refusal,
	}
}

func timesOf(h *metrics.Histogram) (uint64, Times) {
	var s metrics.Snapshot
	s.Add(h)
	ms := func(permille uint64) float64 { return float64(s.Percentile(permille).Microseconds()) / 1000 }
	return s.Count(), Times{P50: ms(500), P99: ms(990), P999: ms(999), Max: ms(1000)}
}
