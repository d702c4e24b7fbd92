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
	// Callers is how many operations may be under way; those that find no room
	// before their Timeout is over are not sent, and count as failed.
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
	// Kinds are those of Failed by kind of error; unsent are those that found no
	// caller in time.
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

// unsent is the kind of those that found no caller in time.
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

// Play puts a bucket under the load until it is over or ctx ends, and returns what
// came of it once every operation has ended.
func (l Load) Play(ctx context.Context, b bench.Store) []Slice {
	slices := make([]slice, int((l.For+l.Slice-1)/l.Slice))
	due := make(chan time.Time, l.Callers)
	var callers sync.WaitGroup
	began := time.Now()
	for i := range l.Callers {
		c := caller{Load: l, bucket: b, slices: slices, began: began, rand: rand.New(rand.NewPCG(l.Seed, uint64(i)))}
		callers.Go(func() { c.run(ctx, due) })
	}
	if l.Rate > 0 {
		l.release(ctx, began, slices, due)
	}
	close(due)
	callers.Wait()
	out := make([]Slice, len(slices))
	for i := range slices {
		out[i] = slices[i].told(time.Duration(i) * l.Slice)
	}
	return out
}

// release lets operations go when they are due.
func (l Load) release(ctx context.Context, began time.Time, slices []slice, due chan<- time.Time) {
	t := time.NewTicker(releaseEvery)
	defer t.Stop()
	for n := 0; ; {
		since := min(time.Since(began), l.For)
		for until := int(since.Seconds() * l.Rate); n < until; n++ {
			at := time.Duration(float64(n) / l.Rate * float64(time.Second))
			s := &slices[min(int(at/l.Slice), len(slices)-1)]
			s.due.Add(1)
			select {
			case due <- began.Add(at):
			default:
				s.fail(unsent)
			}
		}
		if since >= l.For {
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// caller makes operations that are due, one at a time.
type caller struct {
	Load
	bucket bench.Store
	slices []slice
	began  time.Time
	rand   *rand.Rand
	value  []byte
}

func (c *caller) run(ctx context.Context, due <-chan time.Time) {
	c.value = make([]byte, c.ValueBytes)
	for i := range c.value {
		c.value[i] = byte(c.rand.Uint32())
	}
	for c.Rate == 0 && ctx.Err() == nil {
		at := time.Now()
		if at.Sub(c.began) >= c.For {
			return
		}
		s := &c.slices[min(int(at.Sub(c.began)/c.Slice), len(c.slices)-1)]
		s.due.Add(1)
		c.operate(ctx, s, at, c.Timeout)
	}
	for at := range due {
		s := &c.slices[min(int(at.Sub(c.began)/c.Slice), len(c.slices)-1)]
		left := c.Timeout - time.Since(at)
		if left < time.Millisecond || ctx.Err() != nil {
			s.fail(unsent)
			continue
		}
		c.operate(ctx, s, at, left)
	}
}

// operate makes one operation. A put has no context: the bucket keeps the last of
// a key's values, so none is needed.
func (c *caller) operate(ctx context.Context, s *slice, at time.Time, left time.Duration) {
	key := "k" + strconv.Itoa(c.rand.IntN(c.Keys))
	h := &s.put
	var err error
	if c.rand.IntN(100) < c.Gets {
		h = &s.get
		_, err = c.bucket.Get(ctx, key, append(c.Options, client.Timeout(left))...)
	} else {
		_, err = c.bucket.Put(ctx, key, nil, c.value, append(c.Options, client.Timeout(left))...)
	}
	took := time.Since(at)
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
