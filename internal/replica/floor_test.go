package replica

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// between is an engine that calls a func after a scan, and before everything
// else that it does: what others do while the store waits.
type between struct {
	storage.Engine
	scan, drop, sync, apply func()
}

func (e *between) Apply(b *storage.Batch, w storage.Waiter) error {
	if e.apply != nil {
		e.apply()
	}
	return e.Engine.Apply(b, w)
}

func (e *between) Scan(p storage.Prefix, from []byte, fn func(key, value []byte) bool) error {
	err := e.Engine.Scan(p, from, fn)
	if e.scan != nil {
		e.scan()
	}
	return err
}

func (e *between) Drop(from, to []byte) error {
	if e.drop != nil {
		e.drop()
	}
	return e.Engine.Drop(from, to)
}

func (e *between) Sync() error {
	if e.sync != nil {
		e.sync()
	}
	return e.Engine.Sync()
}

func newBetween(t testing.TB) (*Store, *between) {
	s, e := newStore(t, testRing(t, 1))
	b := &between{Engine: e}
	s.engine = b
	return s, b
}

func selfFloor(seq uint64) vclock.Floor { return vclock.AppendFloorEntry(nil, self, seq) }

// hooked is a Source that calls a func before the next number is used.
type hooked struct {
	counter
	then func()
}

func (h *hooked) Next() (kv.NodeID, uint64, error) {
	id, seq, err := h.counter.Next()
	if then := h.then; then != nil {
		h.then = nil
		then()
	}
	return id, seq, err
}

// TestLow: a put that drew its number before Low and is applied after it gets
// another one.
func TestLow(t *testing.T) {
	_, e := newStore(t, nil)
	source := &hooked{}
	s := mustOpen(t, 0, self, e, source, rings{}, 1)
	k := kv.AppendKey(nil, "b", []byte("k"))
	var low uint64
	source.then = func() {
		var err error
		if low, err = s.Low(); err != nil {
			t.Fatal(err)
		}
	}
	o := mustPut(t, s, 0, k, object.Write{Value: []byte("v")})
	c := o.Siblings()
	if c.Next(); low != 2 || c.Seq != 3 || c.Birth != 3 {
		t.Errorf("the put has sequence %d and actor %d, the low-water mark is %d", c.Seq, c.Birth, low)
	}
}

// TestRaiseFloor: floors join, are durable before they are used, and what a
// reset took away meanwhile stays away.
func TestRaiseFloor(t *testing.T) {
	s, e := newBetween(t)
	parts := []kv.Partition{3, 5}
	raise := func(f vclock.Floor) {
		t.Helper()
		if err := s.RaiseFloor(parts, f); err != nil {
			t.Fatal(err)
		}
	}
	check := func(p kv.Partition, want vclock.Floor) {
		t.Helper()
		f, version := s.Floor(p)
		stored, _, err := e.Get(metaKey(p, metaFloor), nil)
		if !slices.Equal(f, want) || version != want.Version() || !slices.Equal(stored, want) || err != nil {
			t.Errorf("partition %d has floor %x, version %x, on disk %x (%v), want %x", p, f, version, stored, err, want)
		}
	}
	syncs := 0
	e.sync = func() {
		syncs++
		if f, _ := s.Floor(3); len(f) > 0 {
			t.Error("the floor is used before it is durable")
		}
	}
	raise(selfFloor(5))
	if e.sync = nil; syncs != 2 {
		t.Errorf("%d syncs, want one of the data and one of the floors", syncs)
	}
	other := vclock.AppendFloorEntry(nil, 9, 7)
	raise(other)
	raise(selfFloor(4))
	want := vclock.Floor(vclock.AppendFloorJoin(nil, selfFloor(5), other))
	check(3, want)
	check(5, want)
	check(4, nil)
	// Another raise is done between this one's write and its use.
	syncs = 0
	e.sync = func() {
		if syncs++; syncs == 2 {
			e.sync = nil
			raise(vclock.AppendFloorEntry(nil, 11, 1))
		}
	}
	raise(selfFloor(8))
	both := vclock.AppendFloorJoin(nil, other, vclock.AppendFloorEntry(nil, 11, 1))
	check(3, vclock.AppendFloorJoin(nil, selfFloor(8), both))
	resets := 0
	e.sync = func() {
		if resets++; resets == 2 { // the floors are written
			e.sync = nil
			if err := s.ResetFloor(3); err != nil {
				t.Fatal(err)
			}
			if err := s.MarkDamaged(5, errDamaged(5)); err != nil {
				t.Fatal(err)
			}
		}
	}
	raise(selfFloor(20))
	check(3, nil)
	check(5, nil)
	raise(selfFloor(30))
	check(3, selfFloor(30))
	check(5, nil)
}

