package wire

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func appendFrame(b []byte, h Header, payload []byte) []byte {
	b, at := BeginFrame(b)
	return EndFrame(append(b, payload...), at, h)
}

func wantKind(t testing.TB, what string, err error, want kv.Kind) {
	t.Helper()
	if err == nil || kv.KindOf(err) != want {
		t.Errorf("%s: got %v, want an error of kind %v", what, err, want)
	}
}

// The layout is what other releases rely on: it is fixed byte by byte.
func TestFrameLayout(t *testing.T) {
	h := Header{Type: TypeReplicaPut, Flags: FlagResponse | FlagMore, ID: 0x0102030405060708, Deadline: 0x11121314, Level: 0x2122232425262728}
	want := []byte{
		0, 0, 0, 30,
		3, 5, 0, 0,
		1, 2, 3, 4, 5, 6, 7, 8,
		0x11, 0x12, 0x13, 0x14,
		0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28,
		'h', 'i',
		0x29, 0x84, 0x22, 0xab,
	}
	if got := appendFrame(nil, h, []byte("hi")); !bytes.Equal(got, want) {
		t.Errorf("frame\n% x, want\n% x", got, want)
	}
	h.Flags, h.Stamp = FlagMore, 0x3132
	copy(want[5:], []byte{4, 0x31, 0x32})
	if got := appendFrame(nil, h, []byte("hi")); !bytes.Equal(got, reseal(want)) {
		t.Errorf("a request\n% x, want\n% x", got, want)
	}
}

func TestFramesRoundTrip(t *testing.T) {
	headers := []Header{
		{Type: TypePing},
		{Type: TypeGet, Flags: FlagMore, Stamp: 1<<16 - 1},
		{Type: TypeListKeys, Flags: knownFlags, ID: 1<<64 - 1, Deadline: 1<<32 - 1, Level: 1<<64 - 1},
	}
	var stream []byte
	sizes := []int{0, 1, 1000, MaxChunk}
	for _, h := range headers {
		for _, n := range sizes {
			stream = appendFrame(stream, h, bytes.Repeat([]byte{7}, n))
		}
	}
	for _, h := range headers {
		for _, n := range sizes {
			size, err := FrameSize(stream)
			if err != nil {
				t.Fatal(err)
			}
			got, payload, err := ParseFrame(stream[:size])
			if err != nil || got != h || !bytes.Equal(payload, bytes.Repeat([]byte{7}, n)) {
				t.Errorf("a payload of %d bytes: %+v, %d bytes, %v", n, got, len(payload), err)
			}
			stream = stream[size:]
		}
	}
	if len(stream) != 0 {
		t.Errorf("%d bytes are left", len(stream))
	}
}

func TestFrameSizeLimits(t *testing.T) {
	tests := []struct {
		length uint32
		ok     bool
	}{
		{0, false}, {Overhead - 5, false}, {Overhead - 4, true},
		{MaxFrame - 4, true}, {MaxFrame - 3, false}, {1 << 31, false}, {1<<32 - 1, false},
	}
	for _, test := range tests {
		n, err := FrameSize(binary.BigEndian.AppendUint32(nil, test.length))
		switch {
		case test.ok && (err != nil || n != int(test.length)+4):
			t.Errorf("length %d: %d, %v", test.length, n, err)
		case !test.ok:
			wantKind(t, "a length out of range", err, kv.KindInvalid)
		}
	}
}

func TestEndFramePanicsPastMaxChunk(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a payload past MaxChunk was framed")
		}
	}()
	appendFrame(nil, Header{Type: TypePing}, make([]byte, MaxChunk+1))
}

// Every bit of a frame counts: with any one of them changed it is refused.
func TestAnyChangedBitIsRefused(t *testing.T) {
	frame := appendFrame(nil, Header{Type: TypePut, Flags: FlagMore, ID: 5, Deadline: 9, Level: 3}, []byte("payload"))
	for i := range 8 * len(frame) {
		bad := bytes.Clone(frame)
		bad[i/8] ^= 1 << (i % 8)
		if _, _, err := ParseFrame(bad); err == nil {
			t.Errorf("bit %d of byte %d was changed and not noticed", i%8, i/8)
		}
	}
}

func TestCutAndExtendedFramesAreRefused(t *testing.T) {
	frame := appendFrame(nil, Header{Type: TypePut}, []byte("payload"))
	for n := range frame {
		_, _, err := ParseFrame(frame[:n])
		wantKind(t, "a cut frame", err, kv.KindInvalid)
	}
	_, _, err := ParseFrame(append(bytes.Clone(frame), 0))
	wantKind(t, "a frame and a byte", err, kv.KindInvalid)
}

func TestUnknownTypesAndFlagsAreRefused(t *testing.T) {
	tests := []struct {
		name string
		h    Header
		ok   bool
	}{
		{"type 0", Header{Type: 0}, false},
		{"the first type", Header{Type: TypePing}, true},
		{"the last type", Header{Type: NumTypes - 1}, true},
		{"one type more", Header{Type: NumTypes}, false},
		{"all flags", Header{Type: TypePing, Flags: knownFlags}, true},
		{"one flag more", Header{Type: TypePing, Flags: knownFlags + 1}, false},
	}
	for _, test := range tests {
		_, _, err := ParseFrame(appendFrame(nil, test.h, nil))
		if test.ok && err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if !test.ok {
			wantKind(t, test.name, err, kv.KindInvalid)
		}
	}
	for _, at := range []int{6, 7} {
		frame, begin := BeginFrame(nil)
		frame = EndFrame(frame, begin, Header{Type: TypePing, Flags: FlagResponse})
		frame[at] = 1
		_, _, err := ParseFrame(reseal(frame))
		wantKind(t, "a response's stamp", err, kv.KindInvalid)
	}
}

func TestTypeNames(t *testing.T) {
	seen := make(map[string]bool)
	for ty := Type(1); ty < NumTypes; ty++ {
		if s := ty.String(); s == "" || s == "unknown" || seen[s] {
			t.Errorf("type %d is called %q", ty, s)
		} else {
			seen[s] = true
		}
	}
	if s := Type(NumTypes).String(); s != "unknown" {
		t.Errorf("a type past the last is called %q", s)
	}
}

// Framing and parsing a message of 1 KiB allocates nothing.
func TestFramesDoNotAllocate(t *testing.T) {
	payload, buf := make([]byte, 1024), make([]byte, 0, 2048)
	n := testing.AllocsPerRun(100, func() {
		buf = appendFrame(buf[:0], Header{Type: TypePut, ID: 1}, payload)
		if _, _, err := ParseFrame(buf); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
