package replica

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// scratch is what the records of a partition come to, leaf by leaf.
func scratch(e storage.Engine, p kv.Partition) (sums [merkle.Leaves]leafSum, err error) {
	scanErr := e.Scan(storage.NewPrefix(storage.SpaceData, p), nil, func(key, value []byte) bool {
		var rec record
		k, _ := dataKey(key)
		if rec, err = parseRecord(value); err != nil {
			return false
		}
		sums[merkle.LeafOf(merkle.Position(k))].add(k, entry{uint64(len(key) + len(value)), rec.digest, rec.obj})
		return true
	})
	if err == nil {
		err = scanErr
	}
	return sums, err
}

// checkTree holds what s has in memory of p against the records: the leaves that
// are built, and the counters.
func checkTree(s *Store, e storage.Engine, p kv.Partition) error {
	sums, err := scratch(e, p)
	if err != nil {
		return err
	}
	part, err := s.part(p)
	if err != nil {
		return err
	}
	part.mu.Lock()
	defer part.mu.Unlock()
	var all leafSum
	for l, want := range sums {
		if l >= part.mu.built {
			want = leafSum{}
		}
		if got := part.mu.tree.Leaf(merkle.Leaf(l)); got != want.hash {
			return fmt.Errorf("partition %d, leaf %d of %d that are built is %x, its records come to %x", p, l, part.mu.built, got, want.hash)
		}
		all.plus(want)
	}
	if part.mu.sum != all || part.mu.tree.Root() != all.hash {
		return fmt.Errorf("partition %d counts %+v with root %x, its records come to %+v", p, part.mu.sum, part.mu.tree.Root(), all)
	}
	return nil
}

// upkeep does all that there is to do.
func upkeep(t testing.TB, s *Store) {
	t.Helper()
	for range 100_000 {
		did, err := s.Upkeep(1 << 10)
		if err != nil {
			t.Fatal(err)
		}
		if did == 0 {
			return
		}
	}
	t.Fatal("there is no end to upkeep")
}

// life is one store through crashes, clean stops, floors and damage.
type life struct {
	t     testing.TB
	rng   *rand.Rand
	omit  Omit
	disk  *logDisk
	e     storage.Engine
	s     *Store
	donor *Store
	seq   uint64
	// wrong is what Hooks.Wrong was told.
	wrong error
}

// Next implements Source.
func (l *life) Next() (kv.NodeID, uint64, error) { l.seq++; return self, l.seq, nil }

func (l *life) start() {
	l.e = l.disk.open(l.t)
	cfg := Default()
	cfg.Omit = l.omit
	cfg.Hooks.Wrong = func(p kv.Partition, leaf merkle.Leaf) {
		l.wrong = fmt.Errorf("leaf %d of partition %d is found to be wrong", leaf, p)
	}
	s, err := Open(cfg, self, l.e, l, rings{testRing(l.t, 1)}, l.seq+1)
	if err != nil {
		l.t.Fatal(err)
	}
	l.s = s
}

func (l *life) key() (kv.Partition, kv.Key) {
	return kv.Partition(l.rng.IntN(2)), kv.AppendKey(nil, "b", fmt.Appendf(nil, "key %d", l.rng.IntN(12)))
}

// floor is a random floor that includes f.
func (l *life) floor(f vclock.Floor) vclock.Floor {
	for _, id := range []kv.NodeID{self, 2} {
		if l.rng.IntN(2) == 0 {
			f = vclock.AppendFloorJoin(nil, f, vclock.AppendFloorEntry(nil, id, 1+l.rng.Uint64N(l.seq+1)))
		}
	}
	return f
}

func (l *life) write() object.Write {
	w := object.Write{Now: 1000, Value: []byte("value"), Deleted: l.rng.IntN(3) == 0}
	if w.Deleted {
		w.Value = nil
	}
	if l.rng.IntN(4) == 0 {
		w.Merge = kv.MergeLWW
	}
	return w
}

