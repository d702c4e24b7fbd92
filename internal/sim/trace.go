package sim

import (
	"fmt"
	"io"
	"strings"
)

// Trace says what somebody wants to read of a run. Its zero value is nothing.
type Trace struct {
	// Out takes the words, if it is set.
	Out io.Writer
	// Key, if set, leaves out what is about other keys.
	Key string
	// Write, if positive, is the number of a write of that key: it is told when
	// a machine comes to hold it, or to hold it no more.
	Write int
}

// trace is what happened in a run: always as a hash, and in words if anybody
// reads them.
type trace struct {
	Trace
	hash uint64
	// held is where the watched write was when it was last looked for.
	held string
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
	if t.Out == nil || k != nil && t.Key != "" && t.Key != k.String() {
		return
	}
	fmt.Fprintf(t.Out, "%12v  %s\n", w.now, fmt.Sprintf(format, args...))
}

// arrived writes a line about a message that came for the present request.
func (w *World) arrived(from, to *node, what string) {
	if w.trace.Out != nil && w.cause != nil {
		w.say(w.cause.key, "  %v → %v %s for %s.%d", from.machine, to.machine, what, w.cause.client.name, w.cause.number)
	}
}

// watch writes a line if it has changed where the watched write is.
func (w *World) watch() {
	t := &w.trace
	if t.Out == nil || t.Write <= 0 {
		return
	}
	for _, k := range w.keys {
		if k.String() != t.Key || t.Write >= len(k.writes) {
			continue
		}
		if held := w.whereabouts(k.writes[t.Write]); held != t.held {
			t.held = held
			w.say(k, "  w%d is at%s", t.Write, held)
		}
	}
}

// whereabouts lists the machines that hold x or what superseded it: as data or
// as a hint, in brackets while it is not durable.
func (w *World) whereabouts(x *Write) string {
	var b strings.Builder
	for _, m := range w.machines {
		for _, r := range m.copy(x.key) {
			kind := "data"
			if r.owner() != 0 {
				kind = "hint"
			}
			switch {
			case r.keeps(x):
				fmt.Fprintf(&b, " %v:%s", m, kind)
			case r.holds(x):
				fmt.Fprintf(&b, " (%v:%s)", m, kind)
			}
		}
	}
	if b.Len() == 0 {
		return " no machine"
	}
	return b.String()
}
