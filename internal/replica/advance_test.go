package replica

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// countingEngine counts batches and syncs, and may fail them.
type countingEngine struct {
	storage.Engine
	batches, syncs int
	fail           string
	// syncing is called in each sync.
	syncing func()
}

func (e *countingEngine) Apply(b *storage.Batch, w storage.Waiter) error {
	if e.fail == "batch" {
		return kv.Errorf(kv.KindDiskFull, "apply batch", "no space")
	}
	e.batches++
	return e.Engine.Apply(b, w)
}

func (e *countingEngine) Sync() error {
	if e.fail == "sync" {
		return kv.Errorf(kv.KindStorage, "sync", "the disk failed")
	}
	e.syncs++
	if e.syncing != nil {
		e.syncing()
	}
	return e.Engine.Sync()
}

// TestAdvanceManyAtOnce: a thousand stages cost one batch and one sync, and
// nothing when they are durable already; so do a thousand fills.
func TestAdvanceManyAtOnce(t *testing.T) {
	s, e := newStore(t, nil)
	counting := &countingEngine{Engine: e}
	s.engine = counting
	expect := func(what string, batches, syncs int) {
		t.Helper()
		if counting.batches != batches || counting.syncs != syncs {
			t.Errorf("%s: %d batches and %d syncs in all, want %d and %d", what, counting.batches, counting.syncs, batches, syncs)
		}
	}
	var to []Advance
	fills := map[kv.Partition]Fill{}
	for p := range kv.Partition(1000) {
		to = append(to, Advance{Partition: p, Puts: 2, Gets: 1}, Advance{Partition: p, Puts: 1, Gets: 2})
		fills[p] = Fill{Level: 2, Sources: []kv.NodeID{2, 3}, Done: p%2 == 0}
	}
	slices.Reverse(to)
	mustAdvance(t, s, to...)
	expect("stages", 1, 1)
	mustAdvance(t, s, to...)
	expect("the same stages", 1, 1)
	if err := s.SetFills(fills); err != nil {
		t.Fatal(err)
	}
	expect("fills", 2, 2)
	again := mustOpen(t, 0, self, e, &counter{}, rings{}, 1)
	for _, p := range []kv.Partition{0, 500, 999} {
		for _, s := range []*Store{s, again} {
			if puts, gets := s.Stage(p); puts != 2 || gets != 2 {
				t.Errorf("stage of %d: %v, %v", p, puts, gets)
			}
			wantFill(t, "one of many", s, p, fills[p])
		}
	}
	mustAdvance(t, s)
	if err := s.SetFills(nil); err != nil {
		t.Fatal(err)
	}
	expect("nothing", 2, 2+1)
}

// TestFailedAdvance: what could not be made durable is not told, but refuses all
// the same; the next try makes it durable.
func TestFailedAdvance(t *testing.T) {
	k := kv.AppendKey(nil, "b", []byte("k"))
	for _, fail := range []string{"batch", "sync"} {
		s, e := newStore(t, nil)
		failing := &countingEngine{Engine: e, fail: fail}
		s.engine = failing
		if err := s.Advance([]Advance{{Partition: 0, Puts: 5, Gets: 6}}); err == nil {
			t.Fatalf("a failed %s is no error", fail)
		}
		if puts, gets := s.Stage(0); puts != 0 || gets != 0 {
			t.Errorf("failed %s: it tells %v, %v", fail, puts, gets)
		}
		refused := func(level kv.Level) (put, get bool) {
			_, _, _, err := s.Put(level, 0, k, object.Write{Value: []byte("v")}, nil, nil)
			put = err != nil && kv.KindOf(err) == kv.KindStaleRing
			_, _, _, _, err = s.ReadUnder(level, 0, k, nil)
			return put, err != nil && kv.KindOf(err) == kv.KindStaleRing
		}
		if put, get := refused(4); !put || !get {
			t.Errorf("failed %s: below the stage, a put is refused: %v, a get: %v", fail, put, get)
		}
		if put, get := refused(6); put || get {
			t.Errorf("failed %s: at the stage, a put is refused: %v, a get: %v", fail, put, get)
		}
		failing.fail = ""
		mustAdvance(t, s, Advance{Partition: 0, Puts: 5, Gets: 6})
		if puts, gets := s.Stage(0); puts != 5 || gets != 6 || failing.syncs == 0 {
			t.Errorf("after a failed %s: it tells %v, %v", fail, puts, gets)
		}
	}
}

