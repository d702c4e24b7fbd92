package replica

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// readCounter is an engine that counts its Gets, and fails Apply on demand.
type readCounter struct {
	storage.Engine
	reads atomic.Int64
	fails bool
}

func (e *readCounter) Get(key, dst []byte) ([]byte, bool, error) {
	e.reads.Add(1)
	return e.Engine.Get(key, dst)
}

func (e *readCounter) Apply(b *storage.Batch, w storage.Waiter) error {
	if e.fails {
		return kv.Errorf(kv.KindDiskFull, "apply batch", "no space is left")
	}
	return e.Engine.Apply(b, w)
}

// storeOf returns a Store with heads of at most limit bytes, on a counted engine.
func storeOf(t testing.TB, limit uint64) (*Store, *readCounter) {
	t.Helper()
	m, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	e := &readCounter{Engine: m}
	cfg := Default()
	cfg.MaxHeadBytes = limit
	s, err := Open(cfg, self, e, &counter{}, rings{testRing(t, 1)}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return s, e
}

// TestHeadsSpareReads shows which of a key's writes and reads go to the engine.
func TestHeadsSpareReads(t *testing.T) {
	s, e := storeOf(t, Default().MaxHeadBytes)
	k := kv.AppendKey(nil, "b", []byte("k"))
	p := s.ring().PartitionOf(k)
	var ctx object.Context
	var o object.Object
	put := func(v string, ctx object.Context) {
		o = mustPut(t, s, p, k, object.Write{Value: []byte(v), Context: ctx})
	}
	have := func(n uint64) []string {
		m := wire.ReplicaRead{Key: k, Have: n}
		return ask(s, wire.TypeReplicaRead, 7, m.AppendTo(nil))
	}
	put("v1", ctx)
	for _, c := range []struct {
		name  string
		do    func()
		reads int64
	}{
		{"a write over what its client saw", func() { put("v2", object.Context{Clock: bytes.Clone(o.Clock())}) }, 0},
		{"a question for a version that it has", func() { have(object.Digest(o, nil)) }, 0},
		{"a question for another version", func() { have(1) }, 1},
		{"a merge of what it has", func() { mustMergeData(t, s, p, k, o, nil) }, 0},
		{"a write beside what is there", func() { put("v3", object.Context{}) }, 1},
		{"a durable merge of what it has, which is written again", func() { mustMergeData(t, s, p, k, o, &acknowledged{}) }, 1},
		{"a write over both", func() { put("v4", object.Context{Clock: bytes.Clone(o.Clock())}) }, 0},
		{"a merge of a newer one", func() {
			newer := mustPut(t, mustOpenAs(t, 2), p, k, object.Write{Value: []byte("v5"), Context: object.Context{Clock: bytes.Clone(o.Clock())}, MaxClock: 9})
			mustMergeData(t, s, p, k, newer, nil)
		}, 0},
	} {
		before := e.reads.Load()
		c.do()
		if got := e.reads.Load() - before; got != c.reads {
			t.Errorf("%s: %d reads of the engine, want %d", c.name, got, c.reads)
		}
	}
}

func mustMergeData(t testing.TB, s *Store, p kv.Partition, k kv.Key, o object.Object, durable storage.Waiter) {
	t.Helper()
	if err := s.Merge(p, k, o, nil, durable); err != nil {
		t.Fatal(err)
	}
}

// TestHeadsChangeNothing plays the same writes, failures and drops of copies to a
// store with heads and to one without: they come to hold and answer the same.
func TestHeadsChangeNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		with, e1 := storeOf(t, 1<<20)
		without, e2 := storeOf(t, 0)
		both := [2]*Store{with, without}
		other := mustOpenAs(t, 2)
		var objects []object.Object
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			k := kv.AppendKey(nil, "b", fmt.Appendf(nil, "k%d", rapid.IntRange(0, 2).Draw(rt, "key")))
			p := with.ring().PartitionOf(k)
			w := object.Write{Value: []byte("v"), Now: 7, Merge: rapid.SampledFrom([]kv.Merge{kv.MergeSiblings, kv.MergeLWW}).Draw(rt, "merge")}
			if len(objects) > 0 && rapid.Bool().Draw(rt, "seen") {
				o := rapid.SampledFrom(objects).Draw(rt, "context")
				w.Context.Clock = o.Clock()
			}
			step := rapid.SampledFrom([]string{"put", "put", "other", "merge", "merge", "drop", "fail", "ask"}).Draw(rt, "step")
			var got [2]string
			for i, s := range both {
				got[i] = playHeads(t, step, s, [2]*readCounter{e1, e2}[i], p, k, w, objects)
			}
			if got[0] != got[1] {
				rt.Fatalf("%s of %s: with heads %s, without %s", step, k, got[0], got[1])
			}
			if step == "other" {
				objects = append(objects, mustPut(t, other, p, k, w))
			}
			if o := mustRead(t, with, p, k); o.Bytes() != nil {
				objects = append(objects, o)
			}
		}
		for p := range kv.Partition(8) {
			_, a, _ := with.Tree(p)
			_, b, _ := without.Tree(p)
			if a != b {
				rt.Fatalf("partition %d has another tree", p)
			}
		}
	})
}

