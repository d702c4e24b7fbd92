package replica

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// settled is the level of testRing's epoch.
var settled = kv.LevelOf(7)

// changing is a Rings in the midst of a change.
type changing struct{ now *ring.Current }

// Current implements Rings.
func (c changing) Current() *ring.Current { return c.now }

// fromTwoToThree is the change of a ring of nodes 1 and 2, each of which has
// every partition, to one of nodes 1 to 3.
func fromTwoToThree(t testing.TB) *ring.Current {
	t.Helper()
	params := ring.Params{N: 2, R: 1, W: 2, Q: 8}
	nodes := []ring.Node{{ID: 1, Weight: 1}, {ID: 2, Weight: 1}, {ID: 3, Weight: 1}}
	from, err := ring.Claim(nil, params, 7, nodes[:2])
	if err != nil {
		t.Fatal(err)
	}
	to, err := ring.Claim(from, params, 8, nodes)
	if err != nil {
		t.Fatal(err)
	}
	change, err := ring.NewTransition(from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &ring.Current{Ring: from, Progress: ring.NewProgress(change)}
}

// partsOf returns a partition that node loses in c, one that it keeps with another
// owner than now, and one that does not change.
func partsOf(t testing.TB, c *ring.Current, node kv.NodeID) (loses, keeps, same kv.Partition) {
	t.Helper()
	found := [3]int{-1, -1, -1}
	for p := range kv.Partition(8) {
		kind := 2
		if steps := c.Progress.Steps(p); len(steps) > 0 {
			kind = 1
			if !slices.Contains(steps[0].New, node) {
				kind = 0
			}
		}
		if found[kind] < 0 {
			found[kind] = int(p)
		}
	}
	if slices.Contains(found[:], -1) {
		t.Fatalf("the change has not all kinds of partitions: %v", found)
	}
	return kv.Partition(found[0]), kv.Partition(found[1]), kv.Partition(found[2])
}

// keyIn returns a key of partition p.
func keyIn(r *ring.Ring, p kv.Partition) kv.Key {
	for i := 0; ; i++ {
		if k := kv.AppendKey(nil, "b", fmt.Append(nil, i)); r.PartitionOf(k) == p {
			return k
		}
	}
}

// askAt is ask for a request that was planned at a level.
func askAt(s *Store, t wire.Type, level kv.Level, payload []byte) string {
	var a answers
	s.Handle(wire.Request{Type: t, Level: level, Payload: payload, Reply: wire.Reply{To: &a, ID: 9, Type: t}})
	return strings.Join(a.lines, "; ")
}

func mustAdvance(t testing.TB, s *Store, to ...Advance) {
	t.Helper()
	if err := s.Advance(to); err != nil {
		t.Fatal(err)
	}
}

// access is a way to a copy, which says whether it was refused.
type access struct {
	name string
	// of is whose stage it is held against: puts, gets, or neither.
	of  string
	try func(level kv.Level) error
}

// accesses are all ways to the copy of k, which has object o.
func accesses(s *Store, k kv.Key, o object.Object) []access {
	p := s.ring().PartitionOf(k)
	served := func(m wire.Appender, t wire.Type) func(kv.Level) error {
		return func(level kv.Level) error {
			switch line := askAt(s, t, level, m.AppendTo(nil)); {
			case strings.HasSuffix(line, "error stale ring applied no"):
				return kv.Errorf(kv.KindStaleRing, "ask", "%s", line)
			case strings.Contains(line, "error"):
				return kv.Errorf(kv.KindInternal, "ask", "%s", line)
			}
			return nil
		}
	}
	put := func(a wire.Ack, owner kv.NodeID) *wire.ReplicaPut {
		return &wire.ReplicaPut{Ack: a, For: owner, Key: k, Object: o.Bytes()}
	}
	return []access{
		{"a put here", "puts", func(l kv.Level) error {
			_, _, _, err := s.Put(l, p, k, object.Write{Value: []byte("v"), Context: object.ContextOf(o)}, nil, nil)
			return err
		}},
		{"a put from elsewhere", "puts", served(put(wire.AckApplied, 0), wire.TypeReplicaPut)},
		{"a durable put from elsewhere", "puts", served(put(wire.AckBoth, 0), wire.TypeReplicaPut)},
		{"a read here", "gets", func(l kv.Level) error { _, _, _, _, err := s.ReadUnder(l, p, k, nil); return err }},
		{"a read from elsewhere", "gets", served(&wire.ReplicaRead{Key: k}, wire.TypeReplicaRead)},
		{"a hint from elsewhere", "", served(put(wire.AckApplied, 2), wire.TypeReplicaPut)},
		{"a read of hints", "", served(&wire.ReplicaRead{Key: k, Hints: true}, wire.TypeReplicaRead)},
		{"a merge", "", func(kv.Level) error { return s.Merge(p, k, o, nil, nil) }},
		{"a hint that is handed over", "", func(kv.Level) error { return s.MergeHint(2, p, k, o, nil) }},
		{"a read of no request", "", func(kv.Level) error { _, _, err := s.Read(p, k, nil); return err }},
	}
}

// TestStage: what is below the stage is refused, and nothing else, by whichever
// way it comes.
func TestStage(t *testing.T) {
	at := func(k, phase int) kv.Level { return settled.At(k, phase) }
	levels := []kv.Level{0, 1, kv.LevelOf(6).At(2, 3), settled}
	for k := range 2 {
		levels = append(levels, at(k, 1), at(k, 2), at(k, 3))
	}
	levels = append(levels, kv.LevelOf(8))
	for _, c := range []struct {
		what       string
		puts, gets kv.Level
	}{
		{"never advanced", 0, 0},
		{"sealed", at(0, 1), 0},
		{"at stage 2", at(0, 1), at(0, 2)},
		{"sealed in the next step", at(1, 1), at(0, 2)},
		{"at stage 2 in the next step", at(1, 1), at(1, 2)},
		{"of the next epoch", kv.LevelOf(8), kv.LevelOf(8)},
	} {
		r := testRing(t, 1)
		s, _ := newStore(t, r)
		k := keyIn(r, 3)
		// The node's own view is of an epoch before all levels here.
		s.rings = rings{olderRing(t)}
		o := mustPut(t, s, 3, k, object.Write{Value: []byte("v")})
		mustAdvance(t, s, Advance{Partition: 3, Puts: c.puts, Gets: c.gets}, Advance{Partition: 4, Puts: kv.LevelOf(9), Gets: kv.LevelOf(9)})
		if puts, gets := s.Stage(3); puts != c.puts || gets != c.gets {
			t.Errorf("%s: it tells %v, %v", c.what, puts, gets)
		}
		for _, a := range accesses(s, k, o) {
			for _, level := range levels {
				want := map[string]bool{"puts": level == 0 || level < c.puts, "gets": level == 0 || level < c.gets}[a.of]
				want = want || a.name == "a put here" && level < s.level(3)
				err := a.try(level)
				if refused := err != nil; refused != want || refused && (kv.KindOf(err) != kv.KindStaleRing || kv.AppliedOf(err) != kv.AppliedNo) {
					t.Errorf("%s: %s at %v: %v; it should be refused: %v", c.what, a.name, level, err, want)
				}
			}
		}
	}
}

// olderRing is as testRing's, of epoch 1.
func olderRing(t testing.TB) *ring.Ring {
	r := testRing(t, 1)
	older, err := ring.Claim(nil, r.Params(), 1, []ring.Node{{ID: 1, Weight: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return older
}

// TestOwnView: what a node knows of the ring refuses what was planned here before
// it did, and what is not its own and not planned by somebody who knows more.
func TestOwnView(t *testing.T) {
	c := fromTwoToThree(t)
	loses, keeps, same := partsOf(t, c, self)
	e, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, 0, self, e, &counter{}, changing{c}, 1)
	over := func(p kv.Partition) {
		for place := range c.Progress.Steps(p)[0].Union {
			c.Progress.Add(c.Progress.Index(p, 0), ring.MarkDone(place)|ring.MarkStage2(place))
		}
	}
	for _, x := range []struct {
		what  string
		p     kv.Partition
		level kv.Level
		// here and there tell whether a put here and requests from elsewhere are
		// refused.
		here, there bool
	}{
		{"of before the change, where nothing changes", same, settled, false, false},
		{"of an epoch before", same, kv.LevelOf(6), true, false},
		{"of before the change", keeps, settled, true, false},
		{"of the phase it knows", keeps, settled.At(0, 1), false, false},
		{"of a phase it does not know yet", keeps, settled.At(0, 2), false, false},
		{"of before the change, to an owner that leaves", loses, settled, true, false},
		{"of the phase it knows, to an owner that leaves", loses, settled.At(0, 1), false, false},
	} {
		s.look(t, x.what, c.Ring, x.p, x.level, x.here, x.there)
	}
	over(loses)
	s.look(t, "of the last phase, to one that has left", c.Ring, loses, settled.At(0, 3), false, true)
	s.look(t, "of a phase before", c.Ring, loses, settled.At(0, 2), true, true)
	s.look(t, "of a later ring", c.Ring, loses, kv.LevelOf(8), false, false)
}

// look tries a put and a hint here, and a put and a read from elsewhere.
func (s *Store) look(t *testing.T, what string, r *ring.Ring, p kv.Partition, level kv.Level, here, there bool) {
	t.Helper()
	k := keyIn(r, p)
	_, _, _, put := s.Put(level, p, k, object.Write{Value: []byte("v"), Merge: kv.MergeLWW}, nil, nil)
	_, _, _, hint := s.PutHint(level, 2, p, k, object.Write{Value: []byte("v"), Merge: kv.MergeLWW}, nil, nil)
	for name, err := range map[string]error{"put": put, "hint": hint} {
		if (err != nil) != here || err != nil && kv.KindOf(err) != kv.KindStaleRing {
			t.Errorf("a %s here %s: %v; it should be refused: %v", name, what, err, here)
		}
	}
	donor, _ := newStore(t, nil)
	o := mustPut(t, donor, p, k, object.Write{Value: []byte("w")})
	for _, a := range accesses(s, k, o) {
		if !strings.HasSuffix(a.name, "from elsewhere") {
			continue
		}
		err := a.try(level)
		if want := there && a.of != ""; (err != nil) != want || err != nil && kv.KindOf(err) != kv.KindStaleRing {
			t.Errorf("%s %s: %v; it should be refused: %v", a.name, what, err, want)
		}
	}
}

// TestAdvanceNeverLowers: a stage is the highest of all that it was raised to.
func TestAdvanceNeverLowers(t *testing.T) {
	s, _ := newStore(t, testRing(t, 1))
	mustAdvance(t, s, Advance{Partition: 1, Puts: 5, Gets: 9}, Advance{Partition: 0, Puts: 3, Gets: 3}, Advance{Partition: 1, Puts: 7, Gets: 2}, Advance{Partition: 1, Puts: 6, Gets: 1})
	mustAdvance(t, s, Advance{Partition: 1, Puts: 1, Gets: 1})
	if puts, gets := s.Stage(1); puts != 7 || gets != 9 {
		t.Errorf("the stage is %v, %v", puts, gets)
	}
	if puts, gets := s.Stage(0); puts != 3 || gets != 3 {
		t.Errorf("the other stage is %v, %v", puts, gets)
	}
}

// TestAdvanceUnderLoad: once Advance has returned, no write of a lower level is
// ever applied, of many that are tried.
func TestAdvanceUnderLoad(t *testing.T) {
	const last = 40
	s, e := newStore(t, nil)
	slow := &slowEngine{Engine: e}
	s.engine = slow
	donor, _ := newStore(t, nil)
	// A key for each level, of one leaf and all.
	key := func(l kv.Level) kv.Key { return kv.AppendKey(nil, "b", fmt.Append(nil, uint64(l))) }
	var foreign [last + 1]object.Object
	for l := range foreign {
		foreign[l] = mustPut(t, donor, 0, key(kv.Level(l)), object.Write{Value: []byte("foreign")})
	}
	var now atomic.Uint64
	now.Store(1)
	var took atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := uint64(w); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				top := now.Load()
				l := kv.Level(top - min(i%3, top-1))
				_, _, _, err := s.Put(l, 0, key(l), object.Write{Merge: kv.MergeLWW, Value: []byte("v")}, nil, nil)
				if err == nil {
					took.Add(1)
					err = s.mergeData(0, key(l), foreign[l], sender{level: l}, nil)
				}
				if err != nil && (kv.KindOf(err) != kv.KindStaleRing || kv.AppliedOf(err) != kv.AppliedNo) {
					t.Errorf("a write at %v: %v", l, err)
				}
			}
		})
	}
	record := func(l kv.Level) []byte {
		b, _, err := e.Get(appendDataKey(nil, 0, key(l)), nil)
		if err != nil {
			t.Error(err)
		}
		return b
	}
	var sealed [last][]byte
	for l := kv.Level(1); l < last; l++ {
		for before := took.Load(); took.Load() < before+20; {
			runtime.Gosched()
		}
		now.Store(uint64(l) + 1)
		mustAdvance(t, s, Advance{Partition: 0, Puts: l + 1}, Advance{Partition: 1, Puts: l})
		sealed[l] = record(l)
	}
	close(stop)
	wg.Wait()
	for l := kv.Level(1); l < last; l++ {
		if !bytes.Equal(sealed[l], record(l)) {
			t.Errorf("after Advance to %v a write at %v went through", l+1, l)
		}
	}
}

