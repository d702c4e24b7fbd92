package wire

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
)

// Handoff hands a hint over to an owner of its key (§4.6): the receiver merges
// the object into its own copy, and answers once that is on stable storage.
type Handoff struct {
	Key    kv.Key
	Object []byte
}

// handoffHeader is what a Handoff has beside its key and its object.
const handoffHeader = 2

// Size implements Appender.
func (m *Handoff) Size() int { return handoffHeader + len(m.Key) + len(m.Object) }

// AppendTo implements Appender.
func (m *Handoff) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Key)))
	b = append(b, m.Key...)
	return append(b, m.Object...)
}

// ParseHandoff reads a Handoff; the object is not parsed.
func ParseHandoff(b []byte) (Handoff, error) {
	r := parse.Reader{Rest: b}
	key := r.Bytes16()
	m := Handoff{Object: r.Rest}
	if r.Bad {
		return Handoff{}, cut("handoff")
	}
	var err error
	m.Key, err = kv.ParseKey(key)
	return m, err
}

// HandoffAck answers a Handoff: the object is on stable storage.
type HandoffAck struct {
	// Boot is the receiver's boot that stored it. What an earlier boot had may
	// have been lost with its data directory.
	Boot uint64
}

// Size implements Appender.
func (m *HandoffAck) Size() int { return 8 }

// AppendTo implements Appender.
func (m *HandoffAck) AppendTo(b []byte) []byte {
	return binary.BigEndian.AppendUint64(b, m.Boot)
}

// ParseHandoffAck reads a HandoffAck.
func ParseHandoffAck(b []byte) (HandoffAck, error) {
	r := parse.Reader{Rest: b}
	m := HandoffAck{Boot: r.U64()}
	if r.Bad || len(r.Rest) > 0 {
		return HandoffAck{}, cut("handoff acknowledgement")
	}
	return m, nil
}
