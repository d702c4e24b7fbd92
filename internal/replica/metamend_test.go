package replica

import (
	"bytes"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/pebble"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// knowing opens a store of which partitions 0 and 1 have a floor, 2 is marked as
// damaged, and 3 has neither.
func knowing(t *testing.T, e storage.Engine) (*Store, vclock.Floor) {
	t.Helper()
	s := openDamaged(t, e)
	for p := range kv.Partition(4) {
		mustPut(t, s, p, damagedKey(int(p)), object.Write{Value: []byte("v")})
	}
	f := vclock.Floor(vclock.AppendFloorEntry(nil, self, 900))
	if err := s.RaiseFloor([]kv.Partition{0, 1}, f); err != nil {
		t.Fatal(err)
	}
	if err := s.MarkDamaged(2, io.ErrUnexpectedEOF); err != nil {
		t.Fatal(err)
	}
	if err := s.Advance([]Advance{{Partition: 1, Puts: 5000, Gets: 4000}}); err != nil {
		t.Fatal(err)
	}
	if err := s.SetFills(map[kv.Partition]Fill{3: {Level: 7, Sources: []kv.NodeID{8, 9}, Done: true}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Begin(); err != nil {
		t.Fatal(err)
	}
	return s, f
}

// knows checks that s knows what knowing has told it.
func knows(t *testing.T, s *Store, f vclock.Floor, when string) {
	t.Helper()
	for p, want := range []vclock.Floor{f, f, nil, nil} {
		if got, _ := s.Floor(kv.Partition(p)); !bytes.Equal(got, want) {
			t.Errorf("%s: partition %d has the floor %x, want %x", when, p, got, want)
		}
	}
	if got := s.Damaged(); !slices.Equal(got, []kv.Partition{2}) {
		t.Errorf("%s: damaged are %v, want 2", when, got)
	}
	if begun, err := s.Begun(); err != nil || !begun {
		t.Errorf("%s: begun: %v, %v", when, begun, err)
	}
	if puts, gets := s.Stage(1); puts != 5000 || gets != 4000 {
		t.Errorf("%s: partition 1 is at stage %v, %v", when, puts, gets)
	}
	if fill := s.Fill(3); fill.Level != 7 || len(fill.Sources) != 2 || !fill.Done {
		t.Errorf("%s: partition 3 is filled from %+v", when, fill)
	}
}

// TestMetaIsWrittenAnew: power that fails at whatever moment costs nothing of
// what a node knows of its copies, while that is dropped and written anew.
func TestMetaIsWrittenAnew(t *testing.T) {
	whole := newLogDisk().(*logDisk)
	_, f := knowing(t, whole.open(t))
	for _, span := range [][2][]byte{
		{{0}, endOfMeta()},
		{metaKey(1, ""), metaKey(2, "zz")},
		{metaKey(2, metaDamaged), nil},
	} {
		for n, ended := 0, false; !ended; n++ {
			d := whole.copied().(*logDisk)
			s := openDamaged(t, d.open(t))
			d.left = n
			ended = s.CutGaps(span[0], span[1]) == nil
			for at := d.durable; at <= len(d.log); at++ {
				knows(t, openDamaged(t, d.crashedAt(at).open(t)), f, "after a crash")
			}
			if ended {
				knows(t, s, f, "at the end")
			}
		}
	}
}

// TestUselessIndex damages the index of the one table that has all, what the
// node knows of its copies included: all of it is lost, and none of it is in the
// way for ever.
func TestUselessIndex(t *testing.T) {
	fs := vfs.NewCrashableMem()
	open := func(told func(storage.Damage)) (storage.Engine, error) {
		c := pebble.Default()
		c.Dir, c.FS, c.Ticks, c.Hooks.Corrupted = "data", fs, make(chan time.Time), told
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
		return pebble.Open(c)
	}
	e, err := open(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, f := knowing(t, e)
	for i := range 8 * damagedKeys {
		mustPut(t, s, kv.Partition(i%8), damagedKey(i), object.Write{Value: []byte("some value")})
	}
	for range 2 { // the second time the log is made a table
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if e, err = open(nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	damageIndex(t, fs)

	told := make(chan storage.Damage, 100)
	if e, err = open(func(d storage.Damage) { told <- d }); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	s = openDamaged(t, e)
	if _, _, err := s.Read(7, damagedKey(7), nil); kv.KindOf(err) != kv.KindCorrupt {
		t.Fatalf("a read of a table without an index: %v", err)
	}
	d := <-told
	if d.From == nil || storage.PrefixOf(d.From).Space() != storage.SpaceMeta {
		t.Fatalf("what cannot be read begins at %q", d.From)
	}
	for p := range kv.Partition(8) {
		if err := s.MarkDamaged(p, &d); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.CutGaps(d.From, d.To); err != nil {
		t.Fatal(err)
	}
	for slices, did := 0, 1; did > 0; slices++ {
		if did, err = s.Upkeep(1 << 20); err != nil || slices == 1000 {
			t.Fatalf("after %d slices of upkeep: %v", slices, err)
		}
		// Others want to know what the first copies have, and come upon the damage
		// again.
		for p := range kv.Partition(2) {
			_ = s.LeafKeys(p, 0, nil, func(kv.Key, uint64) bool { return true })
		}
	}
	for p := range kv.Partition(8) {
		damages := s.Damages(p)
		for i := int(p); i < damagedKeys; i += 8 {
			o := object.Object{}
			if err := s.Merge(p, damagedKey(i), o, f, nil); err != nil {
				t.Error(err)
			}
		}
		if err := s.Repaired(p, damages); err != nil {
			t.Errorf("partition %d: %v", p, err)
		}
		if o := mustRead(t, s, p, damagedKey(int(p))); o.Live() != 0 {
			t.Errorf("partition %d: what was lost is there", p)
		}
		mustPut(t, s, p, damagedKey(int(p)), object.Write{Value: []byte("new")})
		if err := checkTree(s, e, p); err != nil {
			t.Error(err)
		}
	}
	s = openDamaged(t, e)
	if begun, err := s.Begun(); err != nil || !begun {
		t.Errorf("begun: %v, %v", begun, err)
	}
}

// damageIndex flips bits in the index block of the one table, and in what stands
// between it and the footer.
func damageIndex(t *testing.T, fs *vfs.MemFS) {
	t.Helper()
	names, err := fs.List("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if len(name) > 4 && name[len(name)-4:] == ".sst" {
			data, err := fs.UnsafeGetFileDataBuffer(fs.PathJoin("data", name))
			if err != nil {
				t.Fatal(err)
			}
			for at := len(data) - 4096; at < len(data)-100; at += 50 {
				data[at] ^= 0x10
			}
		}
	}
}
