package replica

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// hintRing is a ring of self alone, with 4 partitions, so that a Store looks for
// hints when it is opened.
func hintRing(t testing.TB) *ring.Ring {
	t.Helper()
	params := ring.DefaultParams()
	params.N, params.R, params.W, params.Q = 1, 1, 1, 4
	r, err := ring.Claim(nil, params, 1, []ring.Node{{ID: self, Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// hintStore is a Store on e with a budget, opened as after a restart.
func hintStore(t testing.TB, e storage.Engine, source Source, max uint64) *Store {
	t.Helper()
	_, first, err := source.Next()
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.MaxHintBytes = max
	s, err := Open(cfg, self, e, source, rings{hintRing(t)}, first+1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newHintStore(t testing.TB) (*Store, storage.Engine) {
	t.Helper()
	e, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	return hintStore(t, e, &counter{}, 1<<30), e
}

func mustHint(t testing.TB, s *Store, owner kv.NodeID, p kv.Partition, k kv.Key, w object.Write) object.Object {
	t.Helper()
	o, _, _, err := s.PutHint(levelOf(s), owner, p, k, w, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func mustReadHints(t testing.TB, s *Store, p kv.Partition, k kv.Key) object.Object {
	t.Helper()
	o, buf, err := s.ReadHints(p, k, []byte("before"))
	if err != nil || !bytes.HasPrefix(buf, []byte("before")) {
		t.Fatalf("%v, buffer %q", err, buf)
	}
	return o
}

// mustPage returns all hints for owner in p, read in pages of n.
func mustPage(t testing.TB, s *Store, owner kv.NodeID, p kv.Partition, n int) []Hint {
	t.Helper()
	var all []Hint
	var after kv.Key
	for {
		page, done, err := s.HintPage(owner, p, after, n, 1<<20)
		if err != nil || len(page) > n || !done && len(page) == 0 {
			t.Fatalf("a page of %d hints, done %v, %v", len(page), done, err)
		}
		all = append(all, page...)
		if done {
			return all
		}
		after = page[len(page)-1].Key
	}
}

func mustMerge(t testing.TB, a, b object.Object) object.Object {
	t.Helper()
	o, _, _, err := object.Merge(nil, a, b)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func hintTestKey(i int) kv.Key { return kv.AppendKey(nil, "b", fmt.Appendf(nil, "key%03d", i)) }

// TestHintsAreRecordsOfTheirOwn: a key's data and its hints for two owners have
// different actors, and a read of the hints sees both.
func TestHintsAreRecordsOfTheirOwn(t *testing.T) {
	s, _ := newHintStore(t)
	k := hintTestKey(1)
	data := mustPut(t, s, 2, k, object.Write{Value: []byte("data")})
	for2 := mustHint(t, s, 2, 2, k, object.Write{Value: []byte("for 2")})
	for3 := mustHint(t, s, 3, 2, k, object.Write{Value: []byte("for 3")})
	if err := s.MergeHint(3, 2, k, data, nil); err != nil {
		t.Fatal(err)
	}
	for3 = mustMerge(t, for3, data)
	if n := for3.Clock().Len(); n != 2 {
		t.Errorf("the hint for 3, with the data merged into it, has %d actors", n)
	}
	if got := mustReadHints(t, s, 2, k); !bytes.Equal(got.Bytes(), mustMerge(t, for2, for3).Bytes()) {
		t.Errorf("the hints are read as %x", got.Bytes())
	}
	if got := mustRead(t, s, 2, k); !bytes.Equal(got.Bytes(), data.Bytes()) {
		t.Errorf("the data is %x, want %x", got.Bytes(), data.Bytes())
	}
	if got := mustReadHints(t, s, 1, k); got.Bytes() != nil {
		t.Errorf("another partition has %x", got.Bytes())
	}
	if got := mustReadHints(t, s, 2, hintTestKey(2)); got.Bytes() != nil {
		t.Errorf("another key has %x", got.Bytes())
	}
	page := mustPage(t, s, 3, 2, 9)
	if len(page) != 1 || !bytes.Equal(page[0].Key, k) || !bytes.Equal(page[0].Object.Bytes(), for3.Bytes()) || page[0].Version != object.VersionHash(for3) {
		t.Errorf("the page is %+v", page)
	}
}

// TestDeleteHintOnlyUnchanged: what was written to a hint after it was read is
// not deleted with it.
func TestDeleteHintOnlyUnchanged(t *testing.T) {
	s, _ := newHintStore(t)
	k := hintTestKey(1)
	mustHint(t, s, 2, 0, k, object.Write{Value: []byte("v")})
	old := mustPage(t, s, 2, 0, 9)[0]
	changed := mustHint(t, s, 2, 0, k, object.Write{Value: []byte("w")})
	del := func(owner kv.NodeID, p kv.Partition, k kv.Key, version uint64) bool {
		deleted, err := s.DeleteHint(owner, p, k, version)
		if err != nil {
			t.Fatal(err)
		}
		return deleted
	}
	version := object.VersionHash(changed)
	if del(2, 0, k, old.Version) || del(3, 0, k, version) || del(2, 1, k, version) || del(2, 0, hintTestKey(2), version) || del(2, 0, hintTestKey(2), 0) {
		t.Error("a hint was deleted that is another one")
	}
	if got := mustReadHints(t, s, 0, k); !bytes.Equal(got.Bytes(), changed.Bytes()) {
		t.Errorf("the hint is %x, want %x", got.Bytes(), changed.Bytes())
	}
	if !del(2, 0, k, version) || del(2, 0, k, version) {
		t.Error("it is not deleted once")
	}
	if s.HoldsHints(0) || len(s.Hints()) != 0 || len(s.HintPartitions(2)) != 0 {
		t.Errorf("left are %+v", s.Hints())
	}
}

func TestHintPages(t *testing.T) {
	s, _ := newHintStore(t)
	var want []string
	size := 0
	for i := range 10 {
		k := hintTestKey(9 - i)
		size = len(k) + len(mustHint(t, s, 2, 0, k, object.Write{Value: []byte("v")}).Bytes())
		mustHint(t, s, 3, 0, k, object.Write{Value: []byte("other owner")})
		mustHint(t, s, 1, 0, k, object.Write{Value: []byte("other owner")})
		want = append(want, string(hintTestKey(i)))
	}
	for _, n := range []int{1, 3, 5, 10, 11} {
		var got []string
		for _, h := range mustPage(t, s, 2, 0, n) {
			got = append(got, string(h.Key))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in pages of %d (-want +got):\n%s", n, diff)
		}
	}
	for _, c := range []struct{ bytes, keys int }{{1, 1}, {size, 1}, {size + 1, 2}, {10 * size, 10}, {1 << 30, 10}} {
		page, done, err := s.HintPage(2, 0, nil, 100, c.bytes)
		if err != nil || len(page) != c.keys || done != (c.keys == 10) {
			t.Errorf("a page of %d bytes has %d hints, done %v, %v; want %d", c.bytes, len(page), done, err, c.keys)
		}
	}
}

// TestHandleHints: a put that names an owner is kept as a hint for it, whoever
// owns the key, and a read that asks for hints sees them beside the copy.
func TestHandleHints(t *testing.T) {
	s, _ := newHintStore(t)
	k := hintTestKey(1)
	p := s.ring().PartitionOf(k)
	donor, _ := newStore(t, nil)
	in := mustPut(t, donor, p, k, object.Write{Value: []byte("in")})
	put := (&wire.ReplicaPut{Ack: wire.AckDurable, For: 2, Key: k, Object: in.Bytes()}).AppendTo(nil)
	wantLines(t, "a hint", ask(s, wire.TypeReplicaPut, 1, put), fmt.Sprintf("9 replica put %02x", wire.AckDurable))
	read := func(hints bool) []string {
		return ask(s, wire.TypeReplicaRead, 1, (&wire.ReplicaRead{Hints: hints, Key: k}).AppendTo(nil))
	}
	copyOf := func(o object.Object) string { return fmt.Sprintf("9 replica read %02x%x", wire.CopyObject, o.Bytes()) }
	wantLines(t, "without hints", read(false), fmt.Sprintf("9 replica read %02x", wire.CopyAbsent))
	wantLines(t, "with hints", read(true), copyOf(in))
	own := mustPut(t, s, p, k, object.Write{Value: []byte("own")})
	wantLines(t, "the copy alone", read(false), copyOf(own))
	wantLines(t, "the copy and its hints", read(true), copyOf(mustMerge(t, own, in)))

	s.hints.max = 1
	put = (&wire.ReplicaPut{Ack: wire.AckApplied, For: 3, Key: k, Object: in.Bytes()}).AppendTo(nil)
	wantLines(t, "over the budget", ask(s, wire.TypeReplicaPut, 1, put), "9 replica put error hints full applied no")
}

// TestHintBudget: at the limit a new hint is declined, one byte below it is
// not. Hints that exist grow, and so does the data.
func TestHintBudget(t *testing.T) {
	probe, _ := newHintStore(t)
	mustHint(t, probe, 2, 0, hintTestKey(1), object.Write{Value: []byte("v")})
	size := probe.Hints()[0].Bytes
	for _, c := range []struct {
		max  uint64
		full bool
	}{{size + 1, false}, {size, true}, {size - 1, true}} {
		e, err := memory.Open(memory.Default())
		if err != nil {
			t.Fatal(err)
		}
		s := hintStore(t, e, &counter{}, c.max)
		first := mustHint(t, s, 2, 0, hintTestKey(1), object.Write{Value: []byte("v")})
		var ack acknowledged
		_, _, _, putErr := s.PutHint(levelOf(s), 2, 0, hintTestKey(2), object.Write{Value: []byte("v")}, nil, &ack)
		mergeErr := s.MergeHint(3, 1, hintTestKey(1), first, &ack)
		if !c.full {
			if putErr != nil || mergeErr != nil && kv.KindOf(mergeErr) != kv.KindHintsFull {
				t.Errorf("budget %d: %v, %v", c.max, putErr, mergeErr)
			}
			continue
		}
		for _, err := range []error{putErr, mergeErr} {
			if kv.KindOf(err) != kv.KindHintsFull || kv.AppliedOf(err) != kv.AppliedNo || ack.n.Load() != 0 {
				t.Errorf("budget %d, %d used: %v", c.max, size, err)
			}
		}
		if st := s.Hints(); len(st) != 1 || st[0].Keys != 1 || s.HoldsHints(1) || mustReadHints(t, s, 0, hintTestKey(2)).Bytes() != nil {
			t.Errorf("what was declined is there: %+v", st)
		}
		mustHint(t, s, 2, 0, hintTestKey(1), object.Write{Value: make([]byte, 1000)})
		mustPut(t, s, 0, hintTestKey(2), object.Write{Value: []byte("v")})
		if err := s.MergeHint(2, 0, hintTestKey(1), first, nil); err != nil {
			t.Error(err)
		}
		h := mustPage(t, s, 2, 0, 1)[0]
		if ok, err := s.DeleteHint(2, 0, h.Key, h.Version); err != nil || !ok {
			t.Fatal(ok, err)
		}
		mustHint(t, s, 3, 1, hintTestKey(2), object.Write{Value: []byte("v")})
	}
}

// TestReaddressedHintBudget: what stands here as a hint already may stand here as
// another one past the budget, up to twice as much.
func TestReaddressedHintBudget(t *testing.T) {
	probe, _ := newHintStore(t)
	mustHint(t, probe, 2, 0, hintTestKey(1), object.Write{Value: []byte("v")})
	size := probe.Hints()[0].Bytes
	for _, c := range []struct {
		max      uint64
		declined bool
	}{{size, false}, {size/2 + 1, false}, {size / 2, true}} {
		e, err := memory.Open(memory.Default())
		if err != nil {
			t.Fatal(err)
		}
		s := hintStore(t, e, &counter{}, c.max)
		o := mustHint(t, s, 2, 0, hintTestKey(1), object.Write{Value: []byte("v")})
		var ack acknowledged
		err = s.ReaddressHint(3, 0, hintTestKey(1), o, &ack)
		if c.declined {
			if kv.KindOf(err) != kv.KindHintsFull || ack.n.Load() != 0 || len(s.Hints()) != 1 {
				t.Errorf("budget %d, %d used: %v", c.max, size, err)
			}
			continue
		}
		if err != nil || ack.n.Load() != 1 || len(mustPage(t, s, 3, 0, 1)) != 1 {
			t.Errorf("budget %d, %d used: %v", c.max, size, err)
		}
		if err := s.MergeHint(4, 0, hintTestKey(1), o, nil); kv.KindOf(err) != kv.KindHintsFull {
			t.Errorf("budget %d, more than it used: %v", c.max, err)
		}
	}
}

// lateRings is a Rings that gets its ring later.
type lateRings struct{ rings }

// TestHintsFoundOnceThereIsARing: a node that does not know its ring when it
// starts finds its hints once it does.
func TestHintsFoundOnceThereIsARing(t *testing.T) {
	s, e := newHintStore(t)
	mustHint(t, s, 2, 3, hintTestKey(1), object.Write{Value: []byte("v")})
	want := s.Hints()
	late := &lateRings{}
	again := mustOpen(t, 0, self, e, &counter{}, late, 1)
	if len(again.Hints()) != 0 {
		t.Error("hints are found in unknown partitions")
	}
	late.ring = hintRing(t)
	if !again.HoldsHints(3) || again.HoldsHints(2) {
		t.Error("the hint is not found")
	}
	if diff := cmp.Diff(want, again.Hints()); diff != "" {
		t.Errorf("-before +after:\n%s", diff)
	}
}

// asking looks at the Store when it is told that a hint is durable.
type asking struct {
	t     *testing.T
	s     *Store
	asked bool
}

func (a *asking) Durable(error) {
	a.asked = true
	if !a.s.HoldsHints(1) {
		a.t.Error("a hint was acknowledged before it could be found")
	}
}

// TestHintIsFoundWhenItIsAcknowledged: the engine may tell that a hint is durable
// before the write has returned.
func TestHintIsFoundWhenItIsAcknowledged(t *testing.T) {
	s, _ := newHintStore(t)
	a := &asking{t: t, s: s}
	if _, _, _, err := s.PutHint(levelOf(s), 2, 1, hintTestKey(1), object.Write{Value: []byte("v")}, nil, a); err != nil || !a.asked {
		t.Error(err, a.asked)
	}
	if s.HoldsHints(0) || !s.HoldsHints(1) {
		t.Error("the hint is in another partition")
	}
}

// TestRefusedHintLeavesNothing: a hint that could not be written is not counted.
func TestRefusedHintLeavesNothing(t *testing.T) {
	e, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	broken := newLyingEngine(e)
	s := hintStore(t, broken, &counter{}, 1<<30)
	broken.lie = true
	if _, _, _, err := s.PutHint(levelOf(s), 2, 1, hintTestKey(1), object.Write{Value: []byte("v")}, nil, nil); kv.KindOf(err) != kv.KindStorage {
		t.Fatal(err)
	}
	if _, _, _, err := s.PutHint(1, 2, 1, hintTestKey(1), object.Write{Value: []byte("v")}, nil, nil); kv.KindOf(err) != kv.KindStaleRing {
		t.Fatal(err)
	}
	s.saved.Store(true)
	donor, _ := newStore(t, nil)
	if err := s.MergeHint(2, 1, hintTestKey(1), mustPut(t, donor, 1, hintTestKey(1), object.Write{}), nil); kv.KindOf(err) != kv.KindClosed {
		t.Fatal(err)
	}
	if s.HoldsHints(1) || len(s.Hints()) != 0 || len(s.hints.mu.owners)+len(s.hints.mu.shelves) != 0 {
		t.Errorf("left are %+v, %v", s.Hints(), s.hints.mu.owners)
	}
}

// durableCh is a storage.Waiter that passes on what it is told.
type durableCh chan error

func (c durableCh) Durable(err error) { c <- err }

// busyEngine does something else before or after the next write.
type busyEngine struct {
	storage.Engine
	before, after func()
}

func (e *busyEngine) Apply(b *storage.Batch, w storage.Waiter) error {
	before, after := e.before, e.after
	e.before, e.after = nil, nil
	if before != nil {
		before()
	}
	err := e.Engine.Apply(b, w)
	if after != nil {
		after()
	}
	return err
}

// TestLastHintGoesWhileAnotherComes: they are counted on the same shelf.
func TestLastHintGoesWhileAnotherComes(t *testing.T) {
	m, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	e := &busyEngine{Engine: m}
	s := hintStore(t, e, &counter{}, 1<<30)
	old := mustHint(t, s, 2, 1, hintTestKey(1), object.Write{Value: []byte("v")})
	e.before = func() {
		if ok, err := s.DeleteHint(2, 1, hintTestKey(1), object.VersionHash(old)); err != nil || !ok {
			t.Error(ok, err)
		}
	}
	mustHint(t, s, 2, 1, hintTestKey(2), object.Write{Value: []byte("v")})
	if st := s.Hints(); len(st) != 1 || st[0].Keys != 1 || !s.HoldsHints(1) || len(mustPage(t, s, 2, 1, 9)) != 1 {
		t.Errorf("counted are %+v", st)
	}
}

// TestAgeOfAHint: it is as old as the latest write in it, or that it has seen.
func TestAgeOfAHint(t *testing.T) {
	s, _ := newHintStore(t)
	k := hintTestKey(1)
	mustHint(t, s, 2, 0, k, object.Write{Value: []byte("v"), Now: 70})
	o := mustHint(t, s, 2, 0, k, object.Write{Value: []byte("w"), Now: 50})
	if at := latest(o); at != 70 {
		t.Errorf("with writes of 50 and 70 it is of %d", at)
	}
	seen := bytes.Clone(o.Bytes()[:6+len(o.Clock())])
	seen[4], seen[5] = 0, 0 // no siblings
	only, err := object.Parse(seen)
	if err != nil {
		t.Fatal(err)
	}
	if at := latest(only); at != 50 {
		t.Errorf("without siblings it is of %d", at)
	}
}

// TestHintsOutliveACrash: what was accepted durably is there after a power loss,
// on every engine; a deletion may be undone.
func TestHintsOutliveACrash(t *testing.T) {
	for name, newDisk := range disks {
		t.Run(name, func(t *testing.T) {
			d, source := newDisk(), &counter{}
			e := d.open(t)
			s := hintStore(t, e, source, 1<<30)
			told := make(durableCh, 20)
			for i := range 20 {
				_, _, _, err := s.PutHint(levelOf(s), 2, kv.Partition(i%4), hintTestKey(i), object.Write{Value: []byte("v")}, nil, told)
				if err != nil {
					t.Fatal(err)
				}
			}
			for range 20 {
				if err := <-told; err != nil {
					t.Fatal(err)
				}
			}
			before := s.Hints()
			h := mustPage(t, s, 2, 0, 1)[0]
			if ok, err := s.DeleteHint(2, 0, h.Key, h.Version); err != nil || !ok {
				t.Fatal(ok, err)
			}
			after := s.Hints()
			crashed := d.crashed().open(t)
			again := hintStore(t, crashed, source, 1<<30).Hints()
			if cmp.Diff(before, again) != "" && cmp.Diff(after, again) != "" {
				t.Errorf("before the crash %+v or %+v, after it %+v", before, after, again)
			}
			_, _ = e.Close(), crashed.Close()
		})
	}
}

// TestPartitionWithoutHintsIsCheap: that is what every get of a stand-in asks.
func TestPartitionWithoutHintsIsCheap(t *testing.T) {
	s, _ := newHintStore(t)
	mustHint(t, s, 2, 1, hintTestKey(1), object.Write{Value: []byte("v")})
	k, buf := hintTestKey(1), make([]byte, 0, 1<<10)
	for p, want := range map[kv.Partition]float64{0: 0, 2: 0} {
		if n := testing.AllocsPerRun(100, func() {
			if _, _, err := s.ReadHints(p, k, buf); err != nil || s.HoldsHints(p) {
				t.Error(err)
			}
		}); n != want {
			t.Errorf("partition %d: %v allocations", p, n)
		}
	}
}

func BenchmarkReadHintsNone(b *testing.B) {
	s, _ := newHintStore(b)
	mustHint(b, s, 2, 1, hintTestKey(1), object.Write{Value: []byte("v")})
	k := hintTestKey(1)
	for b.Loop() {
		if _, _, err := s.ReadHints(2, k, nil); err != nil {
			b.Fatal(err)
		}
	}
}
