package bench

import (
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// stretch is what a process did in one step of the timeline: a record, in a form
// that is small and can go to another process.
type stretch struct {
	// Index is which of the timeline's intervals ended with it; the first is 0.
	Index int
	// At is when it began, Seconds how long it was, both in seconds; the
	// measurement began at 0.
	At, Seconds float64
	Latencies   [numKinds]sparse
	Services    [numKinds]sparse
	Behind      sparse                 `json:",omitempty"`
	Errors      map[client.Kind]uint64 `json:",omitempty"`
	Versions    []uint64               `json:",omitempty"`
	Missing     uint64                 `json:",omitempty"`
}

func (r *record) stretch(index int, at, seconds float64) stretch {
	s := stretch{Index: index, At: at, Seconds: seconds, Behind: compact(r.behind), Errors: maps.Clone(r.errors), Missing: r.missing}
	for k := range r.latencies {
		s.Latencies[k], s.Services[k] = compact(r.latencies[k]), compact(r.services[k])
	}
	most := len(r.versions)
	for most > 0 && r.versions[most-1] == 0 {
		most--
	}
	s.Versions = slices.Clone(r.versions[:most])
	return s
}

// record is the inverse. An error is of KindCorrupt.
func (s *stretch) record() (*record, error) {
	r := newRecord()
	var err error
	set := func(to **hdrhistogram.Histogram, from sparse, most int64) {
		if err == nil {
			*to, err = from.histogram(most)
		}
	}
	for k := range r.latencies {
		set(&r.latencies[k], s.Latencies[k], longest)
		set(&r.services[k], s.Services[k], longest)
	}
	set(&r.behind, s.Behind, furthest)
	if err == nil && len(s.Versions) > len(r.versions) {
		err = kv.Errorf(kv.KindCorrupt, "read timeline", "gets saw up to %d versions", len(s.Versions)-1)
	}
	if err != nil {
		return nil, err
	}
	copy(r.versions[:], s.Versions)
	maps.Copy(r.errors, s.Errors)
	r.missing = s.Missing
	return r, nil
}

// timeline gathers what the recorders hold, step by step. One goroutine uses it.
type timeline struct {
	recorders []*recorder
	interval  time.Duration
	steps     []stretch
	// The step under way began at last; next is the first interval that is part of
	// it.
	from, last time.Time
	next       int
	sum        *record
	spares     []*record
}

func newTimeline(recorders []*recorder, from time.Time, interval time.Duration) *timeline {
	return &timeline{recorders: recorders, interval: interval, from: from, last: from, sum: newRecord()}
}

// run ends a step at each interval of the span, until stop is closed. When it comes
// late, the intervals that have passed are one step.
func (t *timeline) run(stop <-chan struct{}, s span) {
	for {
		at := s.from.Add(time.Duration(t.next+1) * t.interval)
		if !at.Before(s.to) {
			return
		}
		timer := time.NewTimer(time.Until(at))
		select {
		case <-stop:
			timer.Stop()
			return
		case <-timer.C:
		}
		now := time.Now()
		t.step(max(int(now.Sub(s.from)/t.interval)-1, t.next), now)
	}
}

// step ends a step at now, which is the last of the intervals up to index.
func (t *timeline) step(index int, now time.Time) {
	t.gather()
	t.steps = append(t.steps, t.sum.stretch(index, t.last.Sub(t.from).Seconds(), now.Sub(t.last).Seconds()))
	t.sum.reset()
	t.last, t.next = now, index+1
}

func (t *timeline) gather() {
	for _, r := range t.recorders {
		spare := newSpare(&t.spares)
		taken := r.take(spare)
		t.sum.merge(taken)
		taken.reset()
		t.spares = append(t.spares, taken)
	}
}

func newSpare(from *[]*record) *record {
	if n := len(*from); n > 0 {
		r := (*from)[n-1]
		*from = (*from)[:n-1]
		return r
	}
	return newRecord()
}

// end ends the last step at now. What came after the last full one is part of it
// when it is short: those that were under way at the end.
func (t *timeline) end(now time.Time) error {
	if len(t.steps) == 0 || now.Sub(t.last) >= t.interval/2 && t.next <= MaxIntervals {
		t.step(t.next, now)
		return nil
	}
	last := t.steps[len(t.steps)-1]
	r, err := last.record()
	if err != nil {
		return err
	}
	t.sum.merge(r)
	t.steps = t.steps[:len(t.steps)-1]
	t.last = t.from.Add(time.Duration(last.At * float64(time.Second)))
	t.step(last.Index, now)
	return nil
}
