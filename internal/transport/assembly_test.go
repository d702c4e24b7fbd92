package transport

import (
	"bytes"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// check fails the test if an invariant of the type does not hold.
func (a *assembly) check(t testing.TB) {
	t.Helper()
	sum := 0
	for id, b := range a.open {
		sum += len(b)
		if len(b) < wire.MaxChunk || cap(b) > 2*len(b) {
			t.Errorf("message %d has %d bytes in %d", id, len(b), cap(b))
		}
	}
	if sum != a.held || a.held > a.limit {
		t.Errorf("%d bytes are held, counted as %d, the limit is %d", sum, a.held, a.limit)
	}
}

func TestAssembly(t *testing.T) {
	full := bytes.Repeat([]byte("x"), wire.MaxChunk)
	type step struct {
		id   uint64
		more bool
		data []byte
		size int // of the message that it completes, -1 for none
		kind kv.Kind
	}
	const none = -1
	tests := []struct {
		name  string
		limit int
		steps []step
	}{
		{"one frame", 0, []step{{1, false, full, wire.MaxChunk, 0}}},
		{"an empty frame", 0, []step{{1, false, nil, 0, 0}}},
		{"two messages in turns", 4 * wire.MaxChunk, []step{
			{1, true, full, none, 0}, {2, true, full, none, 0}, {3, false, []byte("ab"), 2, 0},
			{1, true, full, none, 0}, {2, false, []byte("c"), wire.MaxChunk + 1, 0},
			{1, false, full, 3 * wire.MaxChunk, 0}, {1, false, []byte("new"), 3, 0}}},
		{"a continued frame that is not full", 1 << 30, []step{{1, true, full[1:], none, kv.KindInvalid}}},
		{"an empty continued frame", 1 << 30, []step{{1, true, nil, none, kv.KindInvalid}}},
		{"at the limit", 2 * wire.MaxChunk, []step{{1, true, full, none, 0}, {2, true, full, none, 0}}},
		{"one byte past the limit", 2 * wire.MaxChunk, []step{
			{1, true, full, none, 0}, {1, true, full, none, 0}, {1, false, []byte("x"), none, kv.KindTooLarge}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := newAssembly(test.limit)
			for i, s := range test.steps {
				h := wire.Header{ID: s.id}
				if s.more {
					h.Flags = wire.FlagMore
				}
				got, whole, err := a.add(h, s.data)
				switch {
				case s.kind != 0:
					wantError(t, "the last step", err, s.kind, kv.AppliedNo)
				case err != nil:
					t.Fatalf("step %d: %v", i, err)
				case whole != (s.size != none) || whole && len(got) != s.size:
					t.Errorf("step %d: a message of %d bytes, %v, want %d", i, len(got), whole, s.size)
				}
				a.check(t)
			}
		})
	}
}

func TestAssemblyBoundsOneMessage(t *testing.T) {
	a, full := newAssembly(1<<30), make([]byte, wire.MaxChunk)
	more := wire.Header{ID: 1, Flags: wire.FlagMore}
	for range kv.MaxMessage / wire.MaxChunk {
		if _, _, err := a.add(more, full); err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := a.add(wire.Header{ID: 1}, full[:1])
	wantError(t, "one byte past kv.MaxMessage", err, kv.KindTooLarge, kv.AppliedNo)
	a.forget(1)
	a.check(t)
	if a.held != 0 {
		t.Errorf("%d bytes are held after forget", a.held)
	}
}
