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
	c          *Coordinator
	to         Receiver
	start      time.Time
	deadline   time.Time
	refs       atomic.Int32
	shard      *flights
	prev, next *flight

	mu sync.Mutex
	// answered is set once the outcome is decided; who sets it tells to.
	// Guarded by mu.
	answered bool

	// slowAt is when slow is to be called next; guarded by the shard's mu.
	slowAt time.Time
	pause  time.Duration

	// expire ends the request because its deadline has passed; slow asks others
	// in the stead of those that take too long, nil for a request that does not;
	// recycle clears it and puts it into its pool.
	expire  func()
	slow    func()
	recycle func()
}

// flights is a list of requests in progress.
type flights struct {
	mu   sync.Mutex
	head *flight
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
	f.shard = &f.c.flights[f.c.next.Add(1)%uint32(len(f.c.flights))]
	f.shard.mu.Lock()
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

func (f *flight) took() time.Duration { return f.c.Now().Sub(f.start) }

// Expire ends the requests whose deadline has passed, and has others asked where
// an owner takes too long. The node calls it every ten milliseconds or so.
func (c *Coordinator) Expire(now time.Time) {
	var due []func()
	var held []*flight
	for i := range c.flights {
		s := &c.flights[i]
		s.mu.Lock()
		for f := s.head; f != nil; f = f.next {
			if do := f.due(now); do != nil && f.holdIfHeld() {
				due, held = append(due, do), append(held, f)
			}
		}
		s.mu.Unlock()
	}
	for i, f := range held {
		due[i]()
		f.release()
	}
}

// due returns what is to be done about f by now, nil for nothing.
func (f *flight) due(now time.Time) func() {
	switch {
	case now.After(f.deadline):
		return f.expire
	case f.slow != nil && now.After(f.slowAt):
		f.slowAt = now.Add(f.pause)
		return f.slow
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
