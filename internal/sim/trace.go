package sim

import (
	"fmt"
	"io"
)

// trace is what happened in a run: always as a hash, and in words when somebody
// wants to read it.
type trace struct {
	hash uint64
	// out takes the words; with key set, only those about that key and those
	// about none.
	out io.Writer
	key string
}

// note takes an event into the hash.
func (t *trace) note(now uint64, kind byte, a, b uint64) {
	h := t.hash
	for _, v := range [...]uint64{now, uint64(kind), a, b} {
		h = (h ^ v) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	t.hash = h
}

// Kinds of events in the hash.
const (
	noteDelivered byte = iota
	noteLost
	noteFault
	noteConn
	noteBegun
	noteEnded
	noteMinted
	noteViolation
)

func (w *World) note(kind byte, a, b uint64) { w.trace.note(uint64(w.now), kind, a, b) }

// say writes a line about k, or about no key.
func (w *World) say(k *Key, format string, args ...any) {
	t := &w.trace
	if t.out == nil || k != nil && t.key != "" && t.key != k.String() {
		return
	}
	fmt.Fprintf(t.out, "%12v  %s\n", w.now, fmt.Sprintf(format, args...))
}

// arrived writes a line about a message that came for the present request.
func (w *World) arrived(from, to *node, what string) {
	if w.trace.out != nil && w.cause != nil {
		w.say(w.cause.key, "  %v → %v %s for %s.%d", from.machine, to.machine, what, w.cause.client.name, w.cause.number)
	}
}
