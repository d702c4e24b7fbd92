package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// stretch is what a process did in one step of the timeline: a record, with its
// histograms encoded, which is small and can go to another process.
type stretch struct {
	// At is when it began, Seconds how long it was, both in seconds; the
	// measurement began at 0.
	At, Seconds float64
	Latencies   [numKinds]string       `json:",omitempty"`
	Services    [numKinds]string       `json:",omitempty"`
	Behind      string                 `json:",omitempty"`
	Errors      map[client.Kind]uint64 `json:",omitempty"`
	Versions    []uint64               `json:",omitempty"`
	Missing     uint64                 `json:",omitempty"`
}

func (r *record) stretch(at, seconds float64) stretch {
	s := stretch{At: at, Seconds: seconds, Behind: encode(r.behind), Errors: map[client.Kind]uint64{}, Missing: r.missing}
	for k := range r.latencies {
		s.Latencies[k], s.Services[k] = encode(r.latencies[k]), encode(r.services[k])
	}
	for k, n := range r.errors {
		s.Errors[k] = n
	}
	most := len(r.versions)
	for most > 0 && r.versions[most-1] == 0 {
		most--
	}
	s.Versions = append(s.Versions, r.versions[:most]...)
	return s
}

// record is the inverse. An error is of KindCorrupt.
func (s *stretch) record() (*record, error) {
	r := newRecord()
	var err error
	set := func(to **hdrhistogram.Histogram, text string, most int64) {
		if err == nil {
			*to, err = decode(text, most)
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
	for k, n := range s.Errors {
		r.errors[k] = n
	}
	r.missing = s.Missing
	return r, nil
}

// maxEncoded bounds an encoded histogram: some 20,000 counts.
const maxEncoded = 1 << 20

// encode returns a histogram in HdrHistogram's own form, V2 compressed, in base64;
// nothing for none.
func encode(h *hdrhistogram.Histogram) string {
	if h == nil || h.TotalCount() == 0 {
		return ""
	}
	b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		panic("bench: a histogram cannot be encoded: " + err.Error()) // in memory nothing fails
	}
	return string(b)
}

// decode is the inverse; most is how far the histogram reaches.
func decode(text string, most int64) (*hdrhistogram.Histogram, error) {
	const op = "read histogram"
	if text == "" {
		return nil, nil
	}
	if len(text) > maxEncoded {
		return nil, kv.Errorf(kv.KindTooLarge, op, "%d bytes, the limit is %d", len(text), maxEncoded)
	}
	h, err := hdrhistogram.Decode([]byte(text))
	switch {
	case err != nil:
		return nil, kv.Wrap(kv.KindCorrupt, op, err)
	case h.SignificantFigures() != digits || h.LowestTrackableValue() != finest || h.HighestTrackableValue() != most:
		return nil, kv.Errorf(kv.KindCorrupt, op, "from %d to %d ns, %d digits: not as this release writes it", h.LowestTrackableValue(), h.HighestTrackableValue(), h.SignificantFigures())
	}
	return h, nil
}

// timeline gathers what the recorders hold, step by step. One goroutine uses it.
type timeline struct {
	recorders []*recorder
	steps     []stretch
	from      time.Time
	last      time.Time
	sum       *record
	spares    []*record
}

func newTimeline(recorders []*recorder, from time.Time) *timeline {
	return &timeline{recorders: recorders, from: from, last: from, sum: newRecord()}
}

// run ends a step at each interval of the span, until stop is closed.
func (t *timeline) run(stop <-chan struct{}, s span, interval time.Duration) {
	for at := s.from.Add(interval); at.Before(s.to); at = at.Add(interval) {
		timer := time.NewTimer(time.Until(at))
		select {
		case <-stop:
			timer.Stop()
			return
		case now := <-timer.C:
			t.step(now)
		}
	}
}

// step ends a step at now.
func (t *timeline) step(now time.Time) {
	t.gather()
	t.steps = append(t.steps, t.sum.stretch(t.last.Sub(t.from).Seconds(), now.Sub(t.last).Seconds()))
	t.sum.reset()
	t.last = now
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
func (t *timeline) end(now time.Time, interval time.Duration) error {
	if len(t.steps) == 0 || now.Sub(t.last) >= interval/2 {
		t.step(now)
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
	t.step(now)
	return nil
}
