package coordinator

import (
	"math"
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/quorum"
)

// A get that takes longer than all but one in a hundred do is hedged: a second
// node is asked, once, if the budget allows it. When that is due is kept with each
// request, and nothing else is: one alarm for the whole node rings when the
// earliest of them is, and finds most requests gone. So a request costs neither a
// goroutine nor a timer.

const (
	// hedgeGrain is the least time from one alarm to the next, hedgeEach how much
	// more that is for each request in flight, all of which are looked at then.
	// Timers of the operating system are no finer than a millisecond.
	hedgeGrain = time.Millisecond
	hedgeEach  = 200 * time.Nanosecond
)

// noAlarm is the alarm's time while none is set.
const noAlarm = math.MaxInt64

// hedgeIn has f hedged when it takes longer than usual: tail is what all but one in
// a hundred like it take from now on.
func (f *flight) hedgeIn(now time.Time, tail time.Duration) {
	if tail == 0 || f.c.Alarm == nil || !f.c.cfg.Hedge {
		return
	}
	at := now.Add(hedge.After(tail)).Sub(f.c.began)
	f.hedgeAt.Store(int64(max(at, 1)))
	f.c.setAlarm(now.Sub(f.c.began), at)
}

// setAlarm has the alarm ring at a time, or before, both since the start.
func (c *Coordinator) setAlarm(now, at time.Duration) {
	if c.alarm.Load() <= int64(at) {
		return
	}
	at = max(at, now+hedgeGrain+hedgeEach*time.Duration(c.waiting.Load()))
	for was := c.alarm.Load(); was > int64(at); was = c.alarm.Load() {
		if c.alarm.CompareAndSwap(was, int64(at)) {
			c.Alarm(at - now)
			return
		}
	}
}

// Hedge has second nodes asked for what is late by now. It is called when the
// Alarm rings.
func (c *Coordinator) Hedge() {
	c.alarm.Store(noAlarm)
	now, next := c.Now().Sub(c.began), int64(noAlarm)
	c.each(func(f *flight) func() {
		switch at := f.hedgeAt.Load(); {
		case at == 0:
		case at <= int64(now):
			f.hedgeAt.Store(0)
			return f.hedge
		default:
			next = min(next, at)
		}
		return nil
	})
	if next != noAlarm {
		c.setAlarm(now, time.Duration(next))
	}
}

// mayHedge takes a hedge from the budget.
func (c *Coordinator) mayHedge() bool {
	var gets uint64
	for i := range c.flights {
		s := &c.flights[i]
		s.mu.Lock()
		gets += s.gets
		s.mu.Unlock()
	}
	if !c.budget.Take(gets) {
		c.Stats.Hedge(hedge.Refused)
		return false
	}
	c.Stats.Hedge(hedge.Sent)
	return true
}

// hedge asks the nearest owner that was not asked yet, because those that were
// take too long.
func (o *get) hedge() {
	o.mu.Lock()
	if !o.answered {
		o.markLate()
	}
	i := o.nextInReserve()
	idle := o.answered || i == nobody
	o.mu.Unlock()
	if idle || !o.c.mayHedge() {
		return
	}
	now := o.c.Now()
	o.mu.Lock()
	s := &o.at[i]
	if o.answered || !s.reserve {
		o.mu.Unlock()
		return
	}
	o.draw(i)
	o.asked++
	o.hedged, s.hedge, s.asked = true, true, now
	o.mu.Unlock()
	o.send(i, i, newRead())
}

// markLate notes which owners take too long, so that others go round them until
// they answer. The caller holds mu.
func (o *get) markLate() {
	for i, id := range o.owners {
		if s := &o.at[i]; s.out > 0 && !s.heard && s.late == nil {
			s.late = o.c.book.enter(id)
			s.late.late.Add(1)
		}
	}
}

// back notes that the node at place has answered, or failed to. The caller holds
// mu.
func (o *get) back(i, place int) {
	if s := &o.at[i]; i == place && s.late != nil {
		s.late.late.Add(-1)
		s.late = nil
	}
}

// hedgeWon tells whether the answer is a hedge's merit: it came, and one that was
// asked before it did not. The caller holds mu.
func (o *get) hedgeWon() bool {
	won, late := false, false
	for i := range o.owners {
		s := &o.at[i]
		won = won || s.hedge && s.heard
		late = late || !s.hedge && !s.heard && s.out > 0
	}
	return won && late
}

// hedge passes a get on to a further owner as well.
func (o *forward) hedge() {
	o.mu.Lock()
	i := o.asked
	idle := o.answered || i >= o.owners
	if i == 1 && !o.answered && !o.heardFirst && o.late == nil {
		o.late = o.c.book.enter(o.candidates[0])
		o.late.late.Add(1)
	}
	o.mu.Unlock()
	if idle || !o.c.mayHedge() {
		return
	}
	o.mu.Lock()
	if idle = o.answered || o.asked != i; !idle {
		o.asked++
		o.out++
		o.hedged = i
	}
	o.mu.Unlock()
	if !idle {
		o.send(i)
	}
}

// hurry asks others in the stead of those that take too long. When all owners do
// that have not answered, stand-ins that know nothing count.
func (o *get) hurry() {
	var next [maxSlots]int
	o.again(true)
	now := o.c.Now()
	o.mu.Lock()
	if o.answered {
		o.mu.Unlock()
		return
	}
	var others [maxSlots]int
	needed := o.needed(&others)
	if !o.awaited(now) {
		o.tally.Hurry()
	}
	for i := range o.owners {
		s := &o.at[i]
		next[i] = nobody
		switch {
		case s.heard, s.out == 0:
		case s.fresh:
			s.fresh = false
		case !o.late(&o.flight, i, now):
		case o.tally.Outcome() == quorum.Pending:
			next[i] = o.standIn(i)
		}
	}
	o.unlock()
	if needed {
		o.sendAll(&others)
	}
	o.sendAll(&next)
}

// awaited tells whether an owner's answer may still be on its way. The caller
// holds mu.
func (o *get) awaited(now time.Time) bool {
	for i := range o.owners {
		if s := &o.at[i]; !s.heard && s.out > 0 && s.stand == 0 && !o.late(&o.flight, i, now) {
			return true
		}
	}
	return false
}