// TestAdvanceBlocksNothing: while it waits for the disk, requests are served, and
// refused, and other stages are raised.
func TestAdvanceBlocksNothing(t *testing.T) {
	s, e := newStore(t, nil)
	k := kv.AppendKey(nil, "b", []byte("k"))
	counting := &countingEngine{Engine: e}
	s.engine = counting
	counting.syncing = func() {
		counting.syncing = nil
		if puts, _ := s.Stage(0); puts != 0 {
			t.Errorf("it tells %v before that is durable", puts)
		}
		if _, _, _, err := s.Put(4, 0, k, object.Write{Value: []byte("v")}, nil, nil); kv.KindOf(err) != kv.KindStaleRing {
			t.Errorf("a put below the stage: %v", err)
		}
		if _, _, _, err := s.Put(5, 0, k, object.Write{Value: []byte("v")}, nil, nil); err != nil {
			t.Errorf("a put at the stage: %v", err)
		}
		if _, _, _, _, err := s.ReadUnder(1, 0, k, nil); err != nil {
			t.Errorf("a read: %v", err)
		}
		mustAdvance(t, s, Advance{Partition: 0, Puts: 7, Gets: 0}, Advance{Partition: 1, Puts: 1, Gets: 1})
		if puts, _ := s.Stage(0); puts != 7 {
			t.Errorf("it tells %v, and not what is durable", puts)
		}
	}
	mustAdvance(t, s, Advance{Partition: 0, Puts: 5, Gets: 0})
	if puts, _ := s.Stage(0); puts != 7 || counting.syncs != 2 {
		t.Errorf("it tells %v after %d syncs", puts, counting.syncs)
	}
	if puts, _ := mustOpen(t, 0, self, e, &counter{}, rings{}, 1).Stage(0); puts != 7 {
		t.Errorf("the engine has %v", puts)
	}
}

// TestAdvanceAfterSave: a Store that has ended changes nothing.
func TestAdvanceAfterSave(t *testing.T) {
	s, _ := newStore(t, testRing(t, 1))
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	if err := s.Advance([]Advance{{Partition: 0, Puts: 1, Gets: 1}}); err == nil || kv.KindOf(err) != kv.KindClosed {
		t.Errorf("Advance: %v", err)
	}
	if err := s.SetFills(map[kv.Partition]Fill{0: {Level: 1}}); err == nil || kv.KindOf(err) != kv.KindClosed {
		t.Errorf("SetFills: %v", err)
	}
}

// TestParseStageAndFill: what is no stage or fill is damage, what another release
// wrote is not.
func TestParseStageAndFill(t *testing.T) {
	stage := (&stage{puts: 1, gets: 2}).appendTo(nil)
	fill := (&Fill{Level: 3, Sources: []kv.NodeID{4, 5}, Done: true}).appendTo(nil)
	for _, c := range []struct {
		what  string
		parse func([]byte) error
		b     []byte
	}{
		{"stage", func(b []byte) error { _, err := parseStage(b); return err }, stage},
		{"fill", func(b []byte) error { _, err := parseFill(b); return err }, fill},
	} {
		if err := c.parse(c.b); err != nil {
			t.Errorf("a %s: %v", c.what, err)
		}
		for _, bad := range [][]byte{nil, c.b[:1], c.b[:len(c.b)-1], append(slices.Clone(c.b), 0)} {
			if err := c.parse(bad); err == nil || kv.KindOf(err) != kv.KindCorrupt {
				t.Errorf("a %s of %d bytes: %v", c.what, len(bad), err)
			}
		}
		newer := slices.Clone(c.b)
		newer[0]++
		if err := c.parse(newer); err == nil || kv.KindOf(err) != kv.KindWrongVersion {
			t.Errorf("a %s of another release: %v", c.what, err)
		}
	}
}

// TestStageIsCheckedUnderTheLock: a write that was let through to its key's lock
// before the stage was raised, and gets it after, is refused.
func TestStageIsCheckedUnderTheLock(t *testing.T) {
	k := kv.AppendKey(nil, "b", []byte("k"))
	donor, _ := newStore(t, nil)
	o := mustPut(t, donor, 0, k, object.Write{Value: []byte("v")})
	s, _ := newStore(t, nil)
	part, err := s.part(0)
	if err != nil {
		t.Fatal(err)
	}
	for level, write := range []func(kv.Level) error{
		func(l kv.Level) error { return s.mergeData(0, k, o, sender{level: l}, nil) },
		func(l kv.Level) error {
			_, _, _, err := s.Put(l, 0, k, object.Write{Value: []byte("v")}, nil, nil)
			return err
		},
	} {
		level := kv.Level(level + 1)
		mu := s.lockOf(k)
		mu.Lock()
		wrote, advanced := make(chan error, 1), make(chan error, 1)
		go func() { wrote <- write(level) }()
		time.Sleep(10 * time.Millisecond) // it waits for the lock by now, most likely
		go func() { advanced <- s.Advance([]Advance{{Partition: 0, Puts: level + 1}}) }()
		for part.stage.Load().puts <= level {
			runtime.Gosched()
		}
		mu.Unlock()
		if err := <-wrote; err == nil || kv.KindOf(err) != kv.KindStaleRing {
			t.Errorf("a write at %v: %v", level, err)
		}
		if err := <-advanced; err != nil {
			t.Error(err)
		}
	}
	if got := mustRead(t, s, 0, k); got.Bytes() != nil {
		t.Error("it went through")
	}
}