// TestDropCopyRefusesWrites: what is written while a copy goes is refused, not
// lost, and the next write finds an empty copy without a floor.
func TestDropCopyRefusesWrites(t *testing.T) {
	s, e := newBetween(t)
	k := kv.AppendKey(nil, "b", []byte("k"))
	o := mustPut(t, s, 0, k, object.Write{Value: []byte("v")})
	if err := s.RaiseFloor([]kv.Partition{0}, selfFloor(1)); err != nil {
		t.Fatal(err)
	}
	tombstone := kv.AppendKey(nil, "b", []byte("deleted"))
	mustPut(t, s, 0, tombstone, object.Write{Deleted: true})
	_, _, changes := s.Tree(0)
	e.drop = func() {
		e.apply = func() { t.Error("something is written") }
		defer func() { e.apply = nil }()
		_, _, _, err := s.Put(levelOf(s), 0, k, object.Write{Value: []byte("w")}, nil, nil)
		merge := s.Merge(0, kv.AppendKey(nil, "b", []byte("other")), o, nil, nil)
		for op, err := range map[string]error{"put": err, "merge": merge} {
			if err == nil || kv.KindOf(err) != kv.KindStaleRing || kv.AppliedOf(err) != kv.AppliedNo {
				t.Errorf("while the copy is dropped, a %s: %v", op, err)
			}
		}
		if err := s.LeafKeys(0, merkle.LeafOf(merkle.Position(tombstone)), selfFloor(50), func(kv.Key, uint64) bool { return true }); err != nil {
			t.Error(err)
		}
		if err := s.RaiseFloor([]kv.Partition{0}, selfFloor(9)); err != nil {
			t.Error(err)
		}
		if again, err := s.DropCopy(0, changes); again || err != nil {
			t.Errorf("it is dropped twice: %v", err)
		}
	}
	if dropped, err := s.DropCopy(0, changes); !dropped || err != nil {
		t.Fatalf("dropped: %v, %v", dropped, err)
	}
	if f, _ := s.Floor(0); len(f) > 0 || len(s.Held()) > 0 {
		t.Errorf("the dropped copy has floor %x, the node holds %v", f, s.Held())
	}
	if o := mustRead(t, s, 0, k); o.Bytes() != nil {
		t.Error("the key is still there")
	}
	mustPut(t, s, 0, k, object.Write{Value: []byte("w")})
	if err := checkTree(s, e, 0); err != nil || !slices.Equal(s.Held(), []kv.Partition{0}) {
		t.Errorf("%v, the node holds %v", err, s.Held())
	}
}

// TestDropCopyWaitsForWrites: a write that was under way when the dropping began
// is a change.
func TestDropCopyWaitsForWrites(t *testing.T) {
	s, e := newBetween(t)
	k := kv.AppendKey(nil, "b", []byte("k"))
	mustPut(t, s, 0, k, object.Write{Value: []byte("v")})
	_, _, changes := s.Tree(0)
	done := make(chan struct{})
	e.apply = func() {
		e.apply = nil
		go func() {
			defer close(done)
			if dropped, err := s.DropCopy(0, changes); dropped || err != nil {
				t.Errorf("it is dropped, with a write under way: %v", err)
			}
		}()
		for range 1000 {
			runtime.Gosched()
		}
	}
	mustPut(t, s, 0, k, object.Write{Value: []byte("w")})
	<-done
	if got := mustRead(t, s, 0, k).Len(); got != 2 {
		t.Errorf("%d siblings are left", got)
	}
}

