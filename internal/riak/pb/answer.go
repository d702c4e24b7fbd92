package pb

import (
	"encoding/binary"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/riak/content"
	"github.com/ringtaildb/ringtail/internal/riak/field"
)

// HeadSize is the size of what precedes a message: its length and code.
const HeadSize = 5

// Begin appends the head of a message; End completes it when all of the message
// has been appended.
func Begin(b []byte, c Code) []byte { return append(b, 0, 0, 0, 0, byte(c)) }

// End sets the length of the message that Begin began at b[from].
func End(b []byte, from int) []byte {
	binary.BigEndian.PutUint32(b[from:], uint32(len(b)-from-4))
	return b
}

// AppendEmpty appends a message without fields.
func AppendEmpty(b []byte, c Code) []byte { return End(Begin(b, c), len(b)) }

// AppendError appends an ErrorResp.
func AppendError(b []byte, text string, code uint32) []byte {
	from := len(b)
	b = field.AppendText(Begin(b, ErrorResp), 1, text)
	return End(field.AppendUint(b, 2, uint64(code)), from)
}

// AppendServerInfo appends a GetServerInfoResp.
func AppendServerInfo(b []byte, node, version string) []byte {
	from := len(b)
	b = field.AppendText(Begin(b, GetServerInfoResp), 1, node)
	return End(field.AppendText(b, 2, version), from)
}

// AppendClientID appends a GetClientIDResp.
func AppendClientID(b, id []byte) []byte {
	return End(field.AppendBytes(Begin(b, GetClientIDResp), 1, id), len(b))
}

// Value is one value of an answer to a get or a put.
type Value struct {
	object.Sibling
	// Head leaves the value itself out.
	Head bool
}

// fixedValue is more than the fields of a value can have that do not depend on
// it.
const fixedValue = 96

// AppendValue appends v as a field of a GetResp or PutResp.
func AppendValue(b []byte, v Value) []byte {
	value := v.Value
	if v.Head {
		value = nil
	}
	fields := content.Fields(v.Meta)
	// The length of the field precedes it: what is short is written aside.
	var room [2*fixedValue + kv.MaxContentType]byte
	rest := v.appendRest(room[:0])
	b = field.AppendHead(b, 1, field.Size(len(value))+len(fields)+len(rest))
	b = field.AppendBytes(b, 1, value)
	b = append(b, rest...)
	return append(b, fields...)
}

// appendRest appends the fields of v that are short.
func (v Value) appendRest(b []byte) []byte {
	if len(v.ContentType) > 0 {
		b = field.AppendBytes(b, 2, v.ContentType)
	}
	b = field.AppendText(b, 5, content.VTag(v.Dot))
	b = field.AppendUint(b, 7, uint64(v.Time)/1_000_000)
	b = field.AppendUint(b, 8, uint64(v.Time)%1_000_000)
	if v.Deleted {
		b = field.AppendBool(b, 11, true)
	}
	if ms, written := uint64(v.Expires), uint64(v.Time)/1000; ms > written {
		b = field.AppendUint(b, 12, min((ms-written+999)/1000, 1<<32-1))
	}
	return b
}

// AppendVClock appends the context of a GetResp or PutResp.
func AppendVClock(b, vclock []byte) []byte { return field.AppendBytes(b, 2, vclock) }

// AppendUnchanged appends to a GetResp that the client has the present version.
func AppendUnchanged(b []byte) []byte { return field.AppendBool(b, 3, true) }

// AppendKey appends to a PutResp the key that the server has made.
func AppendKey(b []byte, key string) []byte { return field.AppendText(b, 3, key) }

// AppendName appends a bucket to a ListBucketsResp, or a key to a ListKeysResp.
func AppendName(b, name []byte) []byte { return field.AppendBytes(b, 1, name) }

// AppendDone appends to a ListBucketsResp or ListKeysResp that it is the last.
func AppendDone(b []byte) []byte { return field.AppendBool(b, 2, true) }

// AppendProps appends a GetBucketResp.
func AppendProps(b []byte, p Props) []byte {
	return End(field.AppendBytes(Begin(b, GetBucketResp), 1, appendProps(nil, p)), len(b))
}

// Holder is a node in charge of a key.
type Holder struct {
	Partition kv.Partition
	Node      string
	// Primary tells an owner from a stand-in.
	Primary bool
}

// AppendPreflist appends a GetPreflistResp.
func AppendPreflist(b []byte, holders []Holder) []byte {
	from := len(b)
	b = Begin(b, GetPreflistResp)
	for _, h := range holders {
		item := field.AppendUint(nil, 1, uint64(h.Partition))
		item = field.AppendText(item, 2, h.Node)
		b = field.AppendBytes(b, 1, field.AppendBool(item, 3, h.Primary))
	}
	return End(b, from)
}
