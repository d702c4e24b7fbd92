package bench

import (
	"errors"
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
	// lookup is the get that an update needs first.
	lookup

	numKinds
)

var kindNames = [numKinds]string{"read", "update", "read before update"}

// Latencies are recorded in nanoseconds, to three digits but no finer than
// finest.
const (
	finest  = int64(time.Microsecond)
	longest = int64(kv.MaxTimeout + time.Second)
	digits  = 3
)

// record is what one caller did. Its caller alone writes it, without a lock; the
// others read live while it runs, and all of it when it has ended.
type record struct {
	latencies [numKinds]*hdrhistogram.Histogram
	errors    map[client.Kind]uint64
	// conflicts counts gets that saw more than one sibling, most is the largest
	// number of them, missing the reads that saw none.
	conflicts, missing uint64
	most               int

	live struct {
		done   metrics.Histogram
		failed atomic.Uint64
	}
}

func newRecord() *record {
	r := &record{errors: map[client.Kind]uint64{}}
	for k := range r.latencies {
		r.latencies[k] = hdrhistogram.New(finest, longest, digits)
	}
	return r
}

// done counts an operation that took d; one that took longer than a request can
// counts as longest.
func (r *record) done(k kind, d time.Duration) {
	_ = r.latencies[k].RecordValue(min(max(int64(d), 0), longest)) // within its bounds, so without an error
}

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
	if len(res.Siblings) > 1 {
		r.conflicts++
	}
	if k == read && !res.Found() {
		r.missing++
	}
	r.most = max(r.most, len(res.Siblings))
}

// merge adds what another caller did; live is left alone.
func (r *record) merge(o *record) {
	for k, h := range o.latencies {
		r.latencies[k].Merge(h)
	}
	for k, n := range o.errors {
		r.errors[k] += n
	}
	r.conflicts += o.conflicts
	r.missing += o.missing
	r.most = max(r.most, o.most)
}
