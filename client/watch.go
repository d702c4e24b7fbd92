package client

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// watchShards is how many lists the gets under way are spread over.
	watchShards = 8
	// watchGrain is the least time between two looks at them: timers of the
	// operating system are no finer. watchEach is how much more that is for each.
	watchGrain = time.Millisecond
	watchEach  = 200 * time.Nanosecond
)

// watch tells gets when they are late. It has one timer for all of them, which is
// set for the earliest: by then most have been answered. A get that is answered in
// time costs two short locks. Safe for concurrent use.
type watch struct {
	began  time.Time
	timer  *time.Timer
	rings  atomic.Int64 // when, since began
	count  atomic.Int64
	shards [watchShards]struct {
		sync.Mutex
		head *call
		_    [48]byte
	}
}

// never is when the timer rings while it is not set.
const never = math.MaxInt64

func newWatch() *watch {
	w := &watch{began: time.Now()}
	w.rings.Store(never)
	w.timer = time.AfterFunc(time.Hour, w.look)
	return w
}

// stop ends the timer; gets are told no more.
func (w *watch) stop() { w.timer.Stop() }

// add has c told when d has passed from now.
func (w *watch) add(c *call, now time.Time, d time.Duration) {
	since := now.Sub(w.began)
	due := since + d
	s := &w.shards[c.number%watchShards]
	s.Lock()
	c.due = due
	if c.later = s.head; c.later != nil {
		c.later.earlier = c
	}
	s.head = c
	s.Unlock()
	w.count.Add(1)
	w.set(since, due)
}

// remove ends the watch over c, which may have been told meanwhile.
func (w *watch) remove(c *call) {
	w.count.Add(-1)
	s := &w.shards[c.number%watchShards]
	s.Lock()
	if c.later != nil {
		c.later.earlier = c.earlier
	}
	if c.earlier != nil {
		c.earlier.later = c.later
	} else {
		s.head = c.later
	}
	c.earlier, c.later = nil, nil
	s.Unlock()
	select {
	case <-c.late:
	default:
	}
}

// set has the timer ring at a time, or before.
func (w *watch) set(now, at time.Duration) {
	if w.rings.Load() <= int64(at) {
		return
	}
	at = max(at, now+watchGrain+watchEach*time.Duration(w.count.Load()))
	for was := w.rings.Load(); was > int64(at); was = w.rings.Load() {
		if w.rings.CompareAndSwap(was, int64(at)) {
			w.timer.Reset(at - now)
			return
		}
	}
}

// look tells the gets that are late, each once.
func (w *watch) look() {
	w.rings.Store(never)
	now, next := time.Since(w.began), time.Duration(never)
	for i := range w.shards {
		s := &w.shards[i]
		s.Lock()
		for c := s.head; c != nil; c = c.later {
			if c.due <= now {
				c.due = never
				c.late <- struct{}{} // it has room: it is drained before c is watched again
			} else if c.due != never {
				next = min(next, c.due)
			}
		}
		s.Unlock()
	}
	if next != never {
		w.set(now, next)
	}
}