// TestReadWhileDropped: a read that was let in before the stage was raised is not
// answered with what is left when the copy is dropped.
func TestReadWhileDropped(t *testing.T) {
	s, e := newStore(t, nil)
	k := kv.AppendKey(nil, "b", []byte("k"))
	mustPut(t, s, 0, k, object.Write{Value: []byte("v")})
	drop := func() {
		mustAdvance(t, s, Advance{Partition: 0, Puts: settled, Gets: settled})
		_, _, changes := s.Tree(0)
		if dropped, err := s.DropCopy(0, changes); !dropped || err != nil {
			t.Fatal(dropped, err)
		}
	}
	s.engine = &getHook{Engine: e, before: drop}
	if o, _, _, _, err := s.ReadUnder(settled-1, 0, k, nil); kv.KindOf(err) != kv.KindStaleRing || err == nil {
		t.Errorf("it is answered with %d bytes, %v", len(o.Bytes()), err)
	}
	if _, _, _, _, err := s.ReadUnder(settled, 0, k, nil); err != nil {
		t.Errorf("a read of the stage's own level: %v", err)
	}
	if puts, gets := s.Stage(0); puts != settled || gets != settled {
		t.Errorf("the stage of the dropped copy is %v, %v", puts, gets)
	}
}

// getHook is an engine that calls a func before its first Get of a record.
type getHook struct {
	storage.Engine
	before func()
}

