package pebble

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringtaildb/ringtail/internal/beat"
)

const (
	// grantEvery is how often the scheduler looks whether more compactions are
	// allowed than before: Pebble does not always say.
	grantEvery = 250 * time.Millisecond
	// firstPause and longestPause bound the time without compactions after one
	// has failed: it doubles with each that fails, until none has for calm.
	firstPause   = time.Second
	longestPause = 30 * time.Second
	calm         = 10 * time.Minute
)

// scheduler lets Pebble run as many compactions at a time as Pebble allows
// itself, like Pebble's own, but none for a while after one has failed: Pebble
// would try a compaction that met damage again at once, for ever. It begins
// held: none runs before release.
//
// It is safe for concurrent use. Its mutex is taken after Pebble's, so it is
// free when Pebble's Schedule or GetWaitingCompaction is called.
type scheduler struct {
	db   pebble.DBForCompaction // set by Register, before all other calls
	poke chan struct{}          // has grantLoop look at once
	stop chan struct{}          // ends grantLoop
	loop sync.WaitGroup

	rests atomic.Int64 // calls of rest

	mu struct {
		sync.Mutex
		running int
		held    bool          // until release
		paused  bool          // after a failure
		pause   time.Duration // how long, the last time
		until   time.Time     // when the last pause ends
		closed  bool
	}
}

var (
	_ pebble.CompactionScheduler   = (*scheduler)(nil)
	_ pebble.CompactionGrantHandle = (*scheduler)(nil)
)

func newScheduler() *scheduler {
	s := &scheduler{poke: make(chan struct{}, 1), stop: make(chan struct{})}
	s.mu.held = true
	return s
}

// Register implements pebble.CompactionScheduler.
func (s *scheduler) Register(_ int, db pebble.DBForCompaction) {
	s.db = db
	s.loop.Go(s.grantLoop)
}

// Unregister implements pebble.CompactionScheduler. Pebble does not call it
// when it fails to open; a second call does nothing.
func (s *scheduler) Unregister() {
	s.mu.Lock()
	closed := s.mu.closed
	s.mu.closed = true
	s.mu.Unlock()
	if !closed {
		close(s.stop)
	}
	s.loop.Wait()
}

// TrySchedule implements pebble.CompactionScheduler.
func (s *scheduler) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	if !s.take() {
		return false, nil
	}
	return true, s
}

// UpdateGetAllowedWithoutPermission implements pebble.CompactionScheduler.
func (s *scheduler) UpdateGetAllowedWithoutPermission() { s.look() }

// Started implements pebble.CompactionGrantHandle.
func (s *scheduler) Started() {}

// MeasureCPU implements pebble.CompactionGrantHandle.
func (s *scheduler) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats implements pebble.CompactionGrantHandle.
func (s *scheduler) CumulativeStats(pebble.CompactionGrantHandleStats) {}

// Done implements pebble.CompactionGrantHandle.
func (s *scheduler) Done() {
	s.give()
	s.look()
}

// failed begins a pause, or makes it longer.
func (s *scheduler) failed(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.mu.until) > calm {
		s.mu.pause = 0
	}
	s.mu.pause = min(max(firstPause, 2*s.mu.pause), longestPause)
	s.mu.paused, s.mu.until = true, now.Add(s.mu.pause)
}

// rest waits for d, or until the database closes.
func (s *scheduler) rest(d time.Duration) {
	s.rests.Add(1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stop:
	}
}

// expire ends a pause whose time has come.
func (s *scheduler) expire(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.paused && !now.Before(s.mu.until) {
		s.mu.paused = false
	}
}

// release ends the hold of the beginning, and a pause whose reason is gone.
func (s *scheduler) release() {
	s.mu.Lock()
	s.mu.held, s.mu.paused, s.mu.pause = false, false, 0
	s.mu.Unlock()
	s.look()
}

// take counts one more compaction, if it may run.
func (s *scheduler) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed || s.mu.held || s.mu.paused || s.mu.running >= s.db.GetAllowedWithoutPermission() {
		return false
	}
	s.mu.running++
	return true
}

func (s *scheduler) give() {
	s.mu.Lock()
	s.mu.running--
	s.mu.Unlock()
}

func (s *scheduler) look() {
	select {
	case s.poke <- struct{}{}:
	default:
	}
}

// grantLoop offers Pebble the compactions that it may run.
func (s *scheduler) grantLoop() {
	timer := time.NewTimer(grantEvery)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.poke:
		case now := <-timer.C:
			s.expire(now)
			timer.Reset(beat.Pause(now, grantEvery))
		}
		s.grant()
	}
}

// grant starts the compactions that wait and may run.
func (s *scheduler) grant() {
	for s.take() {
		waiting, _ := s.db.GetWaitingCompaction()
		if !waiting || !s.db.Schedule(s) {
			s.give()
			return
		}
	}
}
