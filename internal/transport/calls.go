package transport

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// maxSlots bounds a callTable: an index must fit the lower half of an id.
const maxSlots = 1 << 24

// call is what is remembered of a request until it is answered.
type call struct {
	done wire.Completion
	tag  uint32
	// probe marks a ping of our own: it is sent even to a peer that is down.
	probe bool
	// timed tells that its round trip is one of those that latency tracks.
	timed bool
	// sent and deadline count from the connection's start.
	sent, deadline time.Duration
	// batch is outQueue's taken when the request was appended; large is set
	// instead for a request over wire.MaxChunk.
	batch uint64
	large *large
}

// slot is a place for a call.
type slot struct {
	call
	gen  uint32 // counts the slot's uses; the upper half of the id
	used bool
	// lent is set while an interim response is being delivered; whoever wants
	// to end the call meanwhile leaves the error in fate.
	lent bool
	fate error
}

// callTable holds the calls that wait for an answer on one connection, in slots
// that are used again. Whoever takes a call out of it completes it: so each is
// completed once. Safe for concurrent use.
//
// Invariants: each slot is either used or in free; an id names at most one use
// of one slot, and is never 0.
type callTable struct {
	max int
	// next is at most the earliest deadline in the table.
	next atomic.Int64
	mu   struct {
		sync.Mutex
		slots []slot
		free  []uint32
		// refusal, once set, is the answer to every call but a probe; with gone
		// set to those too. With final set it stays.
		refusal     *kv.Error
		gone, final bool
	}
}

func newCallTable(max int) *callTable {
	t := &callTable{max: max}
	t.next.Store(math.MaxInt64)
	return t
}

// add remembers c and returns its id, or an error when calls are refused or the
// table is full.
func (t *callTable) add(c call) (uint64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.refusal != nil && (t.mu.gone || !c.probe) {
		return 0, t.mu.refusal
	}
	i, ok := t.slot()
	if !ok {
		return 0, kv.Errorf(kv.KindOverloaded, "call", "%d calls wait for an answer, the limit is %d", t.max, t.max)
	}
	s := &t.mu.slots[i]
	s.call, s.used = c, true
	s.gen++
	if s.gen == 0 {
		s.gen = 1
	}
	if int64(c.deadline) < t.next.Load() {
		t.next.Store(int64(c.deadline))
	}
	return uint64(s.gen)<<32 | uint64(i), nil
}

func (t *callTable) slot() (uint32, bool) {
	if n := len(t.mu.free); n > 0 {
		i := t.mu.free[n-1]
		t.mu.free = t.mu.free[:n-1]
		return i, true
	}
	if len(t.mu.slots) == t.max {
		return 0, false
	}
	t.mu.slots = append(t.mu.slots, slot{})
	return uint32(len(t.mu.slots) - 1), true
}

// find returns the slot of id, or nil. The caller holds t.mu.
func (t *callTable) find(id uint64) *slot {
	i := uint32(id)
	if int(i) >= len(t.mu.slots) {
		return nil
	}
	if s := &t.mu.slots[i]; s.used && s.gen == uint32(id>>32) {
		return s
	}
	return nil
}

// remove frees the slot and returns its call. The caller holds t.mu.
func (t *callTable) remove(s *slot, i uint32) call {
	c := s.call
	*s = slot{gen: s.gen}
	t.mu.free = append(t.mu.free, i)
	return c
}

// take removes call id.
func (t *callTable) take(id uint64) (call, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(id)
	if s == nil {
		return call{}, false
	}
	return t.remove(s, uint32(id)), true
}

// has tells whether call id still waits.
func (t *callTable) has(id uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.find(id) != nil
}

// lend returns call id for an interim response. It stays in the table, and
// nobody else completes it before giveBack.
func (t *callTable) lend(id uint64) (call, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(id)
	if s == nil {
		return call{}, false
	}
	s.lent = true
	return s.call, true
}

// giveBack ends lend. With an error the call's time came meanwhile: it is
// removed, and the caller completes it.
func (t *callTable) giveBack(id uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(id)
	s.lent = false
	fate := s.fate
	if fate != nil {
		t.remove(s, uint32(id))
	}
	return fate
}

// expired removes the calls whose deadline is not after now, and appends them
// to ended. Those lent out will end with fate.
func (t *callTable) expired(now time.Duration, fate error, ended []call) []call {
	if int64(now) < t.next.Load() {
		return ended
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	next := int64(math.MaxInt64)
	for i := range t.mu.slots {
		s := &t.mu.slots[i]
		switch {
		case !s.used || s.fate != nil:
		case s.deadline > now:
			next = min(next, int64(s.deadline))
		case s.lent:
			s.fate = fate
		default:
			ended = append(ended, t.remove(s, uint32(i)))
		}
	}
	t.next.Store(next)
	return ended
}

// refuse removes all calls and returns them, and answers later ones with err,
// probes included if gone is set. Calls lent out will end with fate.
func (t *callTable) refuse(err *kv.Error, gone bool, fate error) []call {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.refusal, t.mu.gone = err, t.mu.gone || gone
	t.mu.final = t.mu.final || gone
	var ended []call
	for i := range t.mu.slots {
		s := &t.mu.slots[i]
		switch {
		case !s.used || s.fate != nil:
		case s.lent:
			s.fate = fate
		default:
			ended = append(ended, t.remove(s, uint32(i)))
		}
	}
	return ended
}

// close answers calls but probes with err from now on, whatever resume is told.
// Those in the table stay.
func (t *callTable) close(err *kv.Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.mu.gone {
		t.mu.refusal, t.mu.final = err, true
	}
}

// resume takes calls again, unless that is over for good.
func (t *callTable) resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.mu.final {
		t.mu.refusal = nil
	}
}

// pending returns how many calls wait.
func (t *callTable) pending() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.mu.slots) - len(t.mu.free)
}
