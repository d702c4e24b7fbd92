package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// faults are those that a scenario can name. Each does something bad to the
// world and returns how to make it good again: nil when nothing was done, or
// when there is nothing to undo.
var faults = map[string]func(w *World, rng *rand.Rand) (undo func()){
	"crash": onRunning(func(m *machine, rng *rand.Rand) func() {
		m.crash(rng.IntN(len(m.disk.log) + 1))
		return m.start
	}),
	"pause":     onRunning(func(m *machine, _ *rand.Rand) func() { return m.pause() }),
	"fsyncfail": onRunning(func(m *machine, _ *rand.Rand) func() { m.failSync(); return nil }),
	"diskfull":  onAny(func(m *machine, _ *rand.Rand) func() { return m.fill() }),
	"readerror": onAny(func(m *machine, _ *rand.Rand) func() { return m.blind() }),
	"jump": onAny(func(m *machine, rng *rand.Rand) func() {
		return m.jump(jumps[rng.IntN(len(jumps))])
	}),
	"jolt": onAny(func(m *machine, rng *rand.Rand) func() {
		by := jumps[rng.IntN(len(jumps))]
		if slices.ContainsFunc(m.world.machines, func(o *machine) bool { return o.offset != 0 }) {
			return nil
		}
		return m.jump(by)
	}),
	"wipe": onAny(func(m *machine, _ *rand.Rand) func() {
		if !m.mayLose() {
			return nil
		}
		m.wipe()
		return m.start
	}),
	"backup": onAny(func(m *machine, _ *rand.Rand) func() { m.backUp(); return nil }),
	"restore": onAny(func(m *machine, _ *rand.Rand) func() {
		if !m.mayLose() {
			return nil
		}
		m.restore()
		return m.start
	}),
	"damage": onAny(func(m *machine, rng *rand.Rand) func() {
		if m.mayHurt() {
			m.damage(rng)
		}
		return nil
	}),
	"ruin": onAny(func(m *machine, _ *rand.Rand) func() {
		if !m.mayHurt() {
			return nil
		}
		m.ruin()
		return m.start
	}),
	"cut": cutLink,
	"hold": func(w *World, rng *rand.Rand) func() {
		from := w.machines[rng.IntN(len(w.machines))]
		to := w.machines[(from.index+1+rng.IntN(len(w.machines)-1))%len(w.machines)]
		l := w.links[from.index][to.index]
		w.fault("%v to %v is held", from, to)
		l.hold(nil)
		return func() {
			w.fault("%v to %v goes on", from, to)
			l.release(w)
		}
	},
	"partition": func(w *World, rng *rand.Rand) func() {
		side := make([]bool, len(w.machines))
		for i := range side {
			side[i] = rng.IntN(2) == 0
		}
		return w.sever(func(x, y *machine) bool { return side[x.index] != side[y.index] })
	},
	"isolate": func(w *World, rng *rand.Rand) func() {
		m := w.machines[rng.IntN(len(w.machines))]
		return w.sever(func(x, y *machine) bool { return (x == m) != (y == m) })
	},
	"strand": func(w *World, rng *rand.Rand) func() {
		k := w.keys[rng.IntN(len(w.keys))]
		owns := func(m *machine) bool { return w.ring().Owns(k.partition, m.id()) }
		return w.sever(func(x, y *machine) bool { return owns(x) != owns(y) })
	},
	"move": onRing(func(w *World, rng *rand.Rand) { w.reweigh(rng) }),
	"join": onRing(func(w *World, rng *rand.Rand) {
		if m := w.drawIdle(rng); m != nil {
			m.join()
		}
	}),
	"leave": onRing(func(w *World, rng *rand.Rand) {
		// Of two nodes, one of which dies, no majority is left to begin a change.
		if len(w.settled.Nodes()) > max(w.N, 3) {
			w.drawMember(rng).leave()
		}
	}),
	"replace": onRing(func(w *World, rng *rand.Rand) {
		if m := w.drawIdle(rng); m != nil {
			old := w.drawMember(rng)
			m.enter()
			w.asked("%v is to replace %v, as node %v", m, old, m.id())
			w.want(succession(old.id(), m))
		}
	}),
}

