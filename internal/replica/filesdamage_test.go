package replica

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
)

const damagedKeys = 300

func damagedKey(i int) kv.Key { return kv.AppendKey(nil, "b", fmt.Appendf(nil, "key %d", i)) }

// TestDamagedFiles flips single bits in the files of a real engine: nothing
// damaged is served, what cannot be read is cut out, and after a repair
// everything is there again.
func TestDamagedFiles(t *testing.T) { onRealDisks(t, testDamagedFiles) }

// onRealDisks runs test on an empty disk of each real engine.
func onRealDisks(t *testing.T, test func(*testing.T, realDisk)) {
	for name, newDisk := range disks {
		if d, ok := newDisk().(realDisk); ok {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, d)
			})
		}
	}
}

func testDamagedFiles(t *testing.T, whole realDisk) {
	objects := map[int]object.Object{}
	s := openDamaged(t, whole.open(t))
	for i := range damagedKeys {
		// Some values stand in tables, some in files of their own.
		objects[i] = mustPut(t, s, 0, damagedKey(i), object.Write{Value: fmt.Appendf(nil, "%0*d", 100+7*i, i)})
	}
	if err := s.engine.Close(); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 12 {
		d := whole.crashed().(realDisk)
		flipBit(t, d.fs, rng)
		e, err := d.opener(d.fs)
		if err != nil {
			continue // the directory is set aside then
		}
		found += liveThrough(t, e, objects)
	}
	if found < 4 {
		t.Errorf("damage was found in %d of 12 damaged directories", found)
	}
}

// flipBit changes a bit of a table, of a file of values, or of a segment.
func flipBit(t *testing.T, fs *vfs.MemFS, rng *rand.Rand) {
	t.Helper()
	all, err := fs.List("data")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range all {
		if strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob") || strings.HasSuffix(name, ".seg") {
			names = append(names, fs.PathJoin("data", name))
		}
	}
	data, err := fs.UnsafeGetFileDataBuffer(names[rng.IntN(len(names))])
	if err != nil {
		t.Fatal(err)
	}
	data[rng.IntN(len(data))] ^= 0x10
}

// openDamaged opens a store on e, as a new process.
func openDamaged(t *testing.T, e storage.Engine) *Store {
	t.Helper()
	return mustOpen(t, 0, self, e, &sequence{id: self, last: 1000, reserved: new(uint64)}, rings{testRing(t, 1)}, 1001)
}

// liveThrough reads everything, salvages the copy, fills it again, and tells
// whether there was damage: 0 or 1.
func liveThrough(t *testing.T, e storage.Engine, objects map[int]object.Object) int {
	t.Helper()
	s := openDamaged(t, e)
	defer func() { _ = e.Close() }()
	for i := range damagedKeys {
		o, _, err := s.Read(0, damagedKey(i), nil)
		switch {
		case err != nil && kv.KindOf(err) == kv.KindCorrupt:
		case err != nil || string(o.Bytes()) != string(objects[i].Bytes()):
			t.Errorf("key %d is read as %d bytes, %v", i, len(o.Bytes()), err)
		}
	}
	upkeep(t, s)
	if err := checkTree(s, e, 0); err != nil {
		t.Error(err)
	}
	if len(s.Damaged()) == 0 {
		return 0
	}
	damages := s.Damages(0)
	for i := range damagedKeys {
		if err := s.Merge(0, damagedKey(i), objects[i], nil, nil); err != nil {
			t.Error(err)
		}
	}
	if err := s.Repaired(0, damages); err != nil {
		t.Error(err)
	}
	for i := range damagedKeys {
		if o := mustRead(t, s, 0, damagedKey(i)); string(o.Bytes()) != string(objects[i].Bytes()) {
			t.Errorf("after the repair key %d has %d bytes", i, len(o.Bytes()))
		}
	}
	if err := checkTree(s, e, 0); err != nil {
		t.Error(err)
	}
	return 1
}
