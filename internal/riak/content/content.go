// Package content is what Riak's two doors keep beside a value, so that what one
// of them takes the other shows: charset, content encoding, links, the users' own
// metadata and secondary indexes, which are kept and told, but not searched.
//
// It stands in the store as meta: the byte that says whose form it is, and the
// fields of Riak's message RpbContent, ascending by their numbers.
package content

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/field"
)

// Numbers of RpbContent's fields that are kept.
const (
	Charset  protowire.Number = 3
	Encoding protowire.Number = 4
	Links    protowire.Number = 6
	User     protowire.Number = 9
	Indexes  protowire.Number = 10
)

// mark is the first byte of meta in this form. Another door's has another.
const mark = 1

// Pair is a name and its value. HasValue tells an empty value from none.
type Pair struct {
	Key, Value []byte
	HasValue   bool
}

// Link is a link to another key.
type Link struct{ Bucket, Key, Tag []byte }

// Meta is what is kept beside a value. Its slices are parts of what it was read
// from. The zero Meta is nothing.
type Meta struct {
	Charset, Encoding []byte
	Links             []Link
	User              []Pair
	Indexes           []Pair
}

// Empty tells whether there is nothing to be kept.
func (m *Meta) Empty() bool {
	return len(m.Charset)+len(m.Encoding)+len(m.Links)+len(m.User)+len(m.Indexes) == 0
}

// Encode returns m as it is kept, nil for nothing.
func (m *Meta) Encode() []byte {
	if m.Empty() {
		return nil
	}
	return m.appendFields([]byte{mark})
}

// appendFields appends m as fields of RpbContent.
func (m *Meta) appendFields(b []byte) []byte {
	if len(m.Charset) > 0 {
		b = field.AppendBytes(b, Charset, m.Charset)
	}
	if len(m.Encoding) > 0 {
		b = field.AppendBytes(b, Encoding, m.Encoding)
	}
	for _, l := range m.Links {
		b = field.AppendHead(b, Links, l.size())
		b = field.AppendBytes(b, 1, l.Bucket)
		b = field.AppendBytes(b, 2, l.Key)
		b = field.AppendBytes(b, 3, l.Tag)
	}
	for _, p := range m.User {
		b = p.append(b, User)
	}
	for _, p := range m.Indexes {
		b = p.append(b, Indexes)
	}
	return b
}

func (l Link) size() int {
	return field.Size(len(l.Bucket)) + field.Size(len(l.Key)) + field.Size(len(l.Tag))
}

func (p Pair) append(b []byte, num protowire.Number) []byte {
	size := field.Size(len(p.Key))
	if p.HasValue {
		size += field.Size(len(p.Value))
	}
	b = field.AppendHead(b, num, size)
	b = field.AppendBytes(b, 1, p.Key)
	if p.HasValue {
		b = field.AppendBytes(b, 2, p.Value)
	}
	return b
}

// Take takes the present field of a message RpbContent if it is one that is kept,
// and tells whether it was. A fault within it ends the walk.
func (m *Meta) Take(f *field.Message) bool {
	switch f.Num {
	case Charset:
		m.Charset = f.Bytes()
	case Encoding:
		m.Encoding = f.Bytes()
	case Links:
		l, err := readLink(f.Bytes())
		f.Fault(err)
		m.Links = append(m.Links, l)
	case User, Indexes:
		p, err := readPair(f.Bytes())
		f.Fault(err)
		if f.Num == User {
			m.User = append(m.User, p)
		} else {
			m.Indexes = append(m.Indexes, p)
		}
	default:
		return false
	}
	return true
}

func readLink(b []byte) (Link, error) {
	var l Link
	f := field.Read(b)
	for f.Next() {
		switch f.Num {
		case 1:
			l.Bucket = f.Bytes()
		case 2:
			l.Key = f.Bytes()
		case 3:
			l.Tag = f.Bytes()
		}
	}
	return l, f.Err()
}

func readPair(b []byte) (Pair, error) {
	var p Pair
	f := field.Read(b)
	for f.Next() {
		switch f.Num {
		case 1:
			p.Key = f.Bytes()
		case 2:
			p.Value, p.HasValue = f.Bytes(), true
		}
	}
	return p, f.Err()
}

// Decode reads what Encode made. What another door has kept is nothing to Riak's.
// The error is of KindInvalid: a client that speaks to nodes directly can have put
// anything.
func Decode(meta []byte) (Meta, error) {
	var m Meta
	if len(meta) == 0 || meta[0] != mark {
		return m, nil
	}
	f := field.Read(meta[1:])
	for f.Next() {
		if !m.Take(&f) {
			return Meta{}, kv.Errorf(kv.KindInvalid, "read metadata", "there is no field %d", f.Num)
		}
	}
	return m, f.Err()
}

// Fields returns meta as fields that may stand in a message RpbContent. Meta that
// cannot be read is none: the value is more than what stands beside it.
func Fields(meta []byte) []byte {
	m, err := Decode(meta)
	if err != nil || m.Empty() {
		return nil
	}
	return m.appendFields(nil)
}
