package bench

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// Workload names a mix of operations; a, b, c, d and f are those of YCSB.
type Workload string

const (
	// WorkloadA is 50 % reads and 50 % updates.
	WorkloadA Workload = "a"
	// WorkloadB is 95 % reads and 5 % updates.
	WorkloadB Workload = "b"
	// WorkloadC is reads alone.
	WorkloadC Workload = "c"
	// WorkloadD is 95 % reads and 5 % inserts of new keys; YCSB has it with the
	// distribution Latest.
	WorkloadD Workload = "d"
	// WorkloadF is 50 % reads and 50 % reads that are followed by an update with
	// what they saw.
	WorkloadF Workload = "f"
	// WorkloadW is updates alone.
	WorkloadW Workload = "w"
)

// mix is how many of a hundred operations begin as each kind.
type mix [numKinds]int

var mixes = map[Workload]mix{
	WorkloadA: {read: 50, update: 50},
	WorkloadB: {read: 95, update: 5},
	WorkloadC: {read: 100},
	WorkloadD: {read: 95, insert: 5},
	WorkloadF: {read: 50, modify: 50},
	WorkloadW: {update: 100},
}

// draw returns a kind.
func (m *mix) draw(r *rand.Rand) kind {
	n := r.IntN(100)
	for k, share := range m {
		if n -= share; n < 0 {
			return kind(k)
		}
	}
	return read
}

// Distribution says how often each key is drawn.
type Distribution string

const (
	// Uniform draws each key equally often.
	Uniform Distribution = "uniform"
	// Zipfian draws the i-th of the keys, in an order that has nothing to do
	// with their names, in proportion to 1/i^0.99, as YCSB does: of 100,000 keys
	// the first gets 8 % of the operations.
	Zipfian Distribution = "zipfian"
	// Latest draws the i-th newest key in proportion to 1/i^0.99.
	Latest Distribution = "latest"
	// Hotspot draws one of Config.HotKeys keys for a share of Config.HotShare of
	// the operations, and any key for the others.
	Hotspot Distribution = "hotspot"
)

// chooser returns what draws keys, nil for a distribution that is none.
func (c Config) chooser(g *growth) chooser {
	switch c.Distribution {
	case Uniform:
		return uniform(c.Keys)
	case Zipfian:
		return newScrambled(newZipf(c.Keys), c.Keys)
	case Latest:
		return latest{newZipf(c.Keys), g}
	case Hotspot:
		return hotspot{newScrambled(nil, c.Keys), c.HotKeys, c.HotShare}
	}
	return nil
}

// latest draws the newest keys most often: of as many as there were at first.
type latest struct {
	ages *zipf
	keys *growth
}

func (l latest) draw(r *rand.Rand) int { return int(l.keys.known.Load()) - 1 - l.ages.draw(r) }

// hotspot draws a share of its draws from a few keys, which are no neighbours.
type hotspot struct {
	keys  scrambled
	hot   int
	share float64
}

func (h hotspot) draw(r *rand.Rand) int {
	if r.Float64() < h.share {
		return h.keys.key(r.IntN(h.hot))
	}
	return r.IntN(h.keys.n)
}

// growth numbers the keys that are inserted while the load runs. All below known
// have been put, or were tried. Safe for concurrent use.
type growth struct {
	known atomic.Int64
	mu    struct {
		sync.Mutex
		next int64
		// done holds those of known and above that were tried.
		done map[int64]bool
	}
}

func newGrowth(keys int) *growth {
	g := &growth{}
	g.known.Store(int64(keys))
	g.mu.next, g.mu.done = int64(keys), map[int64]bool{}
	return g
}

// begin returns the number of a new key, math.MaxInt32 at most: then the last one
// is put again.
func (g *growth) begin() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.mu.next
	g.mu.next = min(n+1, math.MaxInt32)
	return int(n)
}

// end notes that the key was put, or tried.
func (g *growth) end(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.known.Load()
	if int64(n) < known {
		return
	}
	g.mu.done[int64(n)] = true
	for ; g.mu.done[known]; known++ {
		delete(g.mu.done, known)
	}
	g.known.Store(known)
}
