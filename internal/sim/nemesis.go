package sim

import (
	"math/rand/v2"
	"time"
)

// nemesis brings the scenario's faults about, and remembers how to undo those
// that last.
type nemesis struct {
	world *World
	undo  map[int]func()
	next  int
	over  bool
}

func (n *nemesis) start() {
	for i := range operators {
		rng := n.world.random("operator %d", i)
		n.world.every(operateEvery, rng, func() bool {
			n.world.operate(rng)
			return true
		})
	}
	for i, f := range n.world.Faults {
		n.repeat(f, n.world.random("fault %s %d", f.Kind, i))
	}
	for _, s := range n.world.Steps {
		n.world.after(s.At, func() {
			if err := verbs[s.Verb](n.world, s); err != nil {
				n.world.violate("scenario", nil, "step %s at %v: %v", s.Verb, s.At, err)
			}
		})
	}
}

// repeat does f again and again, with pauses around f.Every.
func (n *nemesis) repeat(f Fault, rng *rand.Rand) {
	pause := time.Duration((0.2 + rng.ExpFloat64()*0.8) * float64(f.Every))
	n.world.after(pause, func() {
		if n.over {
			return
		}
		if undo := faults[f.Kind](n.world, rng); undo != nil {
			n.last(undo, between(rng, f.For[0], f.For[1]))
		}
		n.repeat(f, rng)
	})
}

// last undoes something when d has passed, or when all faults end.
func (n *nemesis) last(undo func(), d time.Duration) {
	n.next++
	id := n.next
	n.undo[id] = undo
	n.world.after(d, func() { n.end(id) })
}

func (n *nemesis) end(id int) {
	if undo, ok := n.undo[id]; ok {
		delete(n.undo, id)
		undo()
	}
}

// heal ends all faults, in the order in which they came.
func (n *nemesis) heal() {
	n.over = true
	for id := range n.next {
		n.end(id + 1)
	}
	w := n.world
	for _, from := range w.machines {
		from.offset = 0
		from.disk.full, from.disk.failReads, from.disk.failSync = false, false, false
		for _, to := range w.machines {
			w.cut(from, to, false)
			w.links[from.index][to.index].release(w)
		}
	}
	for _, m := range w.machines {
		if m.node != nil && m.node.paused {
			m.node.resume()
		}
		m.start()
	}
	w.fault("all faults are over")
	w.review()
}
