// Package sim plays whole clusters of Ringtail's own code, in one goroutine and
// in virtual time: three to nine nodes, a network that loses, delays, doubles
// and reorders messages, disks that forget what was not synced, clocks that
// jump, clients that write down what they are told, and checkers that hold
// this against the promises of DESIGN section 1.
//
// What runs is production code: coordinator, quorum, replica, handoff,
// antientropy, ring and object, with every message encoded and parsed by wire.
// What is played are transport (network.go, conn.go), the storage engine
// (engine.go, disk.go) and the gossip of rings (gossip.go).
//
// A seed fixes a run completely. Each link, client, disk and fault draws from a
// random source of its own, so that a change in one leaves the others' draws
// alone. docs/simulation.md says how to run it and how to read a failure.
package sim

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// epoch is when virtual time begins.
var epoch = time.Unix(1_700_000_000, 0)

// World is one run: a cluster, its clients, its faults and its checkers. It
// belongs to one goroutine.
type World struct {
	*Scenario
	seed   uint64
	broken *Variant
	// twins are the real engines of all disks that there ever were.
	twins  []*twin
	now    time.Duration
	agenda agenda
	order  uint64
	cause  *Op
	trace  trace

	machines []*machine
	// names are those that steps gave to machines.
	names map[string]*machine
	links [][]*link
	decision
	wishes  []*wish
	dead    []dead
	ids     map[kv.NodeID]*machine
	idRand  *rand.Rand
	sealer  *object.Sealer
	keys    []*Key
	clients []*client
	// changed is when the faults last changed anything.
	changed time.Duration
	// crashes counts the processes that ended with what they had not synced.
	crashes    int
	loans      []loan
	violations []Violation
	count      Counts
}

// Counts tell what a run was made of.
type Counts struct {
	Events, Messages, Lost, Puts, Acked, Gets, Answered, Faults int
	// Hints are writes that stand-ins took, Repaired copies that gets repaired.
	// Floors are calls that raised floors.
	Hints, Repaired, Floors int
	// Hedges are gets for which one more owner was asked.
	Hedges int
	// Changes are those of the ring that were chosen.
	Changes int
	// Expiring are puts whose values were to expire, Mark is the highest expiry mark
	// of a floor.
	Expiring int
	Mark     kv.Expiry
	// Excused are acknowledged writes whose loss the promises allow.
	Excused int
}

// Violation is a promise that did not hold.
type Violation struct {
	// Promise is its name in DESIGN section 1, "P2".
	Promise string
	At      time.Duration
	Text    string
	// Key and Write are what it is about, where it is about one.
	Key   *Key
	Write *Write
}

func (v Violation) String() string { return fmt.Sprintf("%s at %v: %s", v.Promise, v.At, v.Text) }

// maxViolations bounds those of one run that are reported.
const maxViolations = 3

// random returns the random source of that name.
func (w *World) random(format string, args ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintf(h, format, args...)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

// after runs f when d has passed, on behalf of the request on whose behalf the
// present event happens.
func (w *World) after(d time.Duration, f func()) {
	w.order++
	w.agenda.add(event{at: w.now + max(d, 0), order: w.order, cause: w.cause, run: f})
}

// steady is a clock that does not jump.
func (w *World) steady() time.Time { return epoch.Add(w.now) }

// every runs f each d, from a moment within the first d on that the source
// draws, until f returns false.
func (w *World) every(d time.Duration, rng *rand.Rand, f func() bool) {
	var again func()
	again = func() {
		if f() {
			w.after(d, again)
		}
	}
	w.after(time.Duration(rng.Int64N(int64(d))), again)
}

// run lets d of virtual time pass, or less: until a promise is broken.
func (w *World) run(d time.Duration) {
	end := w.now + d
	for len(w.violations) == 0 && len(w.agenda) > 0 && w.agenda[0].at <= end {
		e := w.agenda.next()
		w.now, w.cause = e.at, e.cause
		w.count.Events++
		e.run()
		w.watch()
	}
	w.now, w.cause = max(w.now, end), nil
}

// violate notes that a promise is broken; the run ends.
func (w *World) violate(promise string, k *Key, format string, args ...any) {
	if len(w.violations) == maxViolations {
		return
	}
	v := Violation{Promise: promise, At: w.now, Text: fmt.Sprintf(format, args...), Key: k}
	for _, a := range args {
		if x, ok := a.(*Write); ok {
			v.Write = x
		}
	}
	w.note(noteViolation, uint64(len(v.Text)), 0)
	w.say(nil, "VIOLATION of %s: %s", promise, v.Text)
	w.violations = append(w.violations, v)
}

// fault notes that the faults changed something.
func (w *World) fault(format string, args ...any) {
	w.changed = w.now
	w.count.Faults++
	w.note(noteFault, uint64(w.count.Faults), 0)
	w.say(nil, format, args...)
}

// ring returns the newest ring: the one to which the last change leads, whether or
// not that is over.
func (w *World) ring() *ring.Ring { return w.latest }

// newID draws the id of a new node.
func (w *World) newID() kv.NodeID {
	for {
		if id := kv.NodeID(w.idRand.Uint64()); id != 0 && w.ids[id] == nil {
			return id
		}
	}
}
