package object

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// builder appends an object to a buffer: header, then setClock, then horizon,
// then siblings in the order of their dots.
type builder struct {
	b      []byte
	at     int
	flags  byte
	n      int
	clockN int
	sibsAt int
	clock  [2]int
}

func begin(dst []byte) builder {
	at := len(dst)
	var room [headerSize]byte
	return builder{b: append(dst, room[:]...), at: at}
}

// endClock tells that what was appended to b since begin is the clock.
func (w *builder) endClock() {
	w.clock = [2]int{w.at + headerSize, len(w.b)}
	w.clockN = (w.clock[1] - w.clock[0]) / vclock.EntrySize
	w.sibsAt = len(w.b)
}

func (w *builder) horizon(tag []byte) {
	w.b = append(w.b, tag...)
	w.flags |= flagHorizon
	w.sibsAt = len(w.b)
}

func (w *builder) raw(sibling []byte) {
	w.b = append(w.b, sibling...)
	w.n++
}

func (w *builder) sibling(s Sibling) {
	w.b = appendSibling(w.b, s)
	w.n++
}

// end writes the header and returns the object, whose bytes are the tail of the
// buffer, and the buffer.
func (w *builder) end() (Object, []byte) {
	h := w.b[w.at:]
	h[0], h[1] = Version, w.flags
	binary.BigEndian.PutUint16(h[2:], uint16(w.clockN))
	binary.BigEndian.PutUint16(h[4:], uint16(w.n))
	o := Object{raw: h, clock: vclock.Clock(w.b[w.clock[0]:w.clock[1]]), sibs: w.b[w.sibsAt:], n: w.n}
	if w.flags&flagHorizon != 0 {
		o.horizon = w.b[w.clock[1]:w.sibsAt]
	}
	return o, w.b
}

// limits that the header's two-byte counts set; a put is refused long before.
const maxCount = 1<<16 - 1

func tooMany(n int) error {
	return kv.Errorf(kv.KindTooManySiblings, "merge objects", "%d siblings or clock entries, the format holds %d", n, maxCount)
}