// step makes one random step. The error is what is wrong; a put past a limit is
// not.
func (l *life) step() error {
	p, k := l.key()
	switch l.rng.IntN(16) {
	case 0, 1, 2, 3, 4, 5:
		w := l.write()
		if o, _, err := l.s.Read(p, k, nil); err == nil && l.rng.IntN(2) == 0 {
			w.Context = object.ContextOf(o)
		}
		_, _, _, err := l.s.Put(levelOf(l.s), p, k, w, nil, nil)
		if kv.KindOf(err) == kv.KindTooManySiblings {
			return nil
		}
		return err
	case 6, 7, 8:
		o, _, _, err := l.donor.Put(levelOf(l.donor), p, k, l.write(), nil, nil)
		if err != nil {
			return nil
		}
		f, _ := l.s.Floor(p)
		return l.s.Merge(p, k, o, l.floor(f), &acknowledged{})
	case 9:
		_, err := l.s.Upkeep(200)
		return err
	case 10:
		f, _ := l.s.Floor(p)
		return l.s.RaiseFloor([]kv.Partition{0, 1}, l.floor(f))
	case 11:
		return l.compare(p, k)
	case 12:
		return l.drop(p)
	case 13:
		return l.spoil(p, k)
	case 14:
		return l.stop()
	}
	l.disk = l.disk.crashedAt(l.disk.durable + l.rng.IntN(len(l.disk.log)-l.disk.durable+1))
	l.start()
	return nil
}

// compare lists a leaf under a joined floor, after which the records of that
// leaf have their digests under it.
func (l *life) compare(p kv.Partition, k kv.Key) error {
	f, _ := l.s.Floor(p)
	joined, leaf := l.floor(f), merkle.LeafOf(merkle.Position(k))
	if state, _, _ := l.s.Tree(p); state == TreeDamaged {
		return nil
	}
	var want uint64
	err := l.s.LeafKeys(p, leaf, joined, func(k kv.Key, digest uint64) bool {
		want ^= merkle.RecordHash(k, digest)
		return true
	})
	state, _, _ := l.s.Tree(p)
	if got := l.s.LeavesOf(p, int(leaf/merkle.Fanout), nil)[leaf%merkle.Fanout]; err == nil && state == TreeReady && got != want {
		err = fmt.Errorf("after a listing leaf %d is %x, and what was listed comes to %x", leaf, got, want)
	}
	return err
}

// drop drops a copy, once it has not and once it has changed.
func (l *life) drop(p kv.Partition) error {
	_, _, changes := l.s.Tree(p)
	if dropped, err := l.s.DropCopy(p, changes+1); dropped || err != nil {
		return fmt.Errorf("a copy that has changed is dropped: %v, %w", dropped, err)
	}
	if l.rng.IntN(3) > 0 {
		return nil
	}
	if dropped, err := l.s.DropCopy(p, changes); !dropped || err != nil {
		return fmt.Errorf("a copy that has not changed is dropped: %v, %w", dropped, err)
	}
	if f, _ := l.s.Floor(p); len(f) > 0 || slices.Contains(l.s.Held(), p) {
		return fmt.Errorf("a dropped copy has floor %x, and holds something", f)
	}
	return nil
}

// spoil has the disk spoil a record, which is found in one way or another.
func (l *life) spoil(p kv.Partition, k kv.Key) error {
	inject(l.t, l.e, appendDataKey(nil, p, k), []byte("nonsense"))
	was := l.s.Damages(p)
	leaf := merkle.LeafOf(merkle.Position(k))
	switch l.rng.IntN(4) {
	case 0:
		_, _, _ = l.s.Read(p, k, nil)
	case 1:
		_, _, _, _ = l.s.Put(levelOf(l.s), p, k, object.Write{Value: []byte("v")}, nil, nil)
	case 2:
		_ = l.s.LeafKeys(p, leaf, nil, func(kv.Key, uint64) bool { return true })
	default:
		upkeep(l.t, l.s) // a tree that is being built is not scrubbed
		_, _ = l.s.ScrubSlice(p, leaf, 1)
	}
	upkeep(l.t, l.s)
	if state, _, _ := l.s.Tree(p); l.s.Damages(p) == was && !slices.Contains(l.s.Damaged(), p) || state != TreeReady {
		return fmt.Errorf("damage is not found, or the tree is %d", state)
	}
	if f, _ := l.s.Floor(p); len(f) > 0 {
		return fmt.Errorf("a damaged copy has floor %x", f)
	}
	err := l.s.Repaired(p, l.s.Damages(p))
	l.disk.durable = len(l.disk.log) // no crash brings the spoiled record back
	return err
}

