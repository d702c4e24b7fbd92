package replica

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// coldEngine has records on its disk alone until they are read from there.
type coldEngine struct {
	storage.Engine
	cold map[string]bool
	// reads are the keys that were read from the disk, and peeks counts the rest.
	reads []string
	peeks int
	// reading is called while the disk is read.
	reading func()
}

func (e *coldEngine) Peek(key, dst []byte) ([]byte, bool, error) {
	if e.cold[string(key)] {
		return dst, false, storage.ErrWaits
	}
	e.peeks++
	return e.Engine.Get(key, dst)
}

func (e *coldEngine) Get(key, dst []byte) ([]byte, bool, error) {
	if e.cold[string(key)] {
		e.reads = append(e.reads, string(key))
		delete(e.cold, string(key))
		if e.reading != nil {
			e.reading()
		}
	}
	return e.Engine.Get(key, dst)
}

// coldStore returns a Store whose engine is cold for k, of which it has a record,
// and the object that a node with another copy would send.
func coldStore(t *testing.T, heads uint64, k kv.Key) (*Store, *coldEngine, kv.Partition, object.Object) {
	t.Helper()
	m, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	e := &coldEngine{Engine: m, cold: map[string]bool{}}
	cfg := Default()
	cfg.MaxHeadBytes = heads
	r := testRing(t, 1)
	s, err := Open(cfg, self, e, &counter{}, rings{r}, 1)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := newStore(t, r)
	p := r.PartitionOf(k)
	first := mustPut(t, s, p, k, object.Write{Value: []byte("first")})
	if err := other.Merge(p, k, first, nil, nil); err != nil {
		t.Fatal(err)
	}
	next := mustPut(t, other, p, k, object.Write{Context: object.ContextOf(first), Value: []byte("next")})
	e.cold[string(appendDataKey(nil, p, k))] = true
	return s, e, p, next
}

// TestTry: what needs the disk is not begun, and what does not is answered.
func TestTry(t *testing.T) {
	k := kv.AppendKey(nil, "b", []byte("k"))
	for _, c := range []struct {
		what  string
		heads uint64
		req   func(held, next object.Object) (wire.Type, wire.Appender)
		waits bool
	}{
		{"a read", 0, func(object.Object, object.Object) (wire.Type, wire.Appender) {
			return wire.TypeReplicaRead, &wire.ReplicaRead{Key: k}
		}, true},
		{"a write", 0, func(_, next object.Object) (wire.Type, wire.Appender) {
			return wire.TypeReplicaPut, &wire.ReplicaPut{Ack: wire.AckApplied, Key: k, Object: next.Bytes()}
		}, true},
		{"a durable write", 0, func(_, next object.Object) (wire.Type, wire.Appender) {
			return wire.TypeReplicaPut, &wire.ReplicaPut{Ack: wire.AckDurable, Key: k, Object: next.Bytes()}
		}, true},
		{"a read of what the asker has", Default().MaxHeadBytes, func(held, _ object.Object) (wire.Type, wire.Appender) {
			return wire.TypeReplicaRead, &wire.ReplicaRead{Key: k, Have: object.Digest(held, nil)}
		}, false},
		{"a write whose record's head is kept", Default().MaxHeadBytes, func(_, next object.Object) (wire.Type, wire.Appender) {
			return wire.TypeReplicaPut, &wire.ReplicaPut{Ack: wire.AckDurable, Key: k, Object: next.Bytes()}
		}, false},
		{"a write that is refused", 0, func(object.Object, object.Object) (wire.Type, wire.Appender) {
			return wire.TypeReplicaPut, &wire.ReplicaPut{Ack: wire.AckApplied, Key: k, Object: []byte("none")}
		}, false},
	} {
		t.Run(c.what, func(t *testing.T) {
			s, e, p, next := coldStore(t, c.heads, k)
			held, _, err := s.Read(p, k, nil)
			if err != nil {
				t.Fatal(err)
			}
			e.cold[string(appendDataKey(nil, p, k))], e.reads = true, nil
			typ, m := c.req(held, next)
			var a answers
			req := wire.Request{Type: typ, Level: levelOf(s), Payload: m.AppendTo(nil), Reply: wire.Reply{To: &a, ID: 9, Type: typ}}
			done := s.Try(req)
			if done == c.waits || done != (len(a.lines) == 1) || len(e.reads) > 0 || s.Syncing() != 0 {
				t.Fatalf("done %v, answers %q, %d reads from the disk, %d syncing", done, a.lines, len(e.reads), s.Syncing())
			}
			if done {
				return
			}
			if e.cold = nil; !slices.Equal(mustRead(t, s, p, k).Bytes(), held.Bytes()) {
				t.Error("the copy has changed")
			}
			e.cold = map[string]bool{string(appendDataKey(nil, p, k)): true}
			s.Handle(req)
			if len(a.lines) != 1 || len(e.reads) != 1 {
				t.Fatalf("handled elsewhere: answers %q, read %q", a.lines, e.reads)
			}
			if !s.Try(req) || len(a.lines) != 2 || len(e.reads) != 1 {
				t.Errorf("once more: answers %q, read %q", a.lines, e.reads)
			}
		})
	}
}

// TestReadWithoutLock: no write waits for the disk under its key's lock.
func TestReadWithoutLock(t *testing.T) {
	k := kv.AppendKey(nil, "b", []byte("k"))
	for _, c := range []struct {
		what  string
		write func(s *Store, p kv.Partition, next object.Object) error
		want  string
	}{
		{"put", func(s *Store, p kv.Partition, _ object.Object) error {
			_, _, _, err := s.Put(levelOf(s), p, k, object.Write{Value: []byte("beside")}, nil, nil)
			return err
		}, `["first" "beside"]`},
		{"merge", func(s *Store, p kv.Partition, next object.Object) error { return s.Merge(p, k, next, nil, nil) }, `["next"]`},
	} {
		s, e, p, next := coldStore(t, 0, k)
		e.reading = func() {
			mu := s.lockOf(k)
			if !mu.TryLock() {
				t.Errorf("%s: the disk is read under the lock", c.what)
				return
			}
			mu.Unlock()
		}
		if _, _, _, err := s.TryPut(levelOf(s), p, k, object.Write{Value: []byte("no")}, nil, nil); err != storage.ErrWaits {
			t.Errorf("%s: tried: %v", c.what, err)
		}
		if _, _, _, _, err := s.PeekUnder(levelOf(s), p, k, nil); err != storage.ErrWaits {
			t.Errorf("%s: peek: %v", c.what, err)
		}
		if err := c.write(s, p, next); err != nil || len(e.reads) != 1 {
			t.Errorf("%s: %v, read %q", c.what, err, e.reads)
		}
		var values []string
		for c := mustRead(t, s, p, k).Siblings(); c.Next(); {
			values = append(values, string(c.Value))
		}
		if got := fmt.Sprintf("%q", values); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

// TestGoneAgain: what was read is gone from memory when the lock is held. It is
// read again then.
func TestGoneAgain(t *testing.T) {
	k := kv.AppendKey(nil, "b", []byte("k"))
	s, e, p, next := coldStore(t, 0, k)
	e.reading = func() {
		if len(e.reads) == 1 {
			e.cold[e.reads[0]] = true
		}
	}
	if err := s.Merge(p, k, next, nil, nil); err != nil || len(e.reads) != 2 {
		t.Errorf("%v, read %q", err, e.reads)
	}
	if !slices.Equal(mustRead(t, s, p, k).Bytes(), next.Bytes()) {
		t.Error("the copy is not what was merged")
	}
}
