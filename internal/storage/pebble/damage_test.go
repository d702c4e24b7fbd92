package pebble

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

const damageKeys = 400

func damageKey(i int) []byte { return fmt.Appendf([]byte{2, 0, 1}, "%06d", i) }

// damageValue is of 100 to 2900 bytes, so that some are in tables and some in
// blob files.
func damageValue(i int) string { return fmt.Sprintf("%0*d", 100+7*i, i) }

// written returns a disk with a closed engine's files.
func written(t *testing.T) *vfs.MemFS {
	t.Helper()
	disk := vfs.NewCrashableMem()
	e := mustOpen(t, testConfig(disk))
	for i := range damageKeys {
		var b storage.Batch
		b.Set(damageKey(i), []byte(damageValue(i)))
		if err := e.Apply(&b, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return disk
}

// filesOf returns the names of disk's files with a suffix.
func filesOf(t testing.TB, disk vfs.FS, suffix string) (names []string) {
	t.Helper()
	all, err := disk.List("data")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if strings.HasSuffix(name, suffix) {
			names = append(names, disk.PathJoin("data", name))
		}
	}
	return names
}

// flip changes one bit of a file.
func flip(t *testing.T, disk *vfs.MemFS, name string, at func(size int) int) {
	t.Helper()
	data, err := disk.UnsafeGetFileDataBuffer(name)
	if err != nil {
		t.Fatal(err)
	}
	data[at(len(data))] ^= 0x10
}

// TestDamageIsNeverServed flips single bits of tables and blob files. A read
// gives the right value or an error, never another value and never none.
func TestDamageIsNeverServed(t *testing.T) {
	t.Parallel()
	for _, suffix := range []string{".sst", ".blob"} {
		t.Run(suffix[1:], func(t *testing.T) {
			t.Parallel()
			disk := written(t)
			names := filesOf(t, disk, suffix)
			if len(names) == 0 {
				t.Fatalf("no %s files", suffix)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			corrupt := 0
			for range 25 {
				clone := disk.CrashClone(vfs.CrashCloneCfg{})
				flip(t, clone, names[rng.IntN(len(names))], rng.IntN)
				corrupt += readDamaged(t, clone)
			}
			if corrupt == 0 {
				t.Error("no damage was noticed")
			}
		})
	}
}

// readDamaged reads from all over an engine on a damaged disk, and returns
// how often it was told of corruption.
func readDamaged(t *testing.T, disk vfs.FS) (corrupt int) {
	t.Helper()
	c := testConfig(disk)
	var told atomic.Int64
	c.Hooks.Failed = func(err error) { t.Errorf("the engine failed: %v", err) }
	c.Hooks.Corrupted = func(d storage.Damage) { told.Add(1) }
	e, err := Open(c)
	if kv.KindOf(err) == kv.KindCorrupt {
		return 1
	} else if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < damageKeys; i += storagetest.Step(3) {
		got, found, err := e.Get(damageKey(i), nil)
		switch {
		case kv.KindOf(err) == kv.KindCorrupt:
			corrupt++
		case err != nil || !found || string(got) != damageValue(i):
			t.Errorf("Get(%d) = %d bytes, %v, %v, want %d bytes", i, len(got), found, err, len(damageValue(i)))
		}
	}
	next := 0
	err = e.Scan(storage.Prefix{2, 0, 1}, nil, func(key, value []byte) bool {
		if string(key) != string(damageKey(next)) || string(value) != damageValue(next) {
			t.Errorf("scan shows %q with %d bytes, want key %d", key, len(value), next)
		}
		next++
		return true
	})
	if err == nil && next != damageKeys || err != nil && kv.KindOf(err) != kv.KindCorrupt {
		t.Errorf("scan: %d keys, %v", next, err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if n := told.Load(); corrupt > 0 && n == 0 {
		t.Errorf("%d reads were told of damage, Corrupted was called %d times", corrupt, n)
	}
	return corrupt
}

// TestMissingBlobFile removes a file from under the engine.
func TestMissingBlobFile(t *testing.T) {
	disk := written(t)
	e := mustOpen(t, testConfig(disk))
	defer e.Close()
	for _, name := range filesOf(t, disk, blobSuffix) {
		if err := disk.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	corrupt := 0
	for i := range damageKeys {
		got, found, err := e.Get(damageKey(i), nil)
		if kv.KindOf(err) == kv.KindCorrupt {
			corrupt++
		} else if err != nil || !found || string(got) != damageValue(i) {
			t.Errorf("Get(%d) = %d bytes, %v, %v", i, len(got), found, err)
		}
	}
	if corrupt == 0 {
		t.Error("no file was missed")
	}
}