// TestMergeOfNothing: where the floors let nothing stand no record is left, and
// whoever waits for the disk is told.
func TestMergeOfNothing(t *testing.T) {
	s, e := newBetween(t)
	k := kv.AppendKey(nil, "b", []byte("k"))
	written := func() int {
		n := 0
		e.apply = func() { n++ }
		var ack acknowledged
		err := s.Merge(0, k, object.Object{}, selfFloor(9), &ack)
		if e.apply = nil; err != nil || ack.n.Load() != 1 {
			t.Errorf("%v, told %d times", err, ack.n.Load())
		}
		return n
	}
	if n := written(); n != 0 {
		t.Errorf("of nothing %d records are written", n)
	}
	// A record of which the floor leaves nothing goes with the next merge.
	mustPut(t, s, 0, k, object.Write{Deleted: true})
	if err := s.RaiseFloor([]kv.Partition{0}, selfFloor(9)); err != nil {
		t.Fatal(err)
	}
	if n := written(); n != 1 || len(s.Held()) != 0 {
		t.Errorf("%d writes, the node holds %v", n, s.Held())
	}
	if o := mustRead(t, s, 0, k); o.Bytes() != nil {
		t.Errorf("there is %x left", o.Bytes())
	}
}

// TestLeafKeysUnderLowerFloor: a listing under a floor that the copy's own has
// overtaken changes no record.
func TestLeafKeysUnderLowerFloor(t *testing.T) {
	s, e := newBetween(t)
	k := kv.AppendKey(nil, "b", []byte("k"))
	mustPut(t, s, 0, k, object.Write{Deleted: true})
	list := func(f vclock.Floor) (n int) {
		t.Helper()
		err := s.LeafKeys(0, merkle.LeafOf(merkle.Position(k)), f, func(kv.Key, uint64) bool { n++; return true })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := list(nil); n != 1 {
		t.Errorf("%d keys without a floor", n)
	}
	if err := s.RaiseFloor([]kv.Partition{0}, selfFloor(1)); err != nil {
		t.Fatal(err)
	}
	_, _, before := s.Tree(0)
	if n := list(selfFloor(1)); n != 0 {
		t.Errorf("%d keys under the floor", n)
	}
	// A digest that is refreshed is no change of an object.
	if _, root, changes := s.Tree(0); root != 0 || changes != before {
		t.Errorf("of a record of which the floor leaves nothing the root is %x, after %d changes", root, changes-before)
	}
	e.apply = func() { t.Error("it is written") }
	if n := list(nil); n != 1 {
		t.Errorf("%d keys without a floor, later", n)
	}
}

// TestRebuildBeginsAnew: a window that was read before the rebuilding began anew
// is not entered.
func TestRebuildBeginsAnew(t *testing.T) {
	s, e := newBetween(t)
	for i := range 50 {
		mustPut(t, s, 0, kv.AppendKey(nil, "b", fmt.Appendf(nil, "key %d", i)), object.Write{Value: []byte("v")})
	}
	part, err := s.part(0)
	if err != nil {
		t.Fatal(err)
	}
	part.restart()
	for i := range 20 {
		if i == 5 {
			e.scan = func() { e.scan = nil; part.restart() }
		}
		if _, err := s.Upkeep(500); err != nil {
			t.Fatal(err)
		}
		if err := checkTree(s, e, 0); err != nil {
			t.Fatalf("slice %d: %v", i, err)
		}
	}
	if state, _, _ := s.Tree(0); state != TreeReady {
		t.Errorf("the tree is in state %d", state)
	}
}

// TestReap: tombstones and several clock entries go once the floor covers them,
// one or two entries alone do not cost a write, and values stay.
func TestReap(t *testing.T) {
	s, e := newStore(t, testRing(t, 1))
	key := func(name string) kv.Key { return kv.AppendKey(nil, "b", []byte(name)) }
	p := kv.Partition(0)
	mustPut(t, s, p, key("deleted"), object.Write{Deleted: true})
	mustPut(t, s, p, key("kept"), object.Write{Value: []byte("v")})
	both := mustPut(t, s, p, key("both"), object.Write{Value: []byte("v")})
	mustPut(t, s, p, key("both"), object.Write{Deleted: true})
	// Clocks of several nodes, whose values the last one has superseded.
	for name, nodes := range map[string]int{"few": reapEntries, "many": reapEntries + 1} {
		var o object.Object
		for id := range nodes {
			_, engine := newStore(t, nil)
			other := mustOpen(t, 0, kv.NodeID(100+id), engine, &sequence{id: kv.NodeID(100 + id), reserved: new(uint64)}, rings{}, 1)
			if err := other.Merge(p, key(name), o, nil, nil); err != nil {
				t.Fatal(err)
			}
			o = mustPut(t, other, p, key(name), object.Write{Value: []byte("v"), Context: object.ContextOf(o)})
		}
		if err := s.Merge(p, key(name), o, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, reapable := s.Usage(p); reapable != 3 {
		t.Errorf("%d records can be reaped, want deleted, both and many", reapable)
	}
	upkeep(t, s)
	if _, _, reapable := s.Usage(p); reapable != 3 {
		t.Error("something is reaped without a floor")
	}
	f := selfFloor(100)
	for id := range reapEntries + 1 {
		f = vclock.AppendFloorJoin(nil, f, vclock.AppendFloorEntry(nil, kv.NodeID(100+id), 100))
	}
	_, _, before := s.Tree(p)
	// One entry alone of the four of "many" is not worth a write.
	if err := s.RaiseFloor([]kv.Partition{p}, vclock.AppendFloorEntry(nil, 100, 100)); err != nil {
		t.Fatal(err)
	}
	upkeep(t, s)
	if _, _, changes := s.Tree(p); changes != before {
		t.Errorf("%d records were changed for an entry each", changes-before)
	}
	if err := s.RaiseFloor([]kv.Partition{p}, f); err != nil {
		t.Fatal(err)
	}
	upkeep(t, s)
	keys, _, reapable := s.Usage(p)
	if keys != 4 || reapable != 0 {
		t.Errorf("%d keys are left, %d to reap", keys, reapable)
	}
	if _, _, changes := s.Tree(p); changes != before+3 {
		t.Errorf("%d records were changed, want 3", changes-before)
	}
	for name, want := range map[string][2]int{"deleted": {0, 0}, "kept": {1, 1}, "both": {1, 1}, "few": {1, reapEntries}, "many": {1, 1}} {
		if o := mustRead(t, s, p, key(name)); o.Len() != want[0] || o.Clock().Len() != want[1] {
			t.Errorf("%s has %d siblings and %d clock entries, want %v", name, o.Len(), o.Clock().Len(), want)
		}
	}
	if err := checkTree(s, e, p); err != nil {
		t.Error(err)
	}
	// What was deleted does not come back, and leaves no record.
	if err := s.Merge(p, key("deleted"), both, nil, &acknowledged{}); err != nil {
		t.Fatal(err)
	}
	if keys, _, _ := s.Usage(p); keys != 4 {
		t.Errorf("%d keys, after an old object came late", keys)
	}
}

// TestReadUnder: an object comes with the floor of its moment, also when the
// floor changes while it is read.
func TestReadUnder(t *testing.T) {
	s, e := newStore(t, testRing(t, 1))
	k := kv.AppendKey(nil, "b", []byte("k"))
	o := mustPut(t, s, 0, k, object.Write{Value: []byte("v")})
	slow := &readHook{Engine: e, then: func() {
		if err := s.RaiseFloor([]kv.Partition{0}, selfFloor(1)); err != nil {
			t.Fatal(err)
		}
	}}
	s.engine = slow
	got, f, version, _, err := s.ReadUnder(levelOf(s), 0, k, nil)
	if err != nil || !slices.Equal(got.Bytes(), o.Bytes()) || !slices.Equal(f, selfFloor(1)) || version != f.Version() || slow.reads != 2 {
		t.Errorf("%v: floor %x of version %x after %d reads", err, f, version, slow.reads)
	}
}

// readHook is an engine that calls a func after the first Get.
type readHook struct {
	storage.Engine
	then  func()
	reads int
}

func (e *readHook) Get(key, dst []byte) ([]byte, bool, error) {
	value, found, err := e.Engine.Get(key, dst)
	if e.reads++; e.then != nil {
		then := e.then
		e.then = nil
		then()
	}
	return value, found, err
}