// playHeads carries out one step and tells what came of it.
func playHeads(t testing.TB, step string, s *Store, e *readCounter, p kv.Partition, k kv.Key, w object.Write, objects []object.Object) string {
	var err error
	switch step {
	case "fail":
		e.fails = true
		_, _, _, err = s.Put(levelOf(s), p, k, w, nil, nil)
		e.fails = false
	case "put":
		_, _, _, err = s.Put(levelOf(s), p, k, w, nil, nil)
	case "merge":
		if len(objects) > 0 {
			err = s.Merge(p, k, objects[len(objects)-1], nil, nil)
		}
	case "drop":
		_, _, changes := s.Tree(p)
		_, err = s.DropCopy(p, changes)
	case "ask":
		m := wire.ReplicaRead{Key: k, Have: object.Digest(mustRead(t, s, p, k), nil)}
		return fmt.Sprint(ask(s, wire.TypeReplicaRead, 7, m.AppendTo(nil)))
	}
	return fmt.Sprintf("%v %x", err, mustRead(t, s, p, k).Bytes())
}

// headed is a table of one set, and keys of that set.
func headed(t *testing.T) (heads, *partition, func(name string) *headSpot) {
	h := newHeads(uint64(unsafe.Sizeof([headBlock]headSet{})))
	part := &partition{id: 5}
	return h, part, func(name string) *headSpot {
		at := headOf(part, kv.AppendKey(nil, "b", []byte(name)))
		at.position = 77
		return &at
	}
}

// stored returns a record with an object of some value.
func recordOf(t *testing.T, contentType string) ([]byte, object.Object) {
	t.Helper()
	own := vclock.Own{Actor: vclock.Actor{Node: 1, Birth: 1}, Counter: 1}
	b := appendRecordHeader(nil, own, 9)
	o, b, _, err := object.Put(b, object.Object{}, object.Write{Own: own, Seq: 1, Now: 1, ContentType: []byte(contentType), Value: make([]byte, 1000)})
	if err != nil {
		t.Fatal(err)
	}
	return b, o
}

