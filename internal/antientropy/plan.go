package antientropy

import (
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// plan is when this node would lead a sweep.
type plan struct {
	// looked is when the copies were last asked what could be reaped, reapable
	// what they said; wanted is since when there is something, due since when it
	// is worth a sweep.
	looked      time.Time
	reapable    uint64
	wanted, due time.Time
	// pause is until when no sweep is begun.
	pause time.Time
	// stopped are the nodes because of which there is no sweep, or not of all
	// partitions; since and why belong to them.
	stopped []kv.NodeID
	since   time.Time
	why     string
}

// sweepsDone counts the rounds that this node has led.
type sweepsDone struct {
	finished, abandoned uint64
	// last is when one was last finished; raised is the number of partitions
	// whose floors were raised at all owners in it, and why what the last one
	// that was abandoned died of.
	last   time.Time
	raised int
	why    string
}

// consider begins a round if it is time, and the ring does not change.
func (l *leader) consider(now time.Time) {
	p, cfg := &l.plan, &l.k.cfg
	if now.Sub(p.looked) < cfg.Poll && !p.looked.IsZero() || l.k.Cluster.Current().Progress != nil {
		return
	}
	p.looked = now
	r, members := l.k.Cluster.Current().Ring, l.k.Cluster.Members()
	rank := slices.IndexFunc(members, func(m Member) bool { return m.ID == l.k.Self })
	if p.reapable = l.reapable(r); p.reapable == 0 || rank < 0 {
		*p = plan{looked: now, pause: p.pause}
		return
	}
	if p.wanted.IsZero() {
		p.wanted = now
	}
	if p.reapable < cfg.ReapAt && now.Sub(p.wanted) < cfg.ReapAfter {
		return
	}
	if p.due.IsZero() {
		p.due = now
	}
	if down := l.down(members); len(down) > 0 {
		p.stop(now, down, "it is down")
		return
	}
	// Nodes that have the same cause begin one after the other, also after a
	// pause that they have in common: else they would meet in each round.
	first := p.due
	if first.Before(p.pause) {
		first = p.pause
	}
	if l.k.member.busy() || now.Before(first.Add(time.Duration(rank)*cfg.ReapBackoff)) {
		return
	}
	l.begin(r, members, now)
}

// reapable returns in how many records of the copies that this node owns a floor
// could drop something. What has expired, however much, counts as one record: it
// is not known how many there are, and waits for ReapAfter.
func (l *leader) reapable(r *ring.Ring) uint64 {
	sum, expired := uint64(0), uint64(0)
	past := max(kv.Expiry(l.k.Wall()/1000), l.margin()) - l.margin()
	for _, p := range r.Partitions(l.k.Self) {
		_, _, n := l.k.Floors.Usage(p)
		sum += n
		if e := l.k.Floors.Soonest(p); e != 0 && e <= past {
			expired = 1
		}
	}
	return sum + expired
}

// down returns the members that do not answer: what they hold nobody knows, so
// nothing is forgotten until they are back, or declared dead for good.
func (l *leader) down(members []Member) []kv.NodeID {
	var out []kv.NodeID
	for _, m := range members {
		if m.ID != l.k.Self && !l.k.Peers.Up(m.ID) {
			out = append(out, m.ID)
		}
	}
	return out
}

// stop notes who stops sweeps.
func (p *plan) stop(now time.Time, who []kv.NodeID, why string) {
	if !slices.Equal(p.stopped, who) {
		p.stopped, p.since = who, now
	}
	p.why = why
}

func (l *leader) stop(now time.Time, who kv.NodeID, why string) {
	l.plan.stop(now, []kv.NodeID{who}, why)
}

// abandon ends a round without having raised a floor, or not all.
func (l *leader) abandon(now time.Time, why string) {
	l.done.abandoned++
	l.done.why = why
	l.release()
	l.rest(now)
}

// end ends a round that went to its end.
func (l *leader) end(now time.Time) {
	// A partition counts once all its owners have raised its floor.
	parts := l.parts
	for _, w := range l.words {
		parts = minus(parts, minus(w.parts, w.result))
	}
	l.done.finished++
	l.done.last, l.done.raised = now, len(parts)
	if !l.heldOut {
		l.plan.stopped = nil
	}
	l.rest(now)
}

// rest pauses until the next round.
func (l *leader) rest(now time.Time) {
	l.step = stepNone
	l.plan.wanted, l.plan.due = time.Time{}, time.Time{}
	l.plan.pause = now.Add(l.k.cfg.ReapPause)
}

// ended tells that a sweep has ended, whoever led it: what it allows to be
// reaped is given time to go before another one is wanted.
func (l *leader) ended(now time.Time) {
	if l.step == stepNone {
		l.rest(now)
	}
}
