package bench

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
)

// kind is a kind of operation.
type kind uint8

const (
	read kind = iota
	update
	insert
	// lookup is the get that an update needs first.
	lookup
	// modify is a get and the update after it, as one: no operation of its own.
	modify

	numKinds
)

var kindNames = [numKinds]string{"read", "update", "insert", "read before update", "read-modify-write"}

// Latencies are recorded in nanoseconds, to three digits but no finer than
// finest.
const (
	finest  = int64(time.Microsecond)
	longest = int64(kv.MaxTimeout + time.Second)
	// furthest is the longest that an open loop can be told to be behind.
	furthest = int64(MaxDuration)
	digits   = 3
)

// record is what some callers did in some time.
type record struct {
	// latencies are taken from when an operation was due, services from when its
	// caller began it; in a closed loop these are one, and services is empty. nil
	// where there was nothing.
	latencies, services [numKinds]*hdrhistogram.Histogram
	// behind is how late the operations of an open loop began.
	behind *hdrhistogram.Histogram
	errors map[client.Kind]uint64
	// versions counts the gets that saw so many siblings, the last of them so many
	// or more; missing counts the reads that saw none.
	versions [kv.MaxSiblings + 1]uint64
	missing  uint64
}

func newRecord() *record { return &record{errors: map[client.Kind]uint64{}} }

// enter records a time; one past the histogram's end counts as that.
func enter(h **hdrhistogram.Histogram, d time.Duration, most int64) {
	if *h == nil {
		*h = hdrhistogram.New(finest, most, digits)
	}
	_ = (*h).RecordValue(min(max(int64(d), 0), most)) // within its bounds, so without an error
}

// done counts an operation that took d.
func (r *record) done(k kind, d time.Duration) { enter(&r.latencies[k], d, longest) }

// served counts what an operation of an open loop took once it was begun, which was
// late after it was due.
func (r *record) served(k kind, d time.Duration) { enter(&r.services[k], d, longest) }

// late counts by how much an operation began after it was due.
func (r *record) late(d time.Duration) { enter(&r.behind, d, furthest) }

// failed counts an operation that ended with err.
func (r *record) failed(err error) {
	var e *client.Error
	if errors.As(err, &e) {
		r.errors[e.Kind]++
	} else {
		r.errors[client.KindInternal]++
	}
}

// saw counts what a get returned.
func (r *record) saw(k kind, res client.Result) {
	r.versions[min(len(res.Siblings), kv.MaxSiblings)]++
	if k == read && !res.Found() {
		r.missing++
	}
}

// merge adds what o has.
func (r *record) merge(o *record) {
	for k := range o.latencies {
		mergeInto(&r.latencies[k], o.latencies[k], longest)
		mergeInto(&r.services[k], o.services[k], longest)
	}
	mergeInto(&r.behind, o.behind, furthest)
	for k, n := range o.errors {
		r.errors[k] += n
	}
	for i, n := range o.versions {
		r.versions[i] += n
	}
	r.missing += o.missing
}

func mergeInto(to **hdrhistogram.Histogram, from *hdrhistogram.Histogram, most int64) {
	if from == nil || from.TotalCount() == 0 {
		return
	}
	if *to == nil {
		*to = hdrhistogram.New(finest, most, digits)
	}
	(*to).Merge(from)
}

// reset empties r, and keeps its memory.
func (r *record) reset() {
	for k := range r.latencies {
		resetOne(r.latencies[k])
		resetOne(r.services[k])
	}
	resetOne(r.behind)
	clear(r.errors)
	clear(r.versions[:])
	r.missing = 0
}

func resetOne(h *hdrhistogram.Histogram) {
	if h != nil {
		h.Reset()
	}
}

// ops returns the number of operations that succeeded.
func (r *record) ops() (n int64) {
	for k, h := range r.latencies {
		if h != nil && kind(k) != modify {
			n += h.TotalCount()
		}
	}
	return n
}

// recorder is where some of the callers write what they did. Safe for concurrent
// use.
type recorder struct {
	mu struct {
		sync.Mutex
		now *record
	}
	live struct {
		done   metrics.Histogram
		failed atomic.Uint64
	}
}

func newRecorder() *recorder {
	r := &recorder{}
	r.mu.now = newRecord()
	return r
}

// note has f write to what is recorded now.
func (r *recorder) note(f func(*record)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.mu.now)
}

// take returns what was recorded, and has spare, an empty one, take its place.
func (r *recorder) take(spare *record) *record {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.mu.now
	r.mu.now = spare
	return taken
}
