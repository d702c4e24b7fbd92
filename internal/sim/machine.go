package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// machine is a place in the cluster: what survives the end of a process.
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
}

func (m *machine) String() string { return fmt.Sprintf("n%d", m.index+1) }

// Now is what the machine's clock shows.
func (m *machine) Now() time.Time { return epoch.Add(m.world.now + m.offset) }

// start starts a process on the machine's disk.
func (m *machine) start() {
	if m.node != nil {
		return
	}
	m.node = newNode(m)
	m.world.review()
}

// crash ends the process, and with it what was not synced but for the first
// keep changes.
func (m *machine) crash(keep int) {
	n := m.node
	if n == nil {
		return
	}
	m.halt()
	m.world.crashes++
	m.world.lostUnsynced(m, func() { m.disk.crash(keep) })
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

// pause stops the process: what comes for it waits.
func (m *machine) pause() {
	m.node.paused = true
	m.world.review()
}

// resume lets a stopped process go on.
func (m *machine) resume() {
	n := m.node
	n.paused = false
	held := n.held
	n.held = nil
	for i, h := range held {
		if n.dead {
			return
		}
		if n.paused {
			n.held = append(n.held, held[i:]...)
			return
		}
		m.world.cause = h.cause
		h.run()
	}
	m.world.cause = nil
	m.world.review()
}

// rename makes the machine's disk that of a new node, which takes the place of
// the old one in a new epoch of the ring.
func (m *machine) rename(d *disk) {
	w := m.world
	old := m.disk.files.id
	id := w.newID()
	w.ids[id] = m
	m.disk = d
	m.disk.files = files{id: id}
	w.say(nil, "%v is a new node, %v", m, id)
	w.replaced(old, id)
	m.disk.files.ring = w.ring()
}

// id is that of the node whose disk the machine has.
func (m *machine) id() kv.NodeID { return m.disk.files.id }
