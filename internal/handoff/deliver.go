package handoff

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// delivery is one hint under way, and the wire.Completion of its call.
type delivery struct {
	*session
	place
	hint replica.Hint
	// acknowledged is the boot that the answer named.
	acknowledged uint64
}

// pump sends what windows and rate allow, and sees to it that sessions which
// need the Background get it. One goroutine at a time does; what another would
// have sent, it sends.
func (h *Sender) pump() {
	h.mu.Lock()
	if h.mu.pumping {
		h.mu.Unlock()
		return
	}
	h.mu.pumping = true
	for now := h.Now(); ; now = h.Now() {
		d := h.next(now)
		if d == nil {
			break
		}
		h.mu.Unlock()
		h.send(d, now)
		h.mu.Lock()
	}
	h.mu.pumping = false
	tasks := h.tasks(h.Now())
	h.mu.Unlock()
	for _, s := range tasks {
		h.background(s)
	}
}

// next takes the hint to be sent next, nil for none: one of the session that
// was given least. The caller holds mu.
func (h *Sender) next(now time.Time) *delivery {
	if !h.mu.pace.Ready(now) {
		return nil
	}
	var s *session
	for _, o := range h.mu.sessions {
		if o.ready() && (s == nil || o.served < s.served) {
			s = o
		}
	}
	if s == nil {
		return nil
	}
	d := &delivery{session: s, place: s.at, hint: s.page[0]}
	size := sizeOf(d.hint)
	s.page = s.page[1:]
	s.calls, s.bytes = s.calls+1, s.bytes+size
	// Who had nothing to send, or a full window, is owed nothing for that time.
	h.mu.served = max(h.mu.served, s.served)
	s.served = h.mu.served + uint64(size)
	h.mu.pace.Take(now, h.priced(size))
	return d
}

// tasks marks the sessions that need the Background and returns them, and ends
// those that are over. The caller holds mu.
func (h *Sender) tasks(now time.Time) []*session {
	var out []*session
	for _, s := range h.mu.sessions {
		switch {
		case s.over():
			s.stop()
			if s.unclean {
				s.rest(now)
			} else {
				s.pause = 0
			}
			h.mu.planAt = time.Time{} // others may wait for their turn
		case !s.busy && s.task():
			s.busy = true
			out = append(out, s)
		}
	}
	return out
}

// background puts the task of a session that was marked busy on the Background.
// If that is full, the next Tick tries again.
func (h *Sender) background(s *session) {
	if !h.Background.Go(func() { h.work(s) }) {
		h.mu.Lock()
		s.busy = false
		h.mu.Unlock()
	}
}

// send sends one hint; now is when it was taken.
func (h *Sender) send(d *delivery, now time.Time) {
	if h.cfg.Omit&OmitAck != 0 {
		_, _ = h.Hints.DeleteHint(d.owner, d.p, d.hint.Key, d.hint.Version)
	}
	if d.to == h.Self {
		h.keep(d)
		return
	}
	level := kv.Level(0)
	if c := h.Cluster.Current(); c != nil {
		level = c.View(d.p).Level
	}
	call := wire.Call{Type: wire.TypeHandoff, Deadline: now.Add(h.cfg.Timeout), Level: level}
	h.Peers.Call(d.to, call, &wire.Handoff{Key: d.hint.Key, Object: d.hint.Object.Bytes()}, d, 0)
}

// Complete implements wire.Completion.
func (d *delivery) Complete(_ uint32, resp wire.Response, err error) {
	if err != nil {
		d.end(0, err)
		return
	}
	ack, err := wire.ParseHandoffAck(resp.Payload)
	d.end(ack.Boot, err)
}

// end takes the outcome of a delivery. It calls neither the engine nor a peer.
func (d *delivery) end(boot uint64, err error) {
	h, s := d.h, d.session
	now := h.Now()
	h.mu.Lock()
	s.calls, s.bytes = s.calls-1, s.bytes-sizeOf(d.hint)
	if err == nil {
		d.acknowledged = boot
		s.acked = append(s.acked, d)
	} else {
		h.failed(d, err, now)
	}
	idle := !s.busy
	s.busy = true
	h.mu.Unlock()
	if err != nil && kv.KindOf(err) == kv.KindStaleRing {
		h.Cluster.Refresh(s.to)
	}
	if idle {
		h.background(s)
	}
}

// failed takes the failure of a delivery. One that tells of the node ends the
// session, for a while; one that tells of this hint alone does not. The caller
// holds mu.
func (h *Sender) failed(d *delivery, err error, now time.Time) {
	h.tally(d.owner).failed(err)
	h.mu.totals.Failed++
	d.unclean = true
	switch kv.KindOf(err) {
	case kv.KindInvalid, kv.KindTooLarge, kv.KindTooManySiblings, kv.KindWrongVersion, kv.KindCorrupt:
		return
	}
	if d.running {
		d.stop()
		d.rest(now)
	}
}

// settle deletes the hints that the session's node has acknowledged.
func (h *Sender) settle(s *session) {
	h.mu.Lock()
	acked := s.acked
	s.acked = nil
	h.mu.Unlock()
	boot := h.Boot()
	if s.to != h.Self {
		boot = h.Peers.Boot(s.to)
	}
	for _, d := range acked {
		deleted, err := h.settleOne(d, boot)
		h.mu.Lock()
		h.settled(d, deleted, err)
		h.mu.Unlock()
	}
}

// settleOne deletes a hint that was acknowledged, unless the acknowledgement is
// of a boot before the node's present one, or the hint has changed.
func (h *Sender) settleOne(d *delivery, boot uint64) (deleted bool, err error) {
	if d.acknowledged < boot && h.cfg.Omit&OmitBoot == 0 {
		return false, kv.Errorf(kv.KindUnavailable, "hand over", "node %v acknowledged in its boot %d, it is in boot %d now", d.to, d.acknowledged, boot)
	}
	version := d.hint.Version
	if h.cfg.Omit&OmitVersion != 0 {
		version = h.versionNow(d)
	}
	return h.Hints.DeleteHint(d.owner, d.p, d.hint.Key, version)
}

// settled counts a hint that was acknowledged. The caller holds mu.
func (h *Sender) settled(d *delivery, deleted bool, err error) {
	t := h.tally(d.owner)
	switch {
	case err != nil:
		d.unclean = true
		t.failed(err)
		h.mu.totals.Failed++
	case deleted || h.cfg.Omit&OmitAck != 0:
		d.pause = 0
		size := uint64(sizeOf(d.hint))
		t.delivered(h.Now(), size)
		if d.to == h.Self && d.owner != h.Self {
			return // the hints that it became are yet to be delivered
		}
		h.mu.totals.Delivered++
		h.mu.totals.DeliveredBytes += size
	default:
		h.mu.totals.Changed++
	}
}

// versionNow returns the version that a delivered hint has by now, or the one
// that was delivered if it is gone.
func (h *Sender) versionNow(d *delivery) uint64 {
	var after kv.Key
	for {
		page, done, err := h.Hints.HintPage(d.owner, d.p, after, pageKeys, pageBytes)
		if err != nil {
			return d.hint.Version
		}
		for _, hint := range page {
			if string(hint.Key) == string(d.hint.Key) {
				return hint.Version
			}
			after = hint.Key
		}
		if done {
			return d.hint.Version
		}
	}
}