func TestHeads(t *testing.T) {
	rec, o := recordOf(t, "text/plain")
	kept := func(h *heads, at *headSpot) bool {
		head, size := h.find(at, nil)
		if size == 0 {
			return false
		}
		want := object.AppendHead(bytes.Clone(rec[:recordHeader]), o)
		if diff := cmp.Diff(want, head); diff != "" || size != 2000 {
			t.Errorf("head of %d bytes: want (-), got (+):\n%s", size, diff)
		}
		return true
	}
	put := func(h *heads, at *headSpot) {
		h.forget(at)
		h.keep(at, rec, o, 2000)
	}
	t.Run("a writer's", func(t *testing.T) {
		h, _, spot := headed(t)
		at := spot("a")
		put(&h, at)
		if !kept(&h, at) || kept(&h, spot("b")) {
			t.Error("it is not kept, or found for another key")
		}
		h.forget(at)
		if kept(&h, at) {
			t.Error("it is found while its record is written")
		}
	})
	t.Run("a reader's, after a write that it did not see", func(t *testing.T) {
		h, _, spot := headed(t)
		reader, writer := spot("a"), spot("a")
		kept(&h, reader)
		put(&h, writer)
		h.forget(writer) // and the record is deleted
		h.keep(reader, rec, o, 2000)
		if kept(&h, spot("a")) {
			t.Error("what was read before the write is kept")
		}
	})
	t.Run("of a partition whose records were dropped", func(t *testing.T) {
		h, part, spot := headed(t)
		put(&h, spot("a"))
		part.drops.Add(1)
		if kept(&h, spot("a")) {
			t.Error("it outlives the drop")
		}
		at := spot("a")
		kept(&h, at)
		part.drops.Add(1) // after the reader has looked, and before it keeps
		h.keep(at, rec, o, 2000)
		if kept(&h, spot("a")) {
			t.Error("what was read before the drop is kept")
		}
	})
	t.Run("more than there is room for", func(t *testing.T) {
		h, _, spot := headed(t)
		for i := range headWays {
			put(&h, spot(fmt.Sprint(i)))
		}
		put(&h, spot("new")) // passes by all, and takes the first one's place
		kept(&h, spot("1"))
		put(&h, spot("newer"))
		if kept(&h, spot("0")) || kept(&h, spot("2")) || !kept(&h, spot("1")) || !kept(&h, spot("new")) || !kept(&h, spot("newer")) {
			t.Error("not the ones that were not asked for went")
		}
	})
	t.Run("limit", func(t *testing.T) {
		for _, over := range []int{0, 1} {
			h, _, spot := headed(t)
			at := spot("a")
			room := headRoom - len(at.k) - recordHeader - object.HeadSize(o) + len("text/plain")
			long, big := recordOf(t, string(make([]byte, room+over)))
			h.forget(at)
			h.keep(at, long, big, 2000)
			if _, size := h.find(at, nil); (size != 0) != (over == 0) {
				t.Errorf("a head %d bytes past the limit: size %d", over, size)
			}
		}
	})
	t.Run("none", func(t *testing.T) {
		h := newHeads(0)
		at := headOf(&partition{}, kv.AppendKey(nil, "b", []byte("a")))
		put(&h, &at)
		if _, size := h.find(&at, nil); size != 0 {
			t.Error("a table without room keeps a head")
		}
	})
}

// TestHeadsConcurrently: readers that ask for the version which was last
// acknowledged, while it is written again and again, are never told that the copy
// has an older one.
func TestHeadsConcurrently(t *testing.T) {
	s, _ := storeOf(t, Default().MaxHeadBytes)
	k := kv.AppendKey(nil, "b", []byte("k"))
	var acked atomic.Pointer[object.Object]
	o := mustPut(t, s, 3, k, object.Write{Value: []byte("v")})
	acked.Store(&o)
	var done atomic.Bool
	var all sync.WaitGroup
	all.Go(func() {
		defer done.Store(true)
		for range 20_000 {
			last := acked.Load()
			o := mustPut(t, s, 3, k, object.Write{Value: []byte("v"), Context: object.Context{Clock: last.Clock()}})
			acked.Store(&o)
		}
	})
	for range 2 {
		all.Go(func() {
			r := new(reading)
			for !done.Load() {
				last := acked.Load()
				m := wire.ReplicaRead{Key: k, Have: object.Digest(*last, nil)}
				r.msg = wire.ReplicaCopy{}
				if err := s.answerRead(r, 3, unplanned, &m, false); err != nil {
					t.Error(err)
					return
				}
				if r.msg.Copy == wire.CopySame {
					continue
				}
				if got, err := object.Parse(r.msg.Object); err != nil || got.Clock().Compare(last.Clock()) != vclock.After {
					t.Errorf("%v: not newer than what was acknowledged", err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestHeadsOfWhatIsCutOut: what was cut out of a damaged copy is stored again when
// another owner sends it, though it was written a moment before.
func TestHeadsOfWhatIsCutOut(t *testing.T) {
	s, bad := newBadBlocks(t)
	k := kv.AppendKey(nil, "b", []byte("k"))
	p := s.ring().PartitionOf(k)
	o := mustPut(t, s, p, k, object.Write{Value: []byte("v")})
	in, err := object.Parse(bytes.Clone(o.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	bad.spoil(appendDataKey(nil, p, k))
	if _, _, err := s.Read(p, k, nil); kv.KindOf(err) != kv.KindCorrupt {
		t.Fatalf("a damaged record is read: %v", err)
	}
	upkeep(t, s)
	if bad.drops == 0 {
		t.Fatal("nothing was cut out")
	}
	mustMergeData(t, s, p, k, in, nil)
	if _, found, err := bad.Engine.Get(appendDataKey(nil, p, k), nil); err != nil || !found {
		t.Errorf("%v: the record is not there", err)
	}
}