// stop ends the process in good order.
func (l *life) stop() error {
	ready := map[kv.Partition]uint64{}
	for p := range kv.Partition(2) {
		if state, root, _ := l.s.Tree(p); state == TreeReady {
			ready[p] = root
		}
	}
	if err := l.s.Save(); err != nil {
		return err
	}
	l.start()
	for p, root := range ready {
		if state, got, _ := l.s.Tree(p); state != TreeReady || got != root {
			return fmt.Errorf("after a clean stop the tree of partition %d is in state %d with root %x, it was %x", p, state, got, root)
		}
	}
	return nil
}

// run lives for so many steps and returns what goes wrong.
func (l *life) run(steps int) error {
	for i := range steps {
		err := l.step()
		for p := range kv.Partition(2) {
			if err == nil {
				err = checkTree(l.s, l.e, p)
			}
		}
		if err == nil {
			err = l.wrong
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	for p := range kv.Partition(2) {
		if size, err := l.s.ScrubSlice(p, 0, merkle.Leaves); err != nil || l.wrong != nil {
			return fmt.Errorf("scrubbed %d bytes: %w, %w", size, err, l.wrong)
		}
	}
	return nil
}

func newLife(t testing.TB, seed uint64, omit Omit) *life {
	e, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	l := &life{t: t, rng: rand.New(rand.NewPCG(seed, 0)), omit: omit, disk: newLogDisk().(*logDisk)}
	l.donor = mustOpen(t, 0, 2, e, &sequence{id: 2, reserved: new(uint64)}, rings{testRing(t, 1)}, 1)
	l.start()
	return l
}

// TestTreeIsTheSum: whatever is written, dropped, reaped, spoiled, stopped and
// lost, tree and counters are those of the records.
func TestTreeIsTheSum(t *testing.T) {
	t.Parallel()
	for seed := range *seeds / 4 {
		if err := newLife(t, seed, 0).run(150); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestSkippedLeafIsFound: the same lives find a tree that leaves writes out.
func TestSkippedLeafIsFound(t *testing.T) {
	for seed := range uint64(10) {
		if newLife(t, seed, OmitLeaf).run(150) != nil {
			return
		}
	}
	t.Error("no seed finds it")
}

// TestTreeUnderTraffic has writers, a rebuilding that begins anew, floors,
// listings and reaping meet, and looks at what comes of it.
func TestTreeUnderTraffic(t *testing.T) {
	s, e := newStore(t, testRing(t, 1))
	donor, _ := newStore(t, testRing(t, 1))
	part, err := s.part(0)
	if err != nil {
		t.Fatal(err)
	}
	foreign := mustPut(t, donor, 0, kv.AppendKey(nil, "b", []byte("k")), object.Write{Value: []byte("foreign")})
	var writers, others sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 400 {
				k := kv.AppendKey(nil, "b", fmt.Appendf(nil, "key %d", i%50))
				o, _, err := s.Read(0, k, nil)
				if err == nil && i%7 == 0 {
					err = s.Merge(0, k, foreign, nil, nil)
				}
				if err == nil {
					_, _, _, err = s.Put(levelOf(s), 0, k, object.Write{Deleted: (i+w)%3 == 0, Context: object.ContextOf(o)}, nil, nil)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	stop := make(chan struct{})
	other := func(do func(i int) error) {
		others.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := do(i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	other(func(i int) error {
		if i%8 == 0 {
			part.restart()
		}
		_, err := s.Upkeep(1 << 10)
		return err
	})
	other(func(int) error {
		low, err := s.Low()
		if err == nil {
			err = s.RaiseFloor([]kv.Partition{0}, vclock.AppendFloorEntry(nil, self, low))
		}
		return err
	})
	other(func(i int) error {
		f, _ := s.Floor(0)
		return s.LeafKeys(0, merkle.Leaf(i%merkle.Leaves), f, func(kv.Key, uint64) bool { return true })
	})
	writers.Wait()
	close(stop)
	others.Wait()
	upkeep(t, s)
	if err := checkTree(s, e, 0); err != nil {
		t.Error(err)
	}
	if state, _, _ := s.Tree(0); state != TreeReady {
		t.Errorf("the tree is in state %d", state)
	}
}

// TestLeafRanges: the ranges of the leaves are those of their keys, touch, and
// come to all of the partition's.
func TestLeafRanges(t *testing.T) {
	p := kv.Partition(0x0203)
	want, end := storage.NewPrefix(storage.SpaceData, p).Range()
	for l := range merkle.Leaf(merkle.Leaves) {
		low, high := leafRange(p, l, l+1)
		if !slices.Equal(low, want) {
			t.Fatalf("leaf %d begins at %x, the one before ends at %x", l, low, want)
		}
		want = high
	}
	if !slices.Equal(want, end) {
		t.Errorf("the last leaf ends at %x, the partition at %x", want, end)
	}
	for i := range 100 {
		key := appendDataKey(nil, p, kv.AppendKey(nil, "b", fmt.Append(nil, i)))
		k, _ := dataKey(key)
		l := merkle.LeafOf(merkle.Position(k))
		if low, high := leafRange(p, l, l+1); slices.Compare(low, key) > 0 || slices.Compare(key, high) >= 0 {
			t.Errorf("%x is not between %x and %x", key, low, high)
		}
	}
}

// TestKeptTrees: a tree that was kept at another stop, or is damaged, is not
// taken for this one's.
func TestKeptTrees(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(b []byte) []byte
		want  TreeState
	}{
		"as it is":        {func(b []byte) []byte { return b }, TreeReady},
		"of another stop": {func(b []byte) []byte { b[7]++; return b }, TreeBuilding},
		"cut":             {func(b []byte) []byte { return b[:keptHeader-1] }, TreeBuilding},
		"longer":          {func(b []byte) []byte { return append(b, 0) }, TreeBuilding},
	} {
		s, e := newStore(t, testRing(t, 1))
		fillKeys(t, s, 5)
		if err := s.Save(); err != nil {
			t.Fatal(err)
		}
		b, _, err := e.Get(metaKey(0, metaTree), nil)
		if err != nil {
			t.Fatal(err)
		}
		inject(t, e, metaKey(0, metaTree), c.spoil(b))
		s = mustOpen(t, 0, self, e, &counter{}, rings{testRing(t, 1)}, 100)
		if state, _, _ := s.Tree(0); state != c.want {
			t.Errorf("%s: the tree is in state %d, want %d", name, state, c.want)
		}
		upkeep(t, s)
		if err := checkTree(s, e, 0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzKept(f *testing.F) {
	var tree merkle.Tree
	tree.Toggle(5, 77)
	f.Add(kept{stop: 3, sum: leafSum{hash: 77, keys: 1, bytes: 2, reapable: 3}, tree: &tree}.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := parseKept(b)
		switch {
		case err != nil && kv.KindOf(err) != kv.KindInvalid && kv.KindOf(err) != kv.KindWrongVersion:
			t.Fatal(err)
		case err == nil && !slices.Equal(k.appendTo(nil), b):
			t.Fatalf("%x is not the encoding of what it is read as", b)
		}
	})
}
