package wire

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
)

// Put has a node coordinate a put or delete.
type Put struct {
	Get
	Context     []byte
	ContentType []byte
	// Life and Meta are as in object.Update.
	Life  kv.Lifetime
	Meta  []byte
	Value []byte
}

// besideHeader is the size of ttl, expiry, and the length of the meta.
const besideHeader = 8 + 8 + 4

// beside tells whether the put says more than its value.
func (m *Put) beside() bool { return len(m.Meta) > 0 || m.Life != kv.Lifetime{} }

// Size implements Appender.
func (m *Put) Size() int {
	n := 4 + 2 + len(m.Key) + 4 + len(m.Context) + 2 + len(m.ContentType) + len(m.Value)
	if m.beside() {
		n += besideHeader + len(m.Meta)
	}
	return n
}

// AppendTo implements Appender.
func (m *Put) AppendTo(b []byte) []byte {
	flags, beside := m.Flags, m.beside()
	if beside {
		flags |= flagBeside
	}
	b = append(b, byte(flags), byte(m.R), byte(m.W), byte(m.DW))
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.Key)))
	b = append(b, m.Key...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Context)))
	b = append(b, m.Context...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.ContentType)))
	b = append(b, m.ContentType...)
	if beside {
		b = binary.BigEndian.AppendUint64(b, uint64(m.Life.TTL))
		b = binary.BigEndian.AppendUint64(b, uint64(m.Life.At))
		b = binary.BigEndian.AppendUint32(b, uint32(len(m.Meta)))
		b = append(b, m.Meta...)
	}
	return append(b, m.Value...)
}

// ParsePut reads a Put. Its context is not opened and its limits, but for the
// key's, are not checked.
func ParsePut(b []byte) (Put, error) {
	r := parse.Reader{Rest: b}
	m := Put{Get: Get{Flags: RequestFlags(r.U8()), R: int8(r.U8()), W: int8(r.U8()), DW: int8(r.U8())}}
	key := r.Bytes16()
	m.Context, m.ContentType = r.Bytes32(), r.Bytes16()
	if m.Flags&flagBeside != 0 {
		m.Flags &^= flagBeside
		m.Life = kv.Lifetime{TTL: kv.TTL(r.U64()), At: kv.Expiry(r.U64())}
		m.Meta = r.Bytes32()
		r.Bad = r.Bad || !m.beside()
	}
	m.Value = r.Rest
	if r.Bad || m.Flags&^knownRequestFlags != 0 {
		return m, cut("put")
	}
	var err error
	m.Key, err = kv.ParseKey(key)
	return m, err
}
