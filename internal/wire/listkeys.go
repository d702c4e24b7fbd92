package wire

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
)

const (
	// MaxKeysPage is the size of the keys, with two bytes for each, at which an
	// answer to a ListKeys ends: it may exceed that by its last key.
	MaxKeysPage = 256 << 10
	// maxListed bounds the partitions of one ListKeys: all that there can be.
	maxListed = 1 << 16
	// maxPage bounds an encoded KeysPage.
	maxPage = pageHeader + MaxKeysPage + 2 + kv.MaxKey

	pageHeader = 5
)

// ListKeys asks a node for the keys of one bucket in some of its partitions, a
// page at a time; or, where Bucket is empty, for the names of the buckets that have
// keys there, ascending in each partition. A node of an earlier release knows of
// none.
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

// ParseListKeys reads a ListKeys; bucket and key are parts of b.
func ParseListKeys(b []byte) (ListKeys, error) {
	r := parse.Reader{Rest: b}
	m := ListKeys{Bucket: r.Take(int(r.U8())), After: r.Bytes16()}
	if r.Bad || len(r.Rest) == 0 || len(r.Rest)%2 != 0 || len(r.Rest) > 2*maxListed {
		return m, cut("list keys")
	}
	m.Partitions = make([]kv.Partition, len(r.Rest)/2)
	for i := range m.Partitions {
		m.Partitions[i] = kv.Partition(r.U16())
	}
	return m, nil
}

// KeysPage answers a ListKeys.
type KeysPage struct {
	// Done is how many of the request's partitions, from the first, were
	// scanned to their end. The next request is for those after them.
	Done int
	// Partial tells that the next of them was begun: the last of Keys is in it,
	// and is the next request's After.
	Partial bool
	// Keys are the keys found, within the bucket, or the names of buckets.
	Keys [][]byte
}

// Size implements Appender.
func (m *KeysPage) Size() int {
	n := pageHeader
	for _, k := range m.Keys {
		n += 2 + len(k)
	}
	return n
}

// AppendTo implements Appender.
func (m *KeysPage) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(m.Done))
	b = appendBool(b, m.Partial)
	for _, k := range m.Keys {
		b = binary.BigEndian.AppendUint16(b, uint16(len(k)))
		b = append(b, k...)
	}
	return b
}

// ParseKeysPage reads a KeysPage; its keys are parts of b.
func ParseKeysPage(b []byte) (KeysPage, error) {
	r := parse.Reader{Rest: b}
	m := KeysPage{Done: int(r.U32())}
	partial := r.U8()
	if len(b) > maxPage || partial > 1 {
		return KeysPage{}, cut("keys page")
	}
	m.Partial = partial == 1
	for len(r.Rest) > 0 {
		k := r.Bytes16()
		if len(k) == 0 {
			return KeysPage{}, cut("keys page")
		}
		m.Keys = append(m.Keys, k)
	}
	if r.Bad {
		return KeysPage{}, cut("keys page")
	}
	return m, nil
}