func (e *getHook) Get(key, dst []byte) ([]byte, bool, error) {
	if before := e.before; before != nil && storage.PrefixOf(key).Space() == storage.SpaceData {
		e.before = nil
		before()
	}
	return e.Engine.Get(key, dst)
}

// TestOmittedStages: without the rules a sealed copy takes all puts, one at stage
// 2 answers all gets, and both are forgotten in a restart.
func TestOmittedStages(t *testing.T) {
	k := kv.AppendKey(nil, "b", []byte("k"))
	for _, omit := range []Omit{0, OmitSeal, OmitStage2, OmitStageLog} {
		d := newLogDisk()
		s := mustOpen(t, omit, self, d.open(t), &counter{}, rings{}, 1)
		mustAdvance(t, s, Advance{Partition: 0, Puts: settled, Gets: settled})
		again := mustOpen(t, omit, self, d.crashed().open(t), &counter{}, rings{}, 100)
		for _, x := range []struct {
			what     string
			s        *Store
			put, get bool
		}{
			{"before", s, omit == OmitSeal, omit == OmitStage2},
			{"after", again, omit == OmitSeal || omit == OmitStageLog, omit == OmitStage2 || omit == OmitStageLog},
		} {
			_, _, _, put := x.s.Put(settled-1, 0, k, object.Write{Value: []byte("v")}, nil, nil)
			_, _, _, _, get := x.s.ReadUnder(settled-1, 0, k, nil)
			if (put == nil) != x.put || (get == nil) != x.get {
				t.Errorf("omitting %b, %s a restart: put %v, get %v", omit, x.what, put, get)
			}
			if _, _, _, err := x.s.Put(0, 0, k, object.Write{Value: []byte("v")}, nil, nil); err == nil {
				t.Errorf("omitting %b, a put without a level is taken", omit)
			}
		}
	}
}

