package wire

import (
	"encoding/binary"
	"errors"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/parse"
)

// maxErrorText bounds the operation and the text of an error on the wire, in
// bytes each; the rest is cut.
const maxErrorText = 512

// AppendError appends err as the payload of a response with FlagError. An error
// that is no *kv.Error travels as KindInternal with AppliedUnknown.
func AppendError(b []byte, err error) []byte {
	var e *kv.Error
	if !errors.As(err, &e) {
		e = &kv.Error{Op: "serve", Kind: kv.KindInternal, Applied: kv.AppliedUnknown, Err: err}
	}
	text := ""
	if e.Err != nil {
		text = e.Err.Error()
	}
	b = append(b, byte(e.Kind), byte(e.Applied))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Node))
	b = appendText(b, e.Op)
	return appendText(b, text)
}

// ParseError reads what AppendError wrote; the result is always a *kv.Error. A
// kind that this release does not know counts as KindInternal.
func ParseError(b []byte) error {
	r := parse.Reader{Rest: b}
	e := &kv.Error{Kind: kv.Kind(r.U8()), Applied: kv.Applied(r.U8()), Node: kv.NodeID(r.U64())}
	op, text := r.Bytes16(), r.Bytes16()
	if r.Bad {
		return &kv.Error{Op: "read error", Kind: kv.KindInvalid, Applied: kv.AppliedUnknown, Err: errors.New("the answer is malformed")}
	}
	if e.Kind >= kv.NumKinds {
		e.Kind = kv.KindInternal
	}
	if e.Applied != kv.AppliedNo {
		e.Applied = kv.AppliedUnknown
	}
	e.Op = string(op)
	if len(text) > 0 {
		e.Err = errors.New(string(text))
	}
	return e
}

func appendText(b []byte, s string) []byte {
	if len(s) > maxErrorText {
		s = s[:maxErrorText]
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}
