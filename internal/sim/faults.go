package sim

import (
	"math/rand/v2"
	"time"

	"github.com/ringtaildb/ringtail/internal/ring"
)

// faults are those that a scenario can name.
var faults map[string]faultFunc

func init() {
	faults = map[string]faultFunc{
		"crash":     crash,
		"pause":     pause,
		"cut":       cutOne,
		"partition": partition,
		"isolate":   isolate,
		"jump":      jump,
		"diskfull":  diskFull,
		"readerror": readError,
		"fsyncfail": fsyncFail,
		"wipe":      wipe,
		"backup":    backup,
		"restore":   restore,
		"move":      move,
	}
}

// crash ends a process with a part of what it had not synced, and starts it
// again later.
func crash(w *World, rng *rand.Rand) func() {
	m := w.running(rng)
	if m == nil {
		return nil
	}
	w.fault("%v crashes", m)
	m.crash(rng.IntN(len(m.disk.log) + 1))
	return func() {
		w.fault("%v is started", m)
		m.start()
	}
}

// pause stops a process; it goes on later as if no time had passed.
func pause(w *World, rng *rand.Rand) func() {
	m := w.running(rng)
	if m == nil {
		return nil
	}
	n := m.node
	w.fault("%v is paused", m)
	m.pause()
	return func() {
		if m.node == n {
			w.fault("%v goes on", m)
			m.resume()
		}
	}
}

// cutOne cuts one direction of a link, or both.
func cutOne(w *World, rng *rand.Rand) func() {
	a := rng.IntN(len(w.machines))
	b := (a + 1 + rng.IntN(len(w.machines)-1)) % len(w.machines)
	from, to, both := w.machines[a], w.machines[b], rng.IntN(2) == 0
	return w.sever("a link is cut", func(x, y *machine) bool {
		return x == from && y == to || both && x == to && y == from
	})
}

// partition cuts the machines into two groups.
func partition(w *World, rng *rand.Rand) func() {
	side := make([]bool, len(w.machines))
	for i := range side {
		side[i] = rng.IntN(2) == 0
	}
	return w.sever("a partition", func(x, y *machine) bool { return side[x.index] != side[y.index] })
}

// isolate cuts one machine off from all others.
func isolate(w *World, rng *rand.Rand) func() {
	m := w.machines[rng.IntN(len(w.machines))]
	return w.sever("a machine is cut off", func(x, y *machine) bool { return (x == m) != (y == m) })
}

// sever cuts the directions that which names and are not cut yet.
func (w *World) sever(what string, which func(from, to *machine) bool) func() {
	var cut [][2]*machine
	for _, x := range w.machines {
		for _, y := range w.machines {
			if x != y && which(x, y) && w.open(x, y) {
				cut = append(cut, [2]*machine{x, y})
				w.cut(x, y, true)
			}
		}
	}
	w.fault("%s: %v", what, cut)
	w.review()
	return func() {
		for _, c := range cut {
			w.cut(c[0], c[1], false)
		}
		w.fault("healed: %v", cut)
		w.review()
	}
}

// jump sets a machine's clock to another time, up to an hour off.
func jump(w *World, rng *rand.Rand) func() {
	m := w.machines[rng.IntN(len(w.machines))]
	by := []time.Duration{-time.Hour, -time.Minute, -2 * time.Second, 900 * time.Millisecond, 2 * time.Second, time.Minute, time.Hour}
	m.offset = by[rng.IntN(len(by))]
	w.fault("the clock of %v jumps by %v", m, m.offset)
	return func() {
		m.offset = 0
		w.fault("the clock of %v is right again", m)
	}
}

func diskFull(w *World, rng *rand.Rand) func() {
	m := w.machines[rng.IntN(len(w.machines))]
	d := m.disk
	d.full = true
	w.fault("the disk of %v is full", m)
	return func() {
		d.full = false
		w.fault("the disk of %v has room", m)
	}
}

func readError(w *World, rng *rand.Rand) func() {
	m := w.machines[rng.IntN(len(w.machines))]
	d := m.disk
	d.failReads = true
	w.fault("the disk of %v cannot be read", m)
	return func() {
		d.failReads = false
		w.fault("the disk of %v can be read", m)
	}
}

// fsyncFail fails the next fsync of a machine, which ends the process.
func fsyncFail(w *World, rng *rand.Rand) func() {
	m := w.running(rng)
	if m == nil {
		return nil
	}
	m.disk.failSync = true
	w.fault("the next fsync of %v will fail", m)
	return nil
}

// wipe loses a disk; a new, empty node takes the place of the old one.
func wipe(w *World, rng *rand.Rand) func() {
	m := w.machines[rng.IntN(len(w.machines))]
	w.fault("the disk of %v is lost", m)
	w.replace(m, newDisk(0, m.rng))
	return m.start
}

// backup copies a disk.
func backup(w *World, rng *rand.Rand) func() {
	m := w.machines[rng.IntN(len(w.machines))]
	m.backup = m.disk.copied()
	w.fault("the disk of %v is copied", m)
	return nil
}

// restore puts an old copy in the place of a disk; by the rules the result is a
// new node.
func restore(w *World, rng *rand.Rand) func() {
	m := w.machines[rng.IntN(len(w.machines))]
	if m.backup == nil {
		return nil
	}
	w.fault("the disk of %v is an old copy", m)
	w.replace(m, m.backup.copied())
	return m.start
}

// replace puts another disk into a machine.
func (w *World) replace(m *machine, d *disk) {
	if m.node != nil {
		m.halt()
		w.crashes++
	}
	w.lostDisk(m, func() { m.rename(d) })
}

// move makes a new epoch of the ring, in which the nodes' weights are others.
func move(w *World, rng *rand.Rand) func() {
	nodes := append([]ring.Node(nil), w.ring().Nodes()...)
	for i := range nodes {
		nodes[i].Weight = uint32(1 + rng.IntN(3))
	}
	w.claim(nodes)
	w.fault("epoch %d of the ring", w.ring().Epoch())
	if m := w.running(rng); m != nil {
		m.node.adopt(w.ring())
	}
	return nil
}
