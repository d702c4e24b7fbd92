package wire

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// The messages of hinted handoff take part in what is checked of all messages.
func init() {
	messages = append(messages, message{"Handoff", func(t *rapid.T) Appender {
		return &Handoff{Key: someKey.Draw(t, "key"), Object: someBytes.Draw(t, "object")}
	}, pointer(ParseHandoff)}, message{"HandoffAck", func(t *rapid.T) Appender {
		return &HandoffAck{Boot: rapid.Uint64().Draw(t, "boot")}
	}, pointer(ParseHandoffAck)})
}

func TestHandoffRefused(t *testing.T) {
	message := func(key kv.Key) []byte { return (&Handoff{Key: key, Object: []byte("object")}).AppendTo(nil) }
	for _, c := range []struct {
		name string
		b    []byte
		want kv.Kind
		ok   bool
	}{
		{"the longest key", message(kv.AppendKey(nil, "b", make([]byte, kv.MaxKey))), 0, true},
		{"one byte more", message(kv.AppendKey(nil, "b", make([]byte, kv.MaxKey+1))), kv.KindTooLarge, false},
		{"no key", message(nil), kv.KindInvalid, false},
		{"a key longer than the message", []byte{0, 4, 1, 'b', 'k'}, kv.KindInvalid, false},
		{"half a length", []byte{0}, kv.KindInvalid, false},
		{"nothing", nil, kv.KindInvalid, false},
	} {
		if _, err := ParseHandoff(c.b); (err == nil) != c.ok || err != nil && kv.KindOf(err) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for _, n := range []int{0, 7, 9} {
		if _, err := ParseHandoffAck(make([]byte, n)); err == nil || kv.KindOf(err) != kv.KindInvalid {
			t.Errorf("an acknowledgement of %d bytes: %v", n, err)
		}
	}
}
