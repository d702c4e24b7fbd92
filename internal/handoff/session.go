package handoff

import (
	"cmp"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/replica"
)

// session hands hints over to one node. It is guarded by the Sender's mutex.
//
// While it runs it walks its places once: the hints that were there when it
// began are sent, those that fail wait for the next session.
type session struct {
	h  *Sender
	to kv.NodeID

	running bool
	// pass counts starts and stops, so that a page that was read for one is not
	// taken for another.
	pass uint64
	// places are those that were not read to their end; after is the last key
	// that was read of the first of them.
	places []place
	after  kv.Key
	// page are hints that were read and not sent, of the place at.
	page []replica.Hint
	at   place

	// busy is set while the session's task is on the Background, or is about to
	// be.
	busy bool
	// acked are the hints that the node has, and that are still to be deleted.
	acked []*delivery
	// calls and bytes are the hints under way.
	calls, bytes int
	// served is the session's share of the rate so far, in bytes: the one with
	// the least goes next.
	served uint64
	// unclean tells that something failed since the session began.
	unclean bool
	// until is when the node is no longer left alone; pause is how long that was.
	until time.Time
	pause time.Duration
}

func compare(s *session, id kv.NodeID) int { return cmp.Compare(s.to, id) }

// start begins a pass over places.
func (s *session) start(places []place) {
	s.running, s.unclean, s.places, s.after = true, false, places, nil
	s.pass++
}

// stop ends a pass. What is under way is counted when it comes back.
func (s *session) stop() {
	s.running, s.places, s.page = false, nil, nil
	s.pass++
}

// rest leaves the node alone for a while.
func (s *session) rest(now time.Time) {
	s.pause = min(max(2*s.pause, s.h.cfg.MinPause), s.h.cfg.MaxPause)
	s.until = now.Add(s.pause)
	s.h.planBy(now)
}

// ready tells whether a hint may be sent now, were it for the window alone.
func (s *session) ready() bool {
	if !s.running || len(s.page) == 0 {
		return false
	}
	return s.calls == 0 || s.calls < s.h.cfg.Window && s.bytes+sizeOf(s.page[0]) <= s.h.cfg.WindowBytes
}

// task tells whether the session has work for the Background.
func (s *session) task() bool {
	return len(s.acked) > 0 || s.running && len(s.page) == 0 && len(s.places) > 0
}

// over tells whether all that the pass began with was dealt with.
func (s *session) over() bool {
	return s.running && !s.busy && len(s.page)+len(s.places)+len(s.acked)+s.calls == 0
}

// idle tells whether nothing would be lost with the session.
func (s *session) idle(now time.Time) bool {
	return !s.running && !s.busy && len(s.acked)+s.calls == 0 && !now.Before(s.until)
}

// sizeOf is what a hint costs of window and rate, in bytes.
func sizeOf(hint replica.Hint) int { return len(hint.Key) + len(hint.Object.Bytes()) }

// work is a session's task: it deletes what the node has, reads the next page,
// and sends.
func (h *Sender) work(s *session) {
	h.settle(s)
	h.load(s)
	h.mu.Lock()
	s.busy = false
	h.mu.Unlock()
	h.pump()
}

// load reads the session's next page, if it has sent the last one.
func (h *Sender) load(s *session) {
	h.mu.Lock()
	if !s.running || len(s.page) > 0 || len(s.places) == 0 {
		h.mu.Unlock()
		return
	}
	pass, at, after := s.pass, s.places[0], s.after
	h.mu.Unlock()

	var page []replica.Hint
	var err error
	done := true
	if h.fits(at, s.to) {
		page, done, err = h.Hints.HintPage(at.owner, at.p, after, pageKeys, pageBytes)
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		s.unclean = true
		h.tally(at.owner).failed(err)
		h.mu.totals.Failed++
	}
	if s.pass != pass {
		return
	}
	s.page, s.at = page, at
	if len(page) > 0 {
		s.after = page[len(page)-1].Key
	}
	if done || err != nil {
		s.places, s.after = s.places[1:], nil
	}
}
