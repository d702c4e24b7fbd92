package node

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/antientropy"
)

// TestCourseCountsOverChanges: what fills took is counted on from one change to
// the next, although the keeper begins anew with each.
func TestCourseCountsOverChanges(t *testing.T) {
	var c course
	now := noonUTC
	look := func(epoch uint64, s antientropy.StepsStatus) courseView {
		now = now.Add(time.Second)
		c.look(now, epoch, s)
		return c.view()
	}
	status := func(epoch, received, sent uint64, over int) antientropy.StepsStatus {
		return antientropy.StepsStatus{Epoch: epoch, Received: received, Sent: sent, Objects: received - received%50, Phases: [4]int{3: over}}
	}
	began := look(5, antientropy.StepsStatus{})
	if began.epoch != 5 || began.since != now || began.moved != now {
		t.Errorf("at its begin: %+v", began)
	}
	look(5, status(5, 100, 10, 0))
	v := look(5, status(5, 150, 10, 0))
	if v.moved != now || v.since != began.since {
		t.Errorf("half-way: %+v", v)
	}
	moved := now
	if v = look(5, status(5, 150, 10, 0)); v.moved != moved {
		t.Errorf("moved at %v, when nothing did", v.moved)
	}
	if v = look(5, status(5, 170, 25, 0)); v.moved != moved {
		t.Errorf("moved at %v, when a node was only asked in vain", v.moved)
	}
	if v = look(5, status(5, 150, 10, 1)); v.moved != now {
		t.Error("a step that is over is no move")
	}
	if v = look(0, antientropy.StepsStatus{}); v.epoch != 0 {
		t.Errorf("after it: %+v", v)
	}
	// The keeper may tell of the change before for a moment.
	look(6, status(5, 150, 10, 1))
	if v = look(6, status(6, 30, 0, 0)); v.epoch != 6 {
		t.Errorf("in the next one: %+v", v)
	}
}
