package replica

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// badBlocks is an engine of which some keys cannot be read: by a Get until they
// are set again, by a Scan that comes past them until they are dropped.
type badBlocks struct {
	storage.Engine
	gets, scans map[string]bool
	drops       int
	// full refuses batches.
	full bool
}

func newBadBlocks(t testing.TB) (*Store, *badBlocks) {
	s, e := newStore(t, testRing(t, 1))
	b := &badBlocks{Engine: e, gets: map[string]bool{}, scans: map[string]bool{}}
	s.engine = b
	return s, b
}

func (e *badBlocks) spoil(key []byte) { e.gets[string(key)], e.scans[string(key)] = true, true }

func errChecksum(op string) error { return kv.Errorf(kv.KindCorrupt, op, "checksum mismatch") }

func (e *badBlocks) Get(key, dst []byte) ([]byte, bool, error) {
	if e.gets[string(key)] {
		return dst, false, errChecksum("get")
	}
	return e.Engine.Get(key, dst)
}

func (e *badBlocks) Scan(p storage.Prefix, from []byte, fn func(key, value []byte) bool) error {
	var bad error
	err := e.Engine.Scan(p, from, func(key, value []byte) bool {
		if e.scans[string(key)] {
			bad = errChecksum("scan")
			return false
		}
		return fn(key, value)
	})
	if bad != nil {
		return bad
	}
	return err
}

func (e *badBlocks) Apply(b *storage.Batch, w storage.Waiter) error {
	if e.full {
		return kv.Errorf(kv.KindDiskFull, "apply batch", "no space")
	}
	for _, op := range b.Ops() {
		delete(e.gets, string(op.Key))
	}
	return e.Engine.Apply(b, w)
}

func (e *badBlocks) Drop(from, to []byte) error {
	e.drops++
	for key := range e.scans {
		if key >= string(from) && (to == nil || key < string(to)) {
			delete(e.gets, key)
			delete(e.scans, key)
		}
	}
	return e.Engine.Drop(from, to)
}

// fillKeys puts n keys and returns them in the order of their positions.
func fillKeys(t testing.TB, s *Store, n int) []kv.Key {
	var keys []kv.Key
	for i := range n {
		keys = append(keys, kv.AppendKey(nil, "b", fmt.Appendf(nil, "key %d", i)))
		mustPut(t, s, 0, keys[i], object.Write{Value: []byte("v")})
	}
	slices.SortFunc(keys, func(a, b kv.Key) int { return bytes.Compare(appendDataKey(nil, 0, a), appendDataKey(nil, 0, b)) })
	return keys
}

// TestSalvage: of a copy with damaged blocks what is whole stays, what is not is
// cut out, its tree is right again, and it answers when it is repaired.
func TestSalvage(t *testing.T) {
	for _, found := range []string{"by a read", "by a put", "by a merge", "by a scrub", "by a listing", "by a rebuild"} {
		t.Run(found, func(t *testing.T) {
			s, e := newBadBlocks(t)
			donor, _ := newStore(t, testRing(t, 1))
			keys := fillKeys(t, s, 300)
			if err := s.RaiseFloor([]kv.Partition{0}, selfFloor(1)); err != nil {
				t.Fatal(err)
			}
			for _, i := range []int{0, 100, 101, 102, 200, 299} {
				e.spoil(appendDataKey(nil, 0, keys[i]))
			}
			k := keys[100]
			switch found {
			case "by a read":
				_, _, _ = s.Read(0, k, nil)
			case "by a put":
				mustPut(t, s, 0, k, object.Write{Value: []byte("w")})
			case "by a merge":
				o := mustPut(t, donor, 0, k, object.Write{Value: []byte("w")})
				if err := s.Merge(0, k, o, nil, &acknowledged{}); err != nil {
					t.Fatal(err)
				}
			case "by a scrub":
				if _, err := s.ScrubSlice(0, 0, merkle.Leaves); err != nil {
					t.Fatal(err)
				}
			case "by a listing":
				if n := len(listAll(t, s, "b", 1)); n < 250 || n > 300-6 {
					t.Errorf("%d keys are listed, of 294 that can be read", n)
				}
			default:
				part, err := s.part(0)
				if err != nil {
					t.Fatal(err)
				}
				part.restart()
				if _, err := s.Upkeep(1 << 20); err != nil {
					t.Fatal(err)
				}
			}
			if state, _, _ := s.Tree(0); state != TreeDamaged || !slices.Equal(s.Damaged(), []kv.Partition{0}) {
				t.Fatalf("the tree is in state %d, damaged: %v", state, s.Damaged())
			}
			if f, _ := s.Floor(0); len(f) > 0 {
				t.Errorf("its floor is %x", f)
			}
			repair(t, s, e, donor, keys)
		})
	}
}

