package transport

import (
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Memory is a network in memory, for tests: hosts by name, and between any two
// of them, for each direction, a delay and whether bytes pass. What is sent
// over a cut link is not lost but arrives when the link heals, as with TCP. It
// draws at random only from a source per link, so that a seed repeats a run.
//
// It works inside testing/synctest: make it inside the bubble. Safe for
// concurrent use.
type Memory struct {
	seed uint64
	mu   struct {
		sync.Mutex
		links     map[[2]string]*link
		listeners map[string]*memoryListener
		conns     map[*memoryConn]struct{}
		healed    chan struct{} // closed, and replaced, when a link heals
	}
}

// NewMemory returns a network without delays or cuts. Equal seeds draw equal
// jitter.
func NewMemory(seed uint64) *Memory {
	m := &Memory{seed: seed}
	m.mu.links = make(map[[2]string]*link)
	m.mu.listeners = make(map[string]*memoryListener)
	m.mu.conns = make(map[*memoryConn]struct{})
	m.mu.healed = make(chan struct{})
	return m
}

// Host returns the network as the host of that name sees it. An address is a
// host's name, or name:port; to listen on an address of another host is an
// error.
func (m *Memory) Host(name string) Network { return memoryHost{net: m, name: name} }

// Delay has each byte sent from one host to another take d, and up to jitter
// more. Bytes of one connection never overtake each other.
func (m *Memory) Delay(from, to string, d, jitter time.Duration) {
	l := m.link(from, to)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.delay, l.mu.jitter = d, jitter
}

// Cut stops what is sent from one host to another, also what is under way.
// Connections stand; none can be made in either direction.
func (m *Memory) Cut(from, to string) { m.link(from, to).cut.Store(true) }

// CutBoth is Cut in both directions.
func (m *Memory) CutBoth(a, b string) {
	m.Cut(a, b)
	m.Cut(b, a)
}

// Heal undoes Cut, in both directions.
func (m *Memory) Heal(a, b string) {
	m.link(a, b).cut.Store(false)
	m.link(b, a).cut.Store(false)
	m.mu.Lock()
	close(m.mu.healed)
	m.mu.healed = make(chan struct{})
	m.mu.Unlock()
	for _, c := range m.between(a, b) {
		c.in.poke()
	}
}

// Drop resets all connections between two hosts. Both ends learn of it at once,
// and what was under way is lost.
func (m *Memory) Drop(a, b string) {
	for _, c := range m.between(a, b) {
		c.reset()
	}
}

// Kill resets all connections of a host and closes its listeners, as the
// operating system does for a process that dies. The host may listen again.
func (m *Memory) Kill(host string) {
	m.mu.Lock()
	var ends []*memoryConn
	for c := range m.mu.conns {
		if c.local.host() == host || c.remote.host() == host {
			ends = append(ends, c)
		}
	}
	var listeners []*memoryListener
	for _, l := range m.mu.listeners {
		if l.addr.host() == host {
			listeners = append(listeners, l)
		}
	}
	m.mu.Unlock()
	for _, l := range listeners {
		_ = l.Close()
	}
	for _, c := range ends {
		c.reset()
	}
}

// between returns both ends of all connections between two hosts.
func (m *Memory) between(a, b string) []*memoryConn {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ends []*memoryConn
	for c := range m.mu.conns {
		l, r := c.local.host(), c.remote.host()
		if l == a && r == b || l == b && r == a {
			ends = append(ends, c)
		}
	}
	return ends
}

func (m *Memory) link(from, to string) *link {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := [2]string{from, to}
	l := m.mu.links[key]
	if l == nil {
		l = &link{}
		h := fnv.New64a()
		_, _ = h.Write([]byte(from + "\x00" + to))
		l.mu.rand = rand.New(rand.NewPCG(m.seed, h.Sum64()))
		m.mu.links[key] = l
	}
	return l
}

// link is one direction between two hosts.
type link struct {
	cut atomic.Bool
	mu  struct {
		sync.Mutex
		delay, jitter time.Duration
		rand          *rand.Rand
	}
}

// latency draws how long bytes sent now will take.
func (l *link) latency() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.mu.delay
	if l.mu.jitter > 0 {
		d += time.Duration(l.mu.rand.Int64N(int64(l.mu.jitter)))
	}
	return d
}
