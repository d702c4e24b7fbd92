package coordinator

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/wire"
)

// flight is what every request in progress has: who is to be told, until when,
// and who still holds it. It belongs to one put, get or forward, which goes back
// to its pool when the last holder lets go: the goroutine that started it, each
// call that is out, and the local durable write.
type flight struct {
	c        *Coordinator
	to       Receiver
	start    time.Time
	deadline time.Time
	refs     atomic.Int32
	shard    *flights
	// ticket counts the coordinator's requests, and tells them apart for a while.
	ticket     uint32
	prev, next *flight
	// gets is 1 for one that counts for the budget of hedges.
	gets uint64
	// hedgeAt is when hedge is to be called, since the coordinator's start, 0 for
	// never.
	hedgeAt atomic.Int64

	mu sync.Mutex
	// answered is set once the outcome is decided; who sets it tells to.
	// Guarded by mu.
	answered bool

	// slowAt is when slow is to be called next; guarded by the shard's mu.
	slowAt time.Time
	pause  time.Duration

	// parked is set while the request waits for news of the ring. It is then held
	// once more: whoever clears it lets go.
	parked atomic.Bool

	// expire ends the request because its deadline has passed; slow asks others
	// in the stead of those that take too long; goOn has a parked one go on if
	// there is news; hedge asks somebody else as well, later than usual; recycle
	// clears it and puts it into its pool.
	expire  func()
	slow    func()
	goOn    func()
	hedge   func()
	recycle func()
}

// flights is a list of requests in progress.
type flights struct {
	mu   sync.Mutex
	head *flight
	// gets counts those that were begun.
	gets uint64
	_    [40]byte
}

// launch begins a request, held once by the caller.
func (f *flight) launch(start, deadline time.Time, to Receiver) {
	f.start, f.deadline, f.to = start, deadline, to
	f.pause = min(f.c.cfg.StandInAfter, deadline.Sub(start)/2)
	f.slowAt = start.Add(f.pause)
	f.refs.Store(1)
	if f.c.waiting.Add(1) == 1 {
		select {
		case f.c.busy <- struct{}{}:
		default:
		}
	}
	f.ticket = f.c.next.Add(1)
	f.shard = &f.c.flights[f.ticket%uint32(len(f.c.flights))]
	f.shard.mu.Lock()
	f.shard.gets += f.gets
	f.next = f.shard.head
	if f.next != nil {
		f.next.prev = f
	}
	f.shard.head = f
	f.shard.mu.Unlock()
}

// hold adds n holders.
func (f *flight) hold(n int) { f.refs.Add(int32(n)) }

// release lets go of the request.
func (f *flight) release() {
	if f.refs.Add(-1) > 0 {
		return
	}
	f.shard.mu.Lock()
	if f.next != nil {
		f.next.prev = f.prev
	}
	if f.prev != nil {
		f.prev.next = f.next
	} else {
		f.shard.head = f.next
	}
	f.prev, f.next = nil, nil
	f.shard.mu.Unlock()
	f.to, f.answered = nil, false
	f.hedgeAt.Store(0)
	f.recycle()
}

// decide claims the right to tell the outcome; only one claim succeeds. The
// caller holds mu.
func (f *flight) decide() bool {
	if f.answered {
		return false
	}
	f.answered = true
	return true
}

// tell tells the outcome. The caller has decided, and does not hold mu.
func (f *flight) tell(a wire.Answer, err error) {
	f.to.Receive(a, err)
	f.c.waiting.Add(-1)
}

// park has the request wait for news of the ring. The caller holds it, and looks
// for such news afterwards: it may have come just before.
func (f *flight) park() {
	if f.parked.CompareAndSwap(false, true) {
		f.hold(1)
		f.c.parked.Add(1)
	}
}

// unpark ends the wait. Only one caller is told so; it has to release.
func (f *flight) unpark() bool {
	if !f.parked.Load() || !f.parked.CompareAndSwap(true, false) {
		return false
	}
	f.c.parked.Add(-1)
	return true
}

// over tells whether the deadline has come.
func (f *flight) over() bool { return !f.c.Now().Before(f.deadline) }

func (f *flight) took() time.Duration { return f.c.Now().Sub(f.start) }

// Expire ends the requests whose deadline has passed, has others asked where an
// owner takes too long, and those go on that wait for news of the ring. The node
// calls it every ten milliseconds or so.
func (c *Coordinator) Expire(now time.Time) {
	c.each(func(f *flight) func() { return f.due(now) })
}

// Moved has requests go on that wait for news of the ring. The node calls it
// when Cluster.Current is another one, or more is known of its progress, while it
// holds no lock; it costs nothing while none waits.
func (c *Coordinator) Moved() {
	if c.parked.Load() > 0 {
		c.each(func(f *flight) func() {
			if f.parked.Load() {
				return f.goOn
			}
			return nil
		})
	}
}

// each does with every request in progress what due says is to be done.
func (c *Coordinator) each(due func(*flight) func()) {
	var todo []func()
	var held []*flight
	for i := range c.flights {
		s := &c.flights[i]
		s.mu.Lock()
		for f := s.head; f != nil; f = f.next {
			if do := due(f); do != nil && f.holdIfHeld() {
				todo, held = append(todo, do), append(held, f)
			}
		}
		s.mu.Unlock()
	}
	for i, f := range held {
		todo[i]()
		f.release()
	}
}

// due returns what is to be done about f by now, nil for nothing.
func (f *flight) due(now time.Time) func() {
	switch {
	case now.After(f.deadline):
		return f.expire
	case now.After(f.slowAt):
		f.slowAt = now.Add(f.pause)
		return f.slow
	case f.parked.Load():
		return f.goOn
	}
	return nil
}

// holdIfHeld adds a holder, unless the last one is just letting go.
func (f *flight) holdIfHeld() bool {
	for {
		n := f.refs.Load()
		if n == 0 {
			return false
		}
		if f.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}