// TestRepairIsDurable: a copy answers again only when its mark is gone from stable
// storage. Otherwise it may be damaged again after a crash, when another owner
// that was filled from it meanwhile, or lost its own, waits for it.
func TestRepairIsDurable(t *testing.T) {
	_, e := newStore(t, nil)
	watched := &probe{Engine: e, after: func() {}}
	s := mustOpen(t, 0, self, watched, &counter{}, rings{testRing(t, 1)}, 1)
	if err := s.MarkDamaged(0, errChecksum("test")); err != nil {
		t.Fatal(err)
	}
	upkeep(t, s)
	var marked []bool
	watched.after = func() {
		if len(s.Damaged()) == 0 {
			t.Error("it answers before its mark is gone for good")
		}
		_, there, err := e.Get(metaKey(0, metaDamaged), nil)
		if err != nil {
			t.Fatal(err)
		}
		marked = append(marked, there)
		if len(marked) == 3 {
			if _, err := s.Upkeep(1); err != nil { // it does not set the mark again
				t.Fatal(err)
			}
		}
	}
	if err := s.Repaired(0, s.Damages(0)); err != nil || len(s.Damaged()) > 0 {
		t.Errorf("the repair does not end: %v", err)
	}
	if want := []bool{true, false, false}; !slices.Equal(marked, want) {
		t.Errorf("after each step the mark is there: %v, want %v", marked, want)
	}
}