// onRing has people want a change of the ring, if they want none yet.
func onRing(do func(w *World, rng *rand.Rand)) func(*World, *rand.Rand) func() {
	return func(w *World, rng *rand.Rand) func() {
		if len(w.wishes) == 0 && w.underway == nil && len(w.dead) == 0 {
			do(w, rng)
		}
		return nil
	}
}

// drawIdle returns a machine that is out of the cluster, nil if none is.
func (w *World) drawIdle(rng *rand.Rand) *machine {
	at := rng.IntN(len(w.machines))
	for i := range w.machines {
		if m := w.machines[(at+i)%len(w.machines)]; m.idle {
			return m
		}
	}
	return nil
}

// drawMember returns a machine whose node is in the ring.
func (w *World) drawMember(rng *rand.Rand) *machine {
	nodes := w.settled.Nodes()
	return w.ids[nodes[rng.IntN(len(nodes))].ID]
}

// jumps are how far a clock may be off.
var jumps = []time.Duration{
	-time.Hour, -time.Minute, -2 * time.Second, 900 * time.Millisecond, 2 * time.Second, time.Minute, time.Hour,
}

func onAny(do func(*machine, *rand.Rand) func()) func(*World, *rand.Rand) func() {
	return func(w *World, rng *rand.Rand) func() {
		return do(w.machines[rng.IntN(len(w.machines))], rng)
	}
}

// onRunning does something to a machine with a process that runs.
func onRunning(do func(*machine, *rand.Rand) func()) func(*World, *rand.Rand) func() {
	return func(w *World, rng *rand.Rand) func() {
		at := rng.IntN(len(w.machines))
		for i := range w.machines {
			if m := w.machines[(at+i)%len(w.machines)]; m.node != nil && !m.node.paused {
				return do(m, rng)
			}
		}
		return nil
	}
}

// mayHurt tells whether the promises cover damage to m as well: no more than
// W-1 machines have any.
func (m *machine) mayHurt() bool {
	hurt := 1
	for _, o := range m.world.machines {
		if o != m && !o.idle && (o.node == nil || o.hurt()) {
			hurt++
		}
	}
	return hurt <= m.world.W-1
}

// mayLose tells whether the promises cover the loss of m's disk, and people can do
// something about it: with it no more than W-1 machines have lost anything, its node
// is in the ring, and is to stay, and nothing is wanted that may be about it.
func (m *machine) mayLose() bool {
	w, id, hurt := m.world, m.id(), 1
	for _, o := range w.machines {
		if o != m && !o.idle && o.hurt() {
			hurt++
		}
	}
	return hurt <= w.W-1 && !m.idle && w.settled.Contains(id) && w.latest.Contains(id) && len(w.wishes) == 0
}

// hurt tells whether some of what m had is lost and not filled again, as far as
// that is known without a process.
func (m *machine) hurt() bool {
	gone := slices.ContainsFunc(m.world.dead, func(d dead) bool { return d.m == m })
	return gone || len(m.disk.damage) > 0 || m.disk.files.ruined || m.node != nil && len(m.node.store.Damaged()) > 0
}

func (w *World) hurt() bool { return slices.ContainsFunc(w.machines, (*machine).hurt) }

// cutLink cuts one direction of a link, or both.
func cutLink(w *World, rng *rand.Rand) func() {
	a := rng.IntN(len(w.machines))
	b := (a + 1 + rng.IntN(len(w.machines)-1)) % len(w.machines)
	from, to, both := w.machines[a], w.machines[b], rng.IntN(2) == 0
	return w.sever(func(x, y *machine) bool { return x == from && y == to || both && x == to && y == from })
}

// sever cuts the directions that which names and that are not cut yet.
func (w *World) sever(which func(from, to *machine) bool) func() {
	var cut [][2]*machine
	for _, x := range w.machines {
		for _, y := range w.machines {
			if x != y && which(x, y) && w.open(x, y) {
				cut = append(cut, [2]*machine{x, y})
				w.cut(x, y, true)
			}
		}
	}
	w.fault("cut: %v", cut)
	w.review()
	return func() {
		for _, c := range cut {
			w.cut(c[0], c[1], false)
		}
		w.fault("healed: %v", cut)
		w.review()
	}
}
