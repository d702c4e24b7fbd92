package pebble

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// fakeDB has compactions that wait, and allows a number of them at a time.
type fakeDB struct{ allowed, waiting, started int }

func (f *fakeDB) GetAllowedWithoutPermission() int { return f.allowed }

func (f *fakeDB) GetWaitingCompaction() (bool, pebble.WaitingCompaction) {
	return f.waiting > 0, pebble.WaitingCompaction{}
}

func (f *fakeDB) Schedule(pebble.CompactionGrantHandle) bool {
	f.waiting--
	f.started++
	return true
}

func TestSchedulerAllows(t *testing.T) {
	db := &fakeDB{allowed: 2, waiting: 5}
	s := newScheduler()
	s.db = db
	if ok, _ := s.TrySchedule(); ok {
		t.Error("a compaction runs before release")
	}
	s.release()
	if ok, _ := s.TrySchedule(); !ok {
		t.Error("none runs after release")
	}
	s.grant()
	if db.started != 1 {
		t.Errorf("%d were granted beside the one that runs, want 1", db.started)
	}
	if ok, _ := s.TrySchedule(); ok {
		t.Error("three run, two are allowed")
	}
	s.Done()
	s.grant()
	if db.started != 2 {
		t.Errorf("%d were granted after one was done, want 2", db.started)
	}
	db.allowed, db.waiting = 10, 1
	s.grant()
	if ok, _ := s.TrySchedule(); !ok || db.started != 3 {
		t.Error("a grant that nobody waited for is not given back")
	}
}

func TestSchedulerPauses(t *testing.T) {
	s := newScheduler()
	s.db = &fakeDB{allowed: 1}
	s.release()
	may := func() bool {
		ok, _ := s.TrySchedule()
		if ok {
			s.give()
		}
		return ok
	}
	now := time.Unix(0, 0)
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		want *= time.Second
		s.failed(now)
		s.expire(now.Add(want - 1))
		if may() {
			t.Errorf("failure %d: a compaction runs before %v have passed", i+1, want)
		}
		now = now.Add(want)
		s.expire(now)
		if !may() {
			t.Errorf("failure %d: none runs after %v", i+1, want)
		}
	}
	now = now.Add(calm + 1)
	s.failed(now)
	now = now.Add(firstPause)
	s.expire(now)
	if !may() {
		t.Error("after a calm time the pause is not short again")
	}
	s.failed(now)
	s.release()
	if !may() {
		t.Error("release does not end a pause")
	}
}

// TestSchedulerStops shows that it can be stopped whether Pebble came to know it
// or not, twice, and ends a rest.
func TestSchedulerStops(t *testing.T) {
	s := newScheduler()
	s.Unregister()
	s.rest(time.Hour)

	s = newScheduler()
	s.Register(2, &fakeDB{allowed: 1})
	s.release()
	s.Unregister()
	s.Unregister()
	if ok, _ := s.TrySchedule(); ok {
		t.Error("a compaction runs after the end")
	}
}
