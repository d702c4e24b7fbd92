package wire

import (
	"bytes"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Whatever is a frame is the one that its parts would make.
func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, Header{Type: TypePing}, nil))
	f.Add(appendFrame(nil, Header{Type: TypePut, Flags: FlagMore, Stamp: 4, ID: 1, Deadline: 2, Level: 3}, []byte("payload")))
	f.Add([]byte{0x80, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= Overhead {
			sealed := bytes.Clone(b)
			check(t, reseal(sealed))
		}
		check(t, b)
	})
}

func check(t *testing.T, b []byte) {
	h, payload, err := ParseFrame(b)
	if err != nil {
		return
	}
	if n, err := FrameSize(b); err != nil || n != len(b) {
		t.Errorf("a frame of %d bytes has size %d, %v", len(b), n, err)
	}
	if got := appendFrame(nil, h, payload); !bytes.Equal(got, b) {
		t.Errorf("the frame\n% x is made again as\n% x", b, got)
	}
}

// A Hello survives being written again.
func FuzzHello(f *testing.F) {
	body, _ := open(AppendHello(nil, someHi))
	f.Add(body)
	f.Add(append(bytes.Clone(body), "more"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHello(b)
		if err != nil {
			return
		}
		body, err := open(AppendHello(nil, h))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseHello(body); err != nil || got != h {
			t.Errorf("%+v came back as %+v, %v", h, got, err)
		}
		if !bytes.HasPrefix(b, body) {
			t.Errorf("the hello\n% x is made again as\n% x", b, body)
		}
	})
}

// A HelloAck either names a version that this release speaks, or refuses.
func FuzzHelloAck(f *testing.F) {
	for _, a := range []HelloAck{someAck, {Err: kv.Errorf(kv.KindRefused, "admit", "no")}} {
		body, _ := open(AppendHelloAck(nil, a))
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseHelloAck(b)
		if err != nil {
			return
		}
		if ok := a.Version >= MinVersion && a.Version <= MaxVersion; ok != (a.Err == nil) {
			t.Errorf("version %d with error %v", a.Version, a.Err)
		}
		if n := len(AppendHelloAck(nil, a)); n > MaxHello {
			t.Errorf("made again it has %d bytes, the limit is %d", n, MaxHello)
		}
	})
}

// The frame of a handshake: what is accepted has the size that was told.
func FuzzHelloFrame(f *testing.F) {
	f.Add(AppendHello(nil, someHi))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := HelloSize(b)
		if err != nil {
			return
		}
		if n < 4 || HelloHeader+n > MaxHello {
			t.Fatalf("size %d is out of range", n)
		}
		if len(b) < HelloHeader+n {
			return
		}
		body, err := HelloBody(b[HelloHeader : HelloHeader+n])
		if err == nil && !bytes.Equal(hello(body), b[:HelloHeader+n]) {
			t.Errorf("the frame % x is made otherwise", b[:HelloHeader+n])
		}
	})
}

// Whatever came, it is an error that can be passed on, and stays the same.
func FuzzError(f *testing.F) {
	f.Add(AppendError(nil, kv.Errorf(kv.KindTimeout, "do it", "in time")))
	f.Add([]byte{255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		first, ok := ParseError(b).(*kv.Error)
		if !ok || first.Kind >= kv.NumKinds || first.Applied > kv.AppliedUnknown {
			t.Fatalf("%#v", first)
		}
		again := ParseError(AppendError(nil, first)).(*kv.Error)
		if again.Kind != first.Kind || again.Applied != first.Applied || again.Node != first.Node ||
			len(first.Error()) <= maxErrorText && again.Error() != first.Error() {
			t.Errorf("%v came back as %v", first, again)
		}
	})
}
