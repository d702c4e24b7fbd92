package node

import (
	"runtime"
	"testing"
	"time"
)

// TestValve: of those that ask, the share is let in, evenly; it falls while a queue
// stands, not to nothing, and rises again.
func TestValve(t *testing.T) {
	v := newValve(time.Millisecond)
	let := func() (n int) {
		for range 1000 {
			if v.admit() {
				n++
			}
		}
		return n
	}
	if n := let(); n != 1000 {
		t.Errorf("an open valve lets %d of 1,000 in", n)
	}
	v.turn(true)
	if n := let(); n < 790 || n > 810 {
		t.Errorf("after one turn it lets %d of 1,000 in", n)
	}
	for range 100 {
		v.turn(true)
	}
	if n := let(); n < 240 || n > 260 {
		t.Errorf("shut it lets %d of 1,000 in", n)
	}
	for range 100 {
		v.turn(false)
	}
	if n := let(); n != 1000 {
		t.Errorf("opened again it lets %d of 1,000 in", n)
	}
}

// TestValveReads: the runtime tells how long goroutines wait, and what it tells is
// that of the time since it was last asked.
func TestValveReads(t *testing.T) {
	v, now := newValve(time.Hour), time.Unix(1_000_000, 0)
	v.look(now)
	counted := uint64(0)
	for _, n := range v.past {
		counted += n
	}
	for range 10_000 {
		runtime.Gosched()
		done := make(chan struct{})
		go close(done)
		<-done
	}
	v.look(now.Add(valveEvery))
	after := uint64(0)
	for _, n := range v.past {
		after += n
	}
	if after <= counted {
		t.Error("10,000 goroutines have waited for nothing that is told")
	}
	if !v.admit() {
		t.Error("none of them waited for an hour")
	}
	off := newValve(0)
	if off.look(now); off.past != nil {
		t.Error("a valve without a limit asks all the same")
	}
}
