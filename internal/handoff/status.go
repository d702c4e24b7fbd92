package handoff

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/pace"
	"github.com/ringtaildb/ringtail/internal/replica"
)

// Totals counts since the Sender was made.
type Totals struct {
	// Delivered hints were stored by an owner, and deleted here; DeliveredBytes
	// are their keys and objects.
	Delivered, DeliveredBytes uint64
	// Changed hints were delivered, but written to meanwhile: they are kept, and
	// will be delivered again.
	Changed uint64
	// Failed counts the deliveries that were not acknowledged, or too late.
	Failed uint64
	// Received counts the hints that other nodes handed over to this one.
	Received uint64
}

// OwnerStatus is how far the hints for one owner are.
type OwnerStatus struct {
	// HintStats is what is left.
	replica.HintStats
	// Delivered counts the hints that were delivered, Failed the deliveries that
	// failed, since the owner last had none.
	Delivered, Failed uint64
	// Rate is what is delivered, in bytes a second, over the last seconds.
	Rate uint64
	// Err is the last failure, nil for none.
	Err error
}

// Status returns how far the hints are for each owner that has any, ascending by
// owner.
func (h *Sender) Status() []OwnerStatus {
	stats, now := h.Hints.Hints(), h.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]OwnerStatus, 0, len(stats))
	for _, st := range stats {
		s := OwnerStatus{HintStats: st}
		if t := h.mu.tallies[st.Owner]; t != nil {
			s.Delivered, s.Failed, s.Err = t.count, t.failures, t.err
			s.Rate = t.meter.Rate(now)
		}
		out = append(out, s)
	}
	return out
}

// Totals returns the counters.
func (h *Sender) Totals() Totals {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.mu.totals
}

// tally counts what became of the hints for one owner.
type tally struct {
	count, failures uint64
	meter           pace.Meter
	err             error
}

func (t *tally) delivered(now time.Time, size uint64) {
	t.count++
	t.meter.Add(now, size)
}

func (t *tally) failed(err error) {
	t.failures++
	t.err = err
}

// tally returns the tally of an owner. The caller holds mu.
func (h *Sender) tally(owner kv.NodeID) *tally {
	t := h.mu.tallies[owner]
	if t == nil {
		t = new(tally)
		h.mu.tallies[owner] = t
	}
	return t
}

// Busy tells whether hints are being delivered, or wait for the rate.
func (h *Sender) Busy() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.mu.sessions) > 0 || len(h.mu.held) > 0
}
