package sim

import (
	"math/rand/v2"
	"time"
)

// LinkFaults are what every link between two machines does to messages. The
// shares are of one message in a million.
type LinkFaults struct {
	// Delay is the least time that a message takes, Jitter what may come on
	// top.
	Delay, Jitter time.Duration
	// Loss drops a message, Double delivers it twice, Reorder lets others
	// overtake it, Late delivers it after up to LateBy.
	Loss, Double, Reorder, Late int
	LateBy                      time.Duration
}

const million = 1_000_000

// link is one direction between two machines.
type link struct {
	rng *rand.Rand
	cut bool
	// busy is when the last message that keeps its place arrives.
	busy time.Duration
	// holding keeps messages in held, until somebody lets them go on (hold.go).
	holding holding
	held    []func()
}

// send carries a message from one machine to another; deliver is called when it
// arrives, never if it is lost, twice if it is doubled.
func (w *World) send(from, to *machine, m message, twice bool, deliver func()) {
	l, f := w.links[from.index][to.index], &w.Links
	w.count.Messages++
	if l.cut || chance(l.rng, f.Loss) {
		w.count.Lost++
		w.note(noteLost, uint64(from.index), uint64(to.index))
		return
	}
	at := w.now + f.Delay + upTo(l.rng, f.Jitter)
	switch {
	case chance(l.rng, f.Late):
		at += upTo(l.rng, f.LateBy)
	case chance(l.rng, f.Reorder):
		at += upTo(l.rng, 10*(f.Delay+f.Jitter))
	default:
		at = max(at, l.busy)
		l.busy = at
	}
	if l.holding.back(m) {
		cause := w.cause
		l.held = append(l.held, func() {
			w.cause = cause
			deliver()
		})
		return
	}
	arrive := func() {
		// What is on the way when a link is cut is lost.
		if !l.cut {
			deliver()
		}
	}
	w.after(at-w.now, arrive)
	if twice && chance(l.rng, f.Double) {
		w.after(at-w.now+upTo(l.rng, 100*(f.Delay+f.Jitter)), arrive)
	}
}

func chance(rng *rand.Rand, share int) bool { return share > 0 && rng.IntN(million) < share }

func upTo(rng *rand.Rand, d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(rng.Int64N(int64(d)))
}

func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + upTo(rng, most-least)
}

// cut cuts or heals one direction.
func (w *World) cut(from, to *machine, cut bool) { w.links[from.index][to.index].cut = cut }

// open tells whether messages get from one machine to the other.
func (w *World) open(from, to *machine) bool { return !w.links[from.index][to.index].cut }
