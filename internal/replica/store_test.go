package replica

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

const self = kv.NodeID(1)

// counter is a Source that never fails.
type counter struct{ last atomic.Uint64 }

// Next implements Source.
func (c *counter) Next() (kv.NodeID, uint64, error) { return self, c.last.Add(1), nil }

// rings is a Rings; the zero rings has none yet.
type rings struct{ ring *ring.Ring }

// Current implements Rings.
func (r rings) Current() *ring.Current {
	if r.ring == nil {
		return nil
	}
	return &ring.Current{Ring: r.ring}
}

// levelOf is a level at which s is, 1 without a ring.
func levelOf(s *Store) kv.Level { return max(s.level(0), 1) }

// newStore returns a Store on an empty engine, and the engine.
func newStore(t testing.TB, r *ring.Ring) (*Store, storage.Engine) {
	e, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, 0, self, e, &counter{}, rings{r}, 1), e
}

func mustOpen(t testing.TB, omit Omit, self kv.NodeID, e storage.Engine, source Source, rings Rings, first uint64) *Store {
	t.Helper()
	cfg := Default()
	cfg.Omit = omit
	s, err := Open(cfg, self, e, source, rings, first)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRead(t testing.TB, s *Store, p kv.Partition, k kv.Key) object.Object {
	t.Helper()
	o, _, err := s.Read(p, k, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func mustPut(t testing.TB, s *Store, p kv.Partition, k kv.Key, w object.Write) object.Object {
	t.Helper()
	o, _, _, err := s.Put(levelOf(s), p, k, w, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// acknowledged is a storage.Waiter that counts.
type acknowledged struct{ n atomic.Int32 }

// Durable implements storage.Waiter.
func (a *acknowledged) Durable(err error) {
	if err == nil {
		a.n.Add(1)
	}
}

func TestPutThenRead(t *testing.T) {
	s, _ := newStore(t, nil)
	k := kv.AppendKey(nil, "b", []byte("k"))
	if o := mustRead(t, s, 3, k); o.Bytes() != nil {
		t.Errorf("a key that was never put has %d bytes", len(o.Bytes()))
	}
	var ack acknowledged
	put, buf, _, err := s.Put(levelOf(s), 3, k, object.Write{Value: []byte("v")}, []byte("before"), &ack)
	if err != nil || ack.n.Load() != 1 || !bytes.HasPrefix(buf, []byte("before")) {
		t.Fatalf("%v, %d acknowledgements, buffer %q", err, ack.n.Load(), buf)
	}
	got, buf, err := s.Read(3, k, []byte("before"))
	if err != nil || !bytes.Equal(got.Bytes(), put.Bytes()) || !bytes.HasPrefix(buf, []byte("before")) {
		t.Errorf("%v: read %x, put %x", err, got.Bytes(), put.Bytes())
	}
	if o := mustRead(t, s, 4, k); o.Bytes() != nil {
		t.Error("the key is in another partition too")
	}
}

// TestDurableMerge: who asks for a durable merge is told, also when the object
// was there already.
func TestDurableMerge(t *testing.T) {
	from, _ := newStore(t, nil)
	k := kv.AppendKey(nil, "b", []byte("k"))
	o := mustPut(t, from, 0, k, object.Write{Value: []byte("v")})
	to, _ := newStore(t, nil)
	var ack acknowledged
	for i := range int32(2) {
		if err := to.Merge(0, k, o, nil, &ack); err != nil || ack.n.Load() != i+1 {
			t.Errorf("merge %d: %v, %d acknowledgements", i, err, ack.n.Load())
		}
	}
	if got := mustRead(t, to, 0, k); !bytes.Equal(got.Bytes(), o.Bytes()) {
		t.Errorf("the copy is %x, want %x", got.Bytes(), o.Bytes())
	}
}

func TestRefusedPutChangesNothing(t *testing.T) {
	s, e := newStore(t, nil)
	k := kv.AppendKey(nil, "b", []byte("k"))
	for range kv.MaxSiblings {
		mustPut(t, s, 0, k, object.Write{Value: []byte("v")})
	}
	before, _, _ := e.Get(appendDataKey(nil, 0, k), nil)
	var ack acknowledged
	_, buf, _, err := s.Put(levelOf(s), 0, k, object.Write{Value: []byte("v")}, []byte("before"), &ack)
	if kv.KindOf(err) != kv.KindTooManySiblings || kv.AppliedOf(err) != kv.AppliedNo {
		t.Errorf("one sibling too many: %v", err)
	}
	after, _, _ := e.Get(appendDataKey(nil, 0, k), nil)
	if !bytes.Equal(before, after) || ack.n.Load() != 0 || string(buf) != "before" {
		t.Error("the refused put left something")
	}
}

// TestCorruptRecord: damaged records are never served, the copy that has one
// answers no more, and what is put or merged there begins anew.
func TestCorruptRecord(t *testing.T) {
	k := kv.AppendKey(nil, "b", []byte("k"))
	donor, engine := newStore(t, nil)
	o := mustPut(t, donor, 0, k, object.Write{Value: []byte("v")})
	good, _, err := engine.Get(appendDataKey(nil, 0, k), nil)
	if err != nil {
		t.Fatal(err)
	}
	with := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	for name, b := range map[string][]byte{
		"empty":                 nil,
		"cut within the header": good[:recordHeader-1],
		"cut after it":          good[:recordHeader],
		"cut within the object": good[:len(good)-1],
		"longer":                append(bytes.Clone(good), 0),
		"a damaged object":      with(recordHeader+3, 9),
	} {
		for _, op := range []string{"read", "put", "merge"} {
			s, e := newStore(t, nil)
			inject(t, e, appendDataKey(nil, 0, k), b)
			var err error
			switch op {
			case "read":
				_, _, err = s.Read(0, k, nil)
			case "put":
				_, _, _, err = s.Put(levelOf(s), 0, k, object.Write{Value: []byte("w")}, nil, nil)
			case "merge":
				err = s.Merge(0, k, o, nil, nil)
			}
			if (kv.KindOf(err) == kv.KindCorrupt && err != nil) != (op == "read") {
				t.Errorf("%s: %s: %v", name, op, err)
			}
			if got := s.Damaged(); !slices.Equal(got, []kv.Partition{0}) {
				t.Errorf("%s: after a %s %v are damaged", name, op, got)
			}
			if _, _, err := s.Read(0, kv.AppendKey(nil, "b", []byte("other")), nil); err == nil || kv.KindOf(err) != kv.KindCorrupt {
				t.Errorf("%s: after a %s the copy answers for another key: %v", name, op, err)
			}
			if left, _, _ := e.Get(appendDataKey(nil, 0, k), nil); bytes.Equal(left, b) != (op == "read") {
				t.Errorf("%s: after a %s there is %x", name, op, left)
			}
		}
	}
}

// TestLaterRelease: what another release wrote is no damage, and stays.
func TestLaterRelease(t *testing.T) {
	k := kv.AppendKey(nil, "b", []byte("k"))
	donor, engine := newStore(t, nil)
	o := mustPut(t, donor, 0, k, object.Write{Value: []byte("v")})
	good, _, err := engine.Get(appendDataKey(nil, 0, k), nil)
	if err != nil {
		t.Fatal(err)
	}
	for at, version := range map[int]byte{0: recordVersion + 1, recordHeader: object.Version + 1} {
		s, e := newStore(t, nil)
		b := bytes.Clone(good)
		b[at] = version
		inject(t, e, appendDataKey(nil, 0, k), b)
		_, _, readErr := s.Read(0, k, nil)
		_, _, _, putErr := s.Put(levelOf(s), 0, k, object.Write{Value: []byte("w")}, nil, nil)
		for op, err := range map[string]error{"read": readErr, "put": putErr, "merge": s.Merge(0, k, o, nil, nil)} {
			if err == nil || kv.KindOf(err) != kv.KindWrongVersion {
				t.Errorf("%s: %v", op, err)
			}
		}
		if left, _, _ := e.Get(appendDataKey(nil, 0, k), nil); !bytes.Equal(left, b) || len(s.Damaged()) > 0 {
			t.Errorf("%x is left, damaged: %v", left, s.Damaged())
		}
	}
}

// inject writes below the store.
func inject(t testing.TB, e storage.Engine, key, value []byte) {
	t.Helper()
	var b storage.Batch
	b.Set(key, value)
	if err := e.Apply(&b, nil); err != nil {
		t.Fatal(err)
	}
}

// TestConcurrentWrites puts and merges one key and others from many goroutines:
// every write is there, under a dot of its own.
func TestConcurrentWrites(t *testing.T) {
	const writers, each = 8, 40
	s, _ := newStore(t, nil)
	peers, _ := newStore(t, nil)
	shared := kv.AppendKey(nil, "b", []byte("shared"))
	foreign := mustPut(t, peers, 0, shared, object.Write{Value: []byte("foreign")})
	var mu sync.Mutex
	dots := map[vclock.Dot]string{}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				value := fmt.Sprintf("%d-%d", w, i)
				k := shared
				if i%4 != 0 {
					k = kv.AppendKey(nil, "b", fmt.Appendf(nil, "key %d", i))
				}
				if i%10 == 0 {
					if err := s.Merge(0, k, foreign, nil, nil); err != nil {
						t.Error(err)
					}
				}
				o, _, _, err := s.Put(levelOf(s), 0, k, object.Write{Now: 5, Value: []byte(value)}, nil, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if got := mustRead(t, s, 0, k); got.Len() < o.Len() {
					t.Errorf("a later read has %d siblings, the put left %d", got.Len(), o.Len())
				}
				for c := o.Siblings(); c.Next(); {
					if string(c.Value) != value {
						continue
					}
					mu.Lock()
					key := vclock.Dot{Actor: c.Actor, Counter: c.Counter}
					if other, ok := dots[key]; ok {
						t.Errorf("dot %v is issued for %s and %s", key, other, value)
					}
					dots[key] = value
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if len(dots) != writers*each {
		t.Errorf("%d dots for %d puts", len(dots), writers*each)
	}
	if got, want := mustRead(t, s, 0, shared).Len(), writers*each/4+1; got != want {
		t.Errorf("%d siblings, want %d", got, want)
	}
}

// slowEngine counts the writes that are under way, and has each take a while.
type slowEngine struct {
	storage.Engine
	writing atomic.Int32
}

func (e *slowEngine) Apply(b *storage.Batch, w storage.Waiter) error {
	e.writing.Add(1)
	defer e.writing.Add(-1)
	for range 100 {
		runtime.Gosched()
	}
	return e.Engine.Apply(b, w)
}

func TestUsage(t *testing.T) {
	r := testRing(t, 1)
	s, _ := newStore(t, r)
	k := kv.AppendKey(nil, "b", []byte("k"))
	check := func(keys uint64) {
		t.Helper()
		n, size, reapable := s.Usage(r.PartitionOf(k))
		if n != keys || (size > 0) != (keys > 0) || reapable != keys {
			t.Errorf("usage: %d keys, %d bytes, %d to reap; want %d keys", n, size, reapable, keys)
		}
	}
	check(0)
	mustPut(t, s, r.PartitionOf(k), k, object.Write{Deleted: true})
	check(1)
}
