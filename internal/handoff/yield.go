package handoff

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// slowest is the rate in bytes a second, if the set one is not below it, to which
	// requests of clients slow hand-off down at the most.
	slowest = 64 << 10
	// longestHold bounds how long an answer is held back: well within the Timeout of
	// whoever waits for it.
	longestHold = 2 * time.Second
)

// priced returns what n bytes cost of the rate, given the share of it that may be
// used now.
func (h *Sender) priced(n int) int {
	if h.Share == nil {
		return n
	}
	return int(float64(n) / max(h.Share(), min(1, slowest/float64(h.cfg.Rate))))
}

// heldAck is the answer to a hint that was stored at a time when clients here
// suffered. Who hands over has few unanswered ones under way (Config.Window), so
// holding answers back slows it down, and all that do the same.
type heldAck struct {
	*arrival
	since time.Time
}

// taken counts a hint that was stored, and answers it when the pace allows.
func (h *Sender) taken(a *arrival) {
	if h.Share == nil {
		h.mu.Lock()
		h.mu.totals.Received++
		h.mu.Unlock()
		a.answer()
		return
	}
	now, price := h.Now(), h.priced(a.size)
	h.mu.Lock()
	h.mu.totals.Received++
	ready := len(h.mu.held) == 0 && h.mu.taking.Ready(now)
	if ready {
		h.mu.taking.Take(now, price)
	} else {
		h.mu.held = append(h.mu.held, heldAck{a, now})
	}
	h.mu.Unlock()
	if ready {
		a.answer()
	}
}

// answer answers a hint that was stored.
func (a *arrival) answer() {
	a.h.inbound.Add(-1)
	a.reply.Send(&wire.HandoffAck{Boot: a.boot})
}

// answerHeld answers what was held back for long enough.
func (h *Sender) answerHeld(now time.Time) {
	h.mu.Lock()
	n := 0
	for n < len(h.mu.held) && (h.mu.taking.Ready(now) || now.Sub(h.mu.held[n].since) >= longestHold) {
		h.mu.taking.Take(now, h.priced(h.mu.held[n].size))
		n++
	}
	due := h.mu.held[:n]
	if h.mu.held = h.mu.held[n:]; len(h.mu.held) == 0 {
		h.mu.held = nil
	}
	h.mu.Unlock()
	for _, a := range due {
		a.answer()
	}
}
