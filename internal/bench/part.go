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
	all         *record
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
		if len(p.Steps) > MaxIntervals+1 {
			return nil, kv.Errorf(kv.KindTooLarge, "read part", "%d steps of the timeline, the limit is %d", len(p.Steps), MaxIntervals)
		}
		for at := range p.Steps {
			if err := w.add(at, &p.Steps[at]); err != nil {
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

func (w *whole) add(at int, s *stretch) error {
	r, err := s.record()
	if err != nil {
		return err
	}
	if at == len(w.steps) {
		w.steps = append(w.steps, newRecord())
		w.times = append(w.times, Interval{At: s.At})
	}
	w.steps[at].merge(r)
	w.times[at].Seconds = max(w.times[at].Seconds, s.Seconds)
	w.all.merge(r)
	return nil
}