// TestStageAllocates nothing, neither to be told nor to be held against.
func TestStageAllocates(t *testing.T) {
	s, _ := newStore(t, nil)
	mustAdvance(t, s, Advance{Partition: 0, Puts: 5, Gets: 5})
	part, err := s.part(0)
	if err != nil {
		t.Fatal(err)
	}
	c := fromTwoToThree(t)
	s.rings = changing{c}
	if n := testing.AllocsPerRun(100, func() {
		s.Stage(0)
		s.Fill(0)
		s.level(1)
		if part.serves(5) != nil || part.answers(6) != nil {
			t.Error("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestGuessed: of a stage that was lost, or taken over, is known for good that it
// is a guess, until the copy is at a higher one that is none.
func TestGuessed(t *testing.T) {
	c := fromTwoToThree(t)
	d := newLogDisk()
	s := mustOpen(t, 0, 1, d.open(t), &counter{}, changing{c}, 1)
	guessed := func(what string, p kv.Partition, want bool) {
		t.Helper()
		again := mustOpen(t, 0, 1, d.crashed().open(t), &counter{}, changing{c}, 100)
		if s.Guessed(p) != want || again.Guessed(p) != want {
			t.Errorf("%s: it is a guess: %v, after a restart %v; want %v", what, s.Guessed(p), again.Guessed(p), want)
		}
	}
	advance := func(a Advance) {
		t.Helper()
		if err := s.Advance([]Advance{a}); err != nil {
			t.Fatal(err)
		}
	}
	guessed("no stage", 0, false)
	advance(Advance{Partition: 0, Puts: settled.At(0, 1)})
	guessed("sealed", 0, false)
	advance(Advance{Partition: 0, Puts: settled.At(1, 1), Gets: settled.At(1, 2), Guessed: true})
	guessed("taken over", 0, true)
	advance(Advance{Partition: 0, Gets: settled.At(1, 1)})
	guessed("lower", 0, true)
	advance(Advance{Partition: 0, Gets: settled.At(2, 2)})
	guessed("higher", 0, false)
	advance(Advance{Partition: 1, Puts: settled.At(2, 1), Guessed: true})
	advance(Advance{Partition: 1, Gets: settled.At(1, 2)})
	guessed("gets higher, but not than puts", 1, true)
	if err := s.MarkLost(errChecksum("test")); err != nil {
		t.Fatal(err)
	}
	advance(Advance{Partition: 2})
	guessed("lost", 2, true)
}
