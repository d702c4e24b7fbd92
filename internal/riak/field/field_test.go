package field

import (
	"bytes"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestRoundTrip(t *testing.T) {
	b := AppendBytes(nil, 1, []byte("one"))
	b = AppendText(b, 2, "two")
	b = AppendUint(b, 3, 1<<32-1)
	b = AppendBool(b, 4, true)
	b = append(AppendHead(b, 5, 3), "abc"...)
	m := Read(b)
	var seen int
	for m.Next() {
		seen++
		switch m.Num {
		case 1, 2, 5:
			if want := map[int]string{1: "one", 2: "two", 5: "abc"}[seen]; string(m.Bytes()) != want {
				t.Errorf("field %d is %q, want %q", m.Num, m.Bytes(), want)
			}
		case 3:
			if m.Uint32() != 1<<32-1 {
				t.Errorf("field 3 is %d", m.Uint32())
			}
		case 4:
			if !m.Bool() {
				t.Error("field 4 is false")
			}
		}
	}
	if m.Err() != nil || seen != 5 {
		t.Errorf("%d fields, %v", seen, m.Err())
	}
	if want := AppendBytes(nil, 1, make([]byte, 300)); Size(300) != len(want) {
		t.Errorf("Size(300) = %d, want %d", Size(300), len(want))
	}
}

func TestFaults(t *testing.T) {
	read := func(m *Message) {
		for m.Next() {
			switch m.Num {
			case 1:
				m.Bytes()
			case 2:
				m.Uint32()
			case 3:
				m.Bool()
			}
		}
	}
	for name, b := range map[string][]byte{
		"a cut number":            {0x10, 0x80},
		"a cut text":              {0x0a, 5, 'a'},
		"a length past the end":   {0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f},
		"no field number":         {0x00},
		"a group":                 {0x0b, 0x0b, 0x0b},
		"a number for text":       {0x08, 1},
		"text for a number":       {0x12, 1, 'a'},
		"text for a flag":         {0x1a, 1, 'a'},
		"a number of 33 bits":     AppendUint(nil, 2, 1<<32),
		"a number of 11 bytes":    append([]byte{0x10}, bytes.Repeat([]byte{0xff}, 11)...),
		"a fault after good ones": append(AppendUint(nil, 2, 7), 0x0a, 9),
	} {
		m := Read(b)
		read(&m)
		if m.Err() == nil || kv.KindOf(m.Err()) != kv.KindInvalid {
			t.Errorf("%s: %v", name, m.Err())
		}
	}
	unknown := Read([]byte{0x45, 1, 2, 3, 4, 0x41, 1, 2, 3, 4, 5, 6, 7, 8, 0x48, 9})
	read(&unknown)
	if unknown.Err() != nil {
		t.Errorf("fields that nobody asks for: %v", unknown.Err())
	}
}

func FuzzMessage(f *testing.F) {
	f.Add(AppendBytes(AppendUint(nil, 2, 7), 1, []byte("x")))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, total := Read(b), 0
		for m.Next() {
			if m.kind == 2 {
				total += len(m.Bytes())
			}
		}
		if total > len(b) {
			t.Fatalf("%d bytes hold %d", len(b), total)
		}
	})
}
