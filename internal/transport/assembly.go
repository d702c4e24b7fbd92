package transport

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// assembly puts the chunks of one connection's large messages together again.
// It is used by the connection's reader alone.
//
// Invariants: held is the sum of the lengths of open, at most limit; each of
// open holds at least one chunk, so limit bounds their number too; capacities
// are at most twice the lengths.
type assembly struct {
	limit int
	held  int
	open  map[uint64][]byte
}

func newAssembly(limit int) *assembly { return &assembly{limit: limit} }

// add takes a frame. It returns a message and true once the message is whole:
// then it is the frame's payload, or, if that was the last of several, a buffer
// of its own. An error is of KindInvalid or KindTooLarge, and nothing that
// follows on the connection can be trusted.
func (a *assembly) add(h wire.Header, payload []byte) ([]byte, bool, error) {
	more := h.Flags&wire.FlagMore != 0
	if !more && len(a.open) == 0 {
		return payload, true, nil
	}
	b, opened := a.open[h.ID]
	if !more && !opened {
		return payload, true, nil
	}
	if more && len(payload) != wire.MaxChunk {
		return nil, false, kv.Errorf(kv.KindInvalid, "read message", "a continued frame has %d bytes, not %d", len(payload), wire.MaxChunk)
	}
	if n := len(b) + len(payload); n > kv.MaxMessage {
		return nil, false, kv.Errorf(kv.KindTooLarge, "read message", "%d bytes and more, the limit is %d", n, kv.MaxMessage)
	}
	if n := a.held + len(payload); n > a.limit {
		return nil, false, kv.Errorf(kv.KindTooLarge, "read message", "%d bytes in incomplete messages, the limit is %d", n, a.limit)
	}
	a.held += len(payload)
	b = append(grow(b, len(payload)), payload...)
	if !more {
		a.drop(h.ID, len(b))
		return b, true, nil
	}
	if a.open == nil {
		a.open = make(map[uint64][]byte)
	}
	a.open[h.ID] = b
	return nil, false, nil
}

// has tells whether a part of message id is held.
func (a *assembly) has(id uint64) bool {
	_, ok := a.open[id]
	return ok
}

// forget lets go of what came of message id.
func (a *assembly) forget(id uint64) { a.drop(id, len(a.open[id])) }

func (a *assembly) drop(id uint64, n int) {
	a.held -= n
	delete(a.open, id)
}

// grow makes room for n more bytes, doubling b.
func grow(b []byte, n int) []byte {
	if len(b)+n <= cap(b) {
		return b
	}
	return append(make([]byte, 0, max(2*cap(b), len(b)+n)), b...)
}
