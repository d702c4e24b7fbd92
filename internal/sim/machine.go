package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// machine is a place in the cluster: what survives the end of a process, and
// what can happen to it.
type machine struct {
	world *World
	index int
	rng   *rand.Rand
	disk  *disk
	// backup is an old copy of the disk, if one was taken.
	backup *disk
	// node is the process that runs, nil for none.
	node *node
	// offset is how far the clock is ahead.
	offset time.Duration
	// idle tells that the machine is out of the cluster, and without a process.
	idle bool
}

func (m *machine) String() string { return fmt.Sprintf("n%d", m.index+1) }

// id is that of the node whose disk the machine has.
func (m *machine) id() kv.NodeID { return m.disk.files.id }

// Now is what the machine's clock shows.
func (m *machine) Now() time.Time { return epoch.Add(m.world.now + m.offset) }

// start starts a process on the machine's disk, unless one runs. One that the
// disk does not let start is started again.
func (m *machine) start() {
	if m.node != nil || m.idle {
		return
	}
	w := m.world
	w.fault("%v is started", m)
	n, err := newNode(m)
	if err != nil {
		w.say(nil, "%v does not start: %v", m, err)
		w.after(time.Second, m.start)
		return
	}
	m.node = n
	w.review()
}

// crash ends the process, and with it what was not synced but for the first
// keep changes.
func (m *machine) crash(keep int) {
	if m.node == nil {
		return
	}
	w := m.world
	w.fault("%v crashes, and keeps %d of %d changes", m, keep, len(m.disk.log))
	m.halt()
	w.crashes++
	w.crashed(m, w.unsynced(m), func() { m.disk.crash(keep) })
}

// halt ends the process; its disk is left as it is.
func (m *machine) halt() {
	n := m.node
	n.dead = true
	n.engine.abandon()
	m.node = nil
	for _, c := range m.world.clients {
		c.lost(n)
	}
	m.world.review()
}

// pause stops the process: what comes for it waits until it goes on.
func (m *machine) pause() func() {
	n := m.node
	m.world.fault("%v is paused", m)
	n.paused = true
	m.world.review()
	return func() {
		if m.node == n && n.paused {
			m.world.fault("%v goes on", m)
			n.resume()
			m.world.review()
		}
	}
}

// jump sets the clock ahead.
func (m *machine) jump(by time.Duration) func() {
	m.offset = by
	m.world.fault("the clock of %v jumps by %v", m, by)
	return func() {
		m.offset = 0
		m.world.fault("the clock of %v is right again", m)
	}
}

// fill leaves no room on the disk.
func (m *machine) fill() func() {
	d := m.disk
	d.full = true
	m.world.fault("the disk of %v is full", m)
	return func() {
		d.full = false
		m.world.fault("the disk of %v has room", m)
	}
}

// blind makes every read fail.
func (m *machine) blind() func() {
	d := m.disk
	d.failReads = true
	m.world.fault("the disk of %v cannot be read", m)
	return func() {
		d.failReads = false
		m.world.fault("the disk of %v can be read", m)
	}
}

// failSync makes the next fsync fail, which ends the process.
func (m *machine) failSync() {
	m.disk.failSync = true
	m.world.fault("the next fsync of %v will fail", m)
}

// wipe loses the disk: a new node with an empty one is to replace the old.
func (m *machine) wipe() { m.replace(m.world.newDisk(m.rng), "an empty one") }

func (m *machine) backUp() {
	m.backup = m.disk.copied()
	m.world.watchTwin(m.backup)
	m.world.fault("the disk of %v is copied", m)
}

// restore puts the old copy into the place of the disk. By the rules the result
// is a new node, whose data is that of the copy.
func (m *machine) restore() {
	if m.backup != nil {
		d := m.backup.copied()
		m.world.watchTwin(d)
		m.replace(d, "the old copy")
	}
}

// replace puts another disk into the machine, which thereby is a new node. It is to
// replace the old one, which is dead for good.
func (m *machine) replace(d *disk, what string) {
	w := m.world
	if m.node != nil {
		m.halt()
	}
	w.crashes++
	old, id, state := m.id(), w.newID(), m.disk.files.state
	w.fault("the disk of %v is replaced by %s; it is node %v now", m, what, id)
	w.lost(m, func() {
		m.disk = d
		if w.broken.KeepIDs {
			d.files.id, d.files.state = old, state
			return
		}
		w.ids[id] = m
		d.files = files{id: id}
	})
	if !w.broken.KeepIDs {
		w.dead = append(w.dead, dead{old, m})
		w.want(succession(old, m))
	}
}

// ruin loses the engine's files: what is left of the directory is started
// again, and says of itself that it is damaged.
func (m *machine) ruin() {
	w := m.world
	if m.node != nil {
		m.halt()
	}
	w.crashes++
	w.fault("the engine of %v cannot be opened and is set aside", m)
	d := w.newDisk(m.rng)
	d.files = m.disk.files
	d.files.ruined = true
	w.lost(m, func() { m.disk = d })
}

// damage spoils the stored bytes of a run of leaves, somewhere in the data.
func (m *machine) damage(rng *rand.Rand) {
	data := keyRange{from: string([]byte{byte(storage.SpaceData)}), to: string([]byte{byte(storage.SpaceData) + 1})}
	keys := m.disk.synced.within(data)
	if len(keys) == 0 {
		return
	}
	w := m.world
	key := keys[rng.IntN(len(keys))]
	r := leavesAround(key, 1<<rng.IntN(11))
	w.fault("a part of the disk of %v is damaged, around %x", m, key)
	w.lost(m, func() { m.disk.spoil(r) })
}

// leavesAround returns the range of a run of whole leaves, the key's among
// them, of one partition.
func leavesAround(key string, run int) keyRange {
	const shift = 32 - 10 // a position's top ten bits are its leaf
	prefix := key[:storage.PrefixLen]
	p := key[storage.PrefixLen:]
	leaf := (int(p[0])<<8 | int(p[1])) >> (shift - 16)
	first := leaf / run * run
	bound := func(leaf int) string {
		if leaf == merkle.Leaves {
			next, _ := storage.PrefixOf([]byte(key)).Next()
			return string(next[:])
		}
		at := uint32(leaf) << shift
		return prefix + string([]byte{byte(at >> 24), byte(at >> 16), byte(at >> 8), byte(at)})
	}
	return keyRange{from: bound(first), to: bound(first + run)}
}
