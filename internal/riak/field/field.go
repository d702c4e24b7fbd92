// Package field reads messages of protocol buffers one field at a time, without
// allocation and without generated code: Riak's clients speak messages of a few
// flat fields, and those that Ringtail keeps beside a value have the same form
// (docs/adr/0017-riak.md).
package field

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Message walks the fields of one message: for m := field.Read(b); m.Next(); {}.
// What it returns are parts of the bytes that it reads. The first fault ends the
// walk and is kept for Err. Fields that the caller does not ask for are passed
// over; the deprecated groups, which can nest without end, are faults.
type Message struct {
	rest []byte
	// Num is the number of the present field.
	Num  protowire.Number
	kind protowire.Type
	u    uint64
	b    []byte
	err  error
}

// Read returns a walk over the message b.
func Read(b []byte) Message { return Message{rest: b} }

// Next moves to the next field and tells whether there is one.
func (m *Message) Next() bool {
	if m.err != nil || len(m.rest) == 0 {
		return false
	}
	num, kind, n := protowire.ConsumeTag(m.rest)
	if n < 0 {
		return m.fail("a field has no number")
	}
	m.Num, m.kind, m.rest = num, kind, m.rest[n:]
	switch kind {
	case protowire.VarintType:
		m.u, n = protowire.ConsumeVarint(m.rest)
	case protowire.BytesType:
		m.b, n = protowire.ConsumeBytes(m.rest)
	case protowire.Fixed32Type:
		_, n = protowire.ConsumeFixed32(m.rest)
	case protowire.Fixed64Type:
		_, n = protowire.ConsumeFixed64(m.rest)
	default:
		return m.fail("field %d is a group", num)
	}
	if n < 0 {
		return m.fail("field %d is cut", num)
	}
	m.rest = m.rest[n:]
	return true
}

// Bytes returns the present field, which is text, bytes or a message, never nil.
func (m *Message) Bytes() []byte {
	if m.kind != protowire.BytesType {
		m.fail("field %d is no bytes", m.Num)
		return nil
	}
	return m.b
}

// Uint32 returns the present field, which is a number of 32 bits.
func (m *Message) Uint32() uint32 {
	if m.kind != protowire.VarintType || m.u > 1<<32-1 {
		m.fail("field %d is no number of 32 bits", m.Num)
		return 0
	}
	return uint32(m.u)
}

// Bool returns the present field, which is true or false.
func (m *Message) Bool() bool {
	if m.kind != protowire.VarintType {
		m.fail("field %d is neither true nor false", m.Num)
		return false
	}
	return m.u != 0
}

// Fault ends the walk with err, unless err is nil or a fault was found before:
// for messages within the present field.
func (m *Message) Fault(err error) {
	if m.err == nil {
		m.err = err
	}
}

// Err returns the first fault, of KindInvalid.
func (m *Message) Err() error { return m.err }

func (m *Message) fail(format string, args ...any) bool {
	m.Fault(kv.Errorf(kv.KindInvalid, "read message", format, args...))
	return false
}

// AppendBytes appends a field of bytes.
func AppendBytes(dst []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), v)
}

// AppendText appends a field of bytes.
func AppendText(dst []byte, num protowire.Number, v string) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, num, protowire.BytesType), v)
}

// AppendUint appends a field of a number.
func AppendUint(dst []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), v)
}

// AppendBool appends a field that is true or false.
func AppendBool(dst []byte, num protowire.Number, v bool) []byte {
	return AppendUint(dst, num, protowire.EncodeBool(v))
}

// AppendHead appends what precedes a field of size bytes, which the caller
// appends.
func AppendHead(dst []byte, num protowire.Number, size int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.BytesType), uint64(size))
}

// Size returns the size of a field of n bytes with its number, which is one of
// those below 16.
func Size(n int) int { return 1 + protowire.SizeBytes(n) }

// Num is the number of a field.
type Num = protowire.Number