// repair salvages the copy, fills it again, and ends the repair.
func repair(t *testing.T, s *Store, e *badBlocks, donor *Store, keys []kv.Key) {
	t.Helper()
	if err := s.LeafKeys(0, 0, nil, nil); err == nil || kv.KindOf(err) != kv.KindCorrupt {
		t.Errorf("before it is salvaged it is compared: %v", err)
	}
	if err := s.Repaired(0, s.Damages(0)); err == nil || kv.KindOf(err) != kv.KindRefused {
		t.Errorf("before it is salvaged the repair ends: %v", err)
	}
	upkeep(t, s)
	if err := checkTree(s, e, 0); err != nil {
		t.Error(err)
	}
	kept, _, _ := s.Usage(0)
	if state, _, _ := s.Tree(0); state != TreeReady || kept < 300-2*6 || kept > 300-5 {
		t.Errorf("the tree is in state %d, %d records are left", state, kept)
	}
	// 100 to 102 are neighbours: their leaves are cut out together, unless one
	// that can be read stands between.
	if e.drops > 2*6 || len(e.scans) > 0 {
		t.Errorf("%d drops, %d keys are bad still", e.drops, len(e.scans))
	}
	if _, _, err := s.Read(0, keys[5], nil); err == nil || kv.KindOf(err) != kv.KindCorrupt {
		t.Errorf("it answers before it is filled again: %v", err)
	}
	damages := s.Damages(0)
	for _, k := range keys {
		if err := s.Merge(0, k, mustPut(t, donor, 0, k, object.Write{Value: []byte("again")}), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.MarkDamaged(0, errChecksum("test")); err != nil {
		t.Fatal(err)
	}
	upkeep(t, s)
	if err := s.Repaired(0, damages); err == nil || kv.KindOf(err) != kv.KindRefused {
		t.Errorf("the repair ends though more damage was found: %v", err)
	}
	if err := s.Repaired(0, s.Damages(0)); err != nil || len(s.Damaged()) > 0 {
		t.Errorf("the repair does not end: %v, damaged: %v", err, s.Damaged())
	}
	for _, k := range keys {
		if !holds(mustRead(t, s, 0, k), "again") {
			t.Errorf("%v is not back", k)
		}
	}
	if _, found, _ := e.Get(metaKey(0, metaDamaged), nil); found {
		t.Error("the mark stands")
	}
}

// TestMarkOnFullDisk: a copy whose mark the disk does not take answers no more
// all the same, nothing is put over what cannot be read, and the mark comes when
// there is space.
func TestMarkOnFullDisk(t *testing.T) {
	s, e := newBadBlocks(t)
	keys := fillKeys(t, s, 10)
	e.spoil(appendDataKey(nil, 0, keys[3]))
	e.full = true
	for range 2 {
		if _, _, err := s.Read(0, keys[3], nil); err == nil || kv.KindOf(err) != kv.KindCorrupt {
			t.Errorf("a read: %v", err)
		}
		if _, _, _, err := s.Put(levelOf(s), 0, keys[3], object.Write{}, nil, nil); err == nil || kv.KindOf(err) != kv.KindDiskFull {
			t.Errorf("a put: %v", err)
		}
		if _, err := s.Upkeep(1 << 20); err == nil || kv.KindOf(err) != kv.KindDiskFull {
			t.Errorf("upkeep: %v", err)
		}
	}
	part, err := s.part(0)
	if err != nil {
		t.Fatal(err)
	}
	// The copy may be found damaged when its building is under way.
	if _, err := s.rebuild(part, 1<<20); err == nil || kv.KindOf(err) != kv.KindDiskFull || e.drops > 0 {
		t.Errorf("%v: %d times something is cut out before the mark is written", err, e.drops)
	}
	e.full = false
	upkeep(t, s)
	if _, found, _ := e.Get(metaKey(0, metaDamaged), nil); !found || e.drops != 1 {
		t.Errorf("marked: %v, %d drops", found, e.drops)
	}
}

// TestMarkIsTriedAgain, also when there is nothing to cut out.
func TestMarkIsTriedAgain(t *testing.T) {
	s, e := newBadBlocks(t)
	fillKeys(t, s, 10)
	e.full = true
	if err := s.MarkDamaged(0, errChecksum("test")); err == nil || kv.KindOf(err) != kv.KindDiskFull {
		t.Errorf("on a full disk: %v", err)
	}
	e.full = false
	upkeep(t, s)
	if _, found, _ := e.Get(metaKey(0, metaDamaged), nil); !found {
		t.Error("the mark is not written")
	}
}

// TestDamageBehindTheRebuilding: what is found damaged in a leaf that is built
// already has the tree built once more.
func TestDamageBehindTheRebuilding(t *testing.T) {
	s, e := newStore(t, testRing(t, 1))
	keys := fillKeys(t, s, 50)
	if err := s.MarkDamaged(0, errChecksum("test")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Upkeep(2000); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := s.Usage(0); n < 2 || n > 40 {
		t.Fatalf("%d records are built", n)
	}
	inject(t, e, appendDataKey(nil, 0, keys[0]), []byte("nonsense"))
	mustPut(t, s, 0, keys[0], object.Write{Value: []byte("w")})
	upkeep(t, s)
	if err := checkTree(s, e, 0); err != nil {
		t.Error(err)
	}
}

// TestUnreadableMeta: a copy without a legible floor has lost what it has seen.
func TestUnreadableMeta(t *testing.T) {
	for _, name := range []string{metaFloor, metaDamaged} {
		s, e := newBadBlocks(t)
		keys := fillKeys(t, s, 3)
		e.spoil(metaKey(0, name))
		if name == metaFloor {
			delete(e.gets, string(metaKey(0, name)))
			inject(t, e, metaKey(0, name), []byte("no floor"))
		}
		again := mustOpen(t, 0, self, e, &counter{}, rings{testRing(t, 1)}, 100)
		if _, _, err := again.Read(0, keys[0], nil); err == nil || kv.KindOf(err) != kv.KindCorrupt {
			t.Errorf("%s: it answers: %v", name, err)
		}
		if _, found, _ := e.Get(metaKey(0, metaDamaged), nil); !found || !slices.Equal(again.Damaged(), []kv.Partition{0}) {
			t.Errorf("%s: marked on disk %v, damaged: %v", name, found, again.Damaged())
		}
	}
}

// TestMarkOutlivesRestarts, clean ones and crashes, with the tree of a copy that
// is salvaged.
func TestMarkOutlivesRestarts(t *testing.T) {
	for _, clean := range []bool{true, false} {
		s, e := newStore(t, testRing(t, 1))
		keys := fillKeys(t, s, 3)
		var told []kv.Partition
		s.cfg.Hooks.Damaged = func(p kv.Partition, _ error) { told = append(told, p) }
		for range 2 {
			if err := s.MarkDamaged(0, errChecksum("test")); err != nil {
				t.Fatal(err)
			}
		}
		upkeep(t, s)
		if clean {
			if err := s.Save(); err != nil {
				t.Fatal(err)
			}
			if _, _, _, err := s.Put(levelOf(s), 0, keys[0], object.Write{}, nil, nil); err == nil || kv.KindOf(err) != kv.KindClosed {
				t.Errorf("a put after the trees are kept: %v", err)
			}
		}
		s = mustOpen(t, 0, self, e, &counter{}, rings{testRing(t, 1)}, 100)
		state, _, _ := s.Tree(0)
		if want := map[bool]TreeState{true: TreeReady, false: TreeDamaged}[clean]; state != want {
			t.Errorf("clean %v: the tree is in state %d, want %d", clean, state, want)
		}
		if _, _, err := s.Read(0, keys[0], nil); err == nil || len(told) != 1 {
			t.Errorf("clean %v: read %v, told %v", clean, err, told)
		}
		upkeep(t, s)
		_, _, changes := s.Tree(0)
		if dropped, err := s.DropCopy(0, changes); !dropped || err != nil || len(s.Damaged()) > 0 {
			t.Errorf("the copy is dropped: %v, %v; damaged: %v", dropped, err, s.Damaged())
		}
	}
}

// TestScrubFindsWrongTree: a leaf that is not the sum of its records is found,
// and the tree built anew.
func TestScrubFindsWrongTree(t *testing.T) {
	s, e := newStore(t, testRing(t, 1))
	keys := fillKeys(t, s, 20)
	var wrong []merkle.Leaf
	s.cfg.Hooks.Wrong = func(_ kv.Partition, l merkle.Leaf) { wrong = append(wrong, l) }
	part, err := s.part(0)
	if err != nil {
		t.Fatal(err)
	}
	leaf := merkle.LeafOf(merkle.Position(keys[7]))
	part.mu.tree.Toggle(leaf, 1)
	size := 0
	for l := 0; l < merkle.Leaves; l += 100 {
		n, err := s.ScrubSlice(0, merkle.Leaf(l), 100)
		if err != nil {
			t.Fatal(err)
		}
		size += n
	}
	upkeep(t, s)
	_, bytes, _ := s.Usage(0)
	if !slices.Equal(wrong, []merkle.Leaf{leaf}) || size == 0 || uint64(size) > bytes {
		t.Errorf("scrubbed %d bytes of %d, leaves %v are wrong, want %d", size, bytes, wrong, leaf)
	}
	if err := checkTree(s, e, 0); err != nil {
		t.Error(err)
	}
	if n, err := s.ScrubSlice(0, 0, merkle.Leaves); err != nil || uint64(n) != bytes || len(wrong) != 1 {
		t.Errorf("then it reads %d bytes: %v, %v", n, err, wrong)
	}
}

// TestListingSkipsDamage: KeysPage goes on after what cannot be read, also when
// that is its first or last leaf.
func TestListingSkipsDamage(t *testing.T) {
	s, e := newBadBlocks(t)
	keys := fillKeys(t, s, 50)
	for _, i := range []int{0, 20, 49} {
		e.spoil(appendDataKey(nil, 0, keys[i]))
	}
	page, err := s.KeysPage(unplanned, wire.ListKeys{Bucket: []byte("b"), Partitions: []kv.Partition{0}})
	if err != nil || page.Done != 1 || len(page.Keys) < 44 || len(page.Keys) > 47 {
		t.Errorf("%d keys are listed: %v", len(page.Keys), err)
	}
	after := keys[10].User()
	page, err = s.KeysPage(unplanned, wire.ListKeys{Bucket: []byte("b"), After: after, Partitions: []kv.Partition{0}})
	if err != nil || len(page.Keys) < 35 || !bytes.Equal(page.Keys[0], keys[11].User()) {
		t.Errorf("after key 10 %d keys are listed: %v", len(page.Keys), err)
	}
}
