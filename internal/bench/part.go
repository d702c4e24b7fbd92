package bench

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// part is what one process did in the measurement.
type part struct {
	Steps []stretch
	// Seconds is how long was measured.
	Seconds     float64
	OwnCPU      time.Duration
	Interrupted bool
	Duties      duties
	Staleness   stale
}

// whole is what all processes did together.
type whole struct {
	all *record
	// steps are by interval, nil where no step ended.
	steps       []*record
	times       []Interval
	seconds     float64
	own         time.Duration
	interrupted bool
	duties      duties
	stale       stale
}

// join adds up the parts: their histograms are merged count by count, so the
// percentiles are those of one process that had done it all. An error is of
// KindCorrupt.
func join(parts []part) (*whole, error) {
	w := &whole{all: newRecord()}
	for i := range parts {
		p := &parts[i]
		for at := range p.Steps {
			if err := w.add(&p.Steps[at]); err != nil {
				return nil, err
			}
		}
		w.seconds = max(w.seconds, p.Seconds)
		w.own += p.OwnCPU
		w.interrupted = w.interrupted || p.Interrupted
		w.duties.Due += p.Duties.Due
		w.duties.Unbegun += p.Duties.Unbegun
		w.duties.Behind = max(w.duties.Behind, p.Duties.Behind)
		if len(p.Staleness.Found) > 0 {
			w.stale = p.Staleness // of one process
		}
	}
	return w, nil
}

// add adds a step of one process to those of the others that ended with the same
// interval.
func (w *whole) add(s *stretch) error {
	if s.Index < 0 || s.Index > MaxIntervals {
		return kv.Errorf(kv.KindCorrupt, "read timeline", "step %d is not within 0 to %d", s.Index, MaxIntervals)
	}
	r, err := s.record()
	if err != nil {
		return err
	}
	for len(w.steps) <= s.Index {
		w.steps, w.times = append(w.steps, nil), append(w.times, Interval{})
	}
	at := &w.times[s.Index]
	if w.steps[s.Index] == nil {
		w.steps[s.Index], at.At = newRecord(), s.At
	}
	at.At, at.Seconds = min(at.At, s.At), max(at.Seconds, s.Seconds)
	w.steps[s.Index].merge(r)
	w.all.merge(r)
	return nil
}
