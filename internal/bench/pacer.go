package bench

import (
	"context"
	"sync"
	"time"
)

// pacer hands the operations of an open loop to the callers as they become due.
type pacer struct {
	due      chan time.Time
	schedule *schedule
	began    time.Time
	span     span
	wait     func(ctx context.Context, until time.Time) time.Time
	mu       struct {
		sync.Mutex
		tally duties
	}
}

// duties is what became of the operations of an open loop that were due in the
// measurement.
type duties struct {
	// Due counts them all, Unbegun those that no caller had begun when it ended.
	Due, Unbegun uint64
	// Behind is how long ago the oldest of those was due then.
	Behind time.Duration
}

// unbegun adds an operation that was due at a time, of a measurement that ends at
// to.
func (d *duties) unbegun(due, to time.Time) {
	d.Unbegun++
	d.Behind = max(d.Behind, to.Sub(due))
}

func newPacer(b *bench, began time.Time) *pacer {
	p := &pacer{began: began, span: b.cfg.span(began), wait: b.wait}
	if b.cfg.open() {
		// With some room, so that the pacer need not be woken for each operation
		// while the callers are behind.
		p.due, p.schedule = make(chan time.Time, b.cfg.callers()), newSchedule(b.cfg)
	}
	return p
}

// run hands out operations until the measurement's or the context's end; then the
// callers end.
func (p *pacer) run(ctx context.Context) {
	defer close(p.due)
	for {
		at := p.began.Add(p.schedule.next())
		if !at.Before(p.span.to) {
			return
		}
		now := p.wait(ctx, at)
		if ctx.Err() != nil {
			return
		}
		p.count(at)
		if !now.Before(p.span.to) {
			p.rest(at)
			return
		}
		p.due <- at
	}
}

func (p *pacer) count(at time.Time) {
	if p.span.holds(at) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mu.tally.Due++
	}
}

// unbegun notes that no caller began what was due at that time.
func (p *pacer) unbegun(at time.Time) {
	if p.span.holds(at) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mu.tally.unbegun(at, p.span.to)
	}
}

// rest counts what is left of the schedule when the measurement is over, of which
// the first was due at a time.
func (p *pacer) rest(at time.Time) {
	p.unbegun(at)
	n := p.schedule.before(p.span.from.Sub(p.began), p.span.to.Sub(p.began))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.tally.Due += n
	p.mu.tally.Unbegun += n
}

// part returns what it has counted, once all have ended.
func (p *pacer) part() part { return part{Duties: p.mu.tally} }

// waitUntil is the pacer's wait in real time.
func waitUntil(ctx context.Context, until time.Time) time.Time {
	now := time.Now()
	if d := until.Sub(now); d > roughly {
		pause(ctx, d-roughly)
		now = time.Now()
	}
	if d := until.Sub(now); d > 0 && ctx.Err() == nil {
		finely(d)
		now = time.Now()
	}
	return now
}

// roughly is how much too long a timer of the runtime's may take when there is
// nothing else to do.
const roughly = 2 * time.Millisecond
