package object

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/vclock"
)

// maxCount is what the header's two-byte counts hold; a put is refused long
// before.
const maxCount = 1<<16 - 1

// builder appends an object to b: the header, the clock, the horizon, the
// siblings in the order of their dots.
type builder struct {
	b     []byte
	flags byte
	// seen is the union of the siblings' flags.
	seen byte
	// at is where the object begins in b, clockEnd where its clock ends.
	at, clockEnd int
	siblings     int
}

func begin(dst []byte) builder {
	var room [headerSize]byte
	return builder{b: append(dst, room[:]...), at: len(dst)}
}

// endClock tells that what was appended to b since begin is the clock.
func (w *builder) endClock() { w.clockEnd = len(w.b) }

// entries returns the number of the clock's entries.
func (w *builder) entries() int { return (w.clockEnd - w.at - headerSize) / vclock.EntrySize }

// horizon appends the horizon that r asks for, if any.
func (w *builder) horizon(r register) {
	if r.fate == dead {
		w.b = appendTag(w.b, r.tag)
		w.flags |= flagHorizon
	}
}

func (w *builder) raw(sibling []byte) {
	w.b = append(w.b, sibling...)
	w.seen |= sibling[flagsAt]
	w.siblings++
}

func (w *builder) sibling(s *Sibling) {
	w.b = appendSibling(w.b, s)
	w.seen |= s.flags()
	w.siblings++
}

// end writes the header and returns the object, whose bytes are the tail of the
// buffer, and the buffer.
func (w *builder) end() (Object, []byte) {
	h := w.b[w.at:]
	h[0], h[1] = versionPlain, w.flags
	if w.seen&flagsExtended != 0 {
		h[0] = Version
	}
	binary.BigEndian.PutUint16(h[2:], uint16(w.entries()))
	binary.BigEndian.PutUint16(h[4:], uint16(w.siblings))
	o := Object{raw: h, clock: vclock.Clock(w.b[w.at+headerSize : w.clockEnd]), sibs: w.b[w.clockEnd:], n: w.siblings}
	if w.flags&flagHorizon != 0 {
		o.horizon, o.sibs = o.sibs[:tagSize], o.sibs[tagSize:]
	}
	return o, w.b
}
