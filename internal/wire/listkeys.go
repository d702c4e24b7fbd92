package wire

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// MaxKeysPage bounds the bytes of the keys in one answer to a ListKeys.
const MaxKeysPage = 256 << 10

// ListKeys asks a node for the keys of one bucket in some of its partitions, a
// page at a time.
type ListKeys struct {
	Bucket []byte
	// After is the last key of the page before, empty for the first page; it
	// belongs to the first of Partitions.
	After []byte
	// Partitions are scanned in this order.
	Partitions []kv.Partition
}

// Size implements Appender.
func (m *ListKeys) Size() int { return 3 + len(m.Bucket) + len(m.After) + 2*len(m.Partitions) }

// AppendTo implements Appender.
func (m *ListKeys) AppendTo(b []byte) []byte {
	b = append(b, byte(len(m.Bucket)))
	b = append(b, m.Bucket...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.After)))
	b = append(b, m.After...)
	for _, p := range m.Partitions {
		b = binary.BigEndian.AppendUint16(b, uint16(p))
	}
	return b
}

// ParseListKeys reads a ListKeys.
func ParseListKeys(b []byte) (ListKeys, error) {
	r := reader{b: b}
	m := ListKeys{Bucket: r.take(int(r.u8())), After: r.bytes16()}
	if r.bad || len(r.b) == 0 || len(r.b)%2 != 0 {
		return m, cut("list keys")
	}
	m.Partitions = make([]kv.Partition, len(r.b)/2)
	for i := range m.Partitions {
		m.Partitions[i] = kv.Partition(r.u16())
	}
	return m, nil
}

// KeysPage answers a ListKeys.
type KeysPage struct {
	// Done is how many of the request's partitions were scanned to their end.
	// The next page starts with those after them, after the last of Keys, or
	// from the partition's start when Keys is empty or Done grew last.
	Done int
	// Partial tells that the partition after those that are done was begun.
	Partial bool
	// Keys are the keys found, within the bucket.
	Keys [][]byte
}

// Size implements Appender.
func (m *KeysPage) Size() int {
	n := 5
	for _, k := range m.Keys {
		n += 2 + len(k)
	}
	return n
}

// AppendTo implements Appender.
func (m *KeysPage) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(m.Done))
	partial := byte(0)
	if m.Partial {
		partial = 1
	}
	b = append(b, partial)
	for _, k := range m.Keys {
		b = binary.BigEndian.AppendUint16(b, uint16(len(k)))
		b = append(b, k...)
	}
	return b
}

// ParseKeysPage reads a KeysPage; its keys are parts of b.
func ParseKeysPage(b []byte) (KeysPage, error) {
	r := reader{b: b}
	m := KeysPage{Done: int(r.u32()), Partial: r.u8() == 1}
	for len(r.b) > 0 {
		m.Keys = append(m.Keys, r.bytes16())
	}
	if r.bad {
		return KeysPage{}, cut("keys page")
	}
	return m, nil
}
