package pebble

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// manifest returns a file with records as Pebble's manifest has them, and the
// offset of the last.
func manifest(t testing.TB) (data []byte, last int) {
	t.Helper()
	var b bytes.Buffer
	w := record.NewWriter(&b)
	for i := range 40 {
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		last = b.Len()
		r, err := w.Next()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Write(bytes.Repeat([]byte{byte(i)}, 100*i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), last
}

func check(data []byte, name string) error { return checkRecords(vfs.NewMemFile(data), name, false) }

// TestManifestIsChecked flips bits: all but those of the last record are
// noticed. A manifest that ends early is one that a crash has torn.
func TestManifestIsChecked(t *testing.T) {
	t.Parallel()
	data, last := manifest(t)
	if len(data) < 2*recordBlock {
		t.Fatalf("only %d bytes", len(data))
	}
	if err := check(data, "MANIFEST-000001"); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < last; i += 13 * storagetest.Step(11) {
		flipped := bytes.Clone(data)
		flipped[i] ^= 1 << (i % 8)
		if err := check(flipped, "MANIFEST-000001"); err == nil {
			t.Errorf("a flipped bit at %d of %d is not noticed", i, len(data))
		}
	}
	for n := 200; n < len(data); n += 101 * storagetest.Step(11) {
		if err := check(data[:n], "MANIFEST-000001"); err != nil {
			t.Errorf("cut short to %d bytes: %v", n, err)
		}
	}
	for _, none := range [][]byte{nil, data[:5], make([]byte, 100), []byte("text")} {
		if err := check(none, "MANIFEST-000001"); err == nil {
			t.Errorf("a manifest of %d bytes without a record passes", len(none))
		}
	}
}

// crashedLog returns the last log that power loss leaves of an engine, each
// batch of which was synced, and its path. What is before known was synced
// before the last batch was written.
func crashedLog(t *testing.T, batches int) (disk *vfs.MemFS, path string, known int) {
	t.Helper()
	live := vfs.NewCrashableMem()
	c := testConfig(live)
	c.MemTableBytes = 16 << 20 // no flush: all is in the log
	e := mustOpen(t, c)
	for i := range batches {
		known = sizeOf(t, live, lastLog(t, live))
		mustSet(t, e, i, strings.Repeat("x", 1000))
		if err := e.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	disk = live.CrashClone(vfs.CrashCloneCfg{})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return disk, lastLog(t, disk), known
}

// TestTornLogIsCut ends a log early: what was whole is there, and nobody speaks
// of damage.
func TestTornLogIsCut(t *testing.T) {
	t.Parallel()
	disk, path, _ := crashedLog(t, 100)
	size := sizeOf(t, disk, path)
	for n := 0; n < size; n += 4099 {
		clone := disk.CrashClone(vfs.CrashCloneCfg{})
		storagetest.Rewrite(t, clone, path, func(data []byte) []byte { return data[:n] })
		e, err := Open(testConfig(clone))
		if err != nil {
			t.Fatalf("a log of %d of %d bytes: %v", n, size, err)
		}
		was := true
		for i := range 100 {
			_, found, err := e.Get(damageKey(i), nil)
			if err != nil || found && !was {
				t.Errorf("a log of %d bytes: Get(%d) = %v, %v", n, i, found, err)
			}
			was = found
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamagedLogIsNoticed flips bits of a log all of which was synced. Only
// the last batch may pass for a torn end.
func TestDamagedLogIsNoticed(t *testing.T) {
	t.Parallel()
	disk, path, known := crashedLog(t, 100)
	if known < 3*recordBlock {
		t.Fatalf("only %d bytes are known to be synced", known)
	}
	for i := 0; i < known; i += 997 * storagetest.Step(5) {
		wantBadLog(t, disk, path, i)
	}
	wantBadLog(t, disk, path, known-1)
}

// wantBadLog flips a bit of a log at offset i and shows that Open says so.
func wantBadLog(t *testing.T, disk *vfs.MemFS, path string, i int) {
	t.Helper()
	clone := disk.CrashClone(vfs.CrashCloneCfg{})
	flipAt(t, clone, path, i)
	e, err := Open(testConfig(clone))
	var d *storage.Damage
	if kv.KindOf(err) != kv.KindCorrupt || !errors.As(err, &d) || d.File != path {
		t.Errorf("a flipped bit at %d of %s: %v", i, path, err)
	}
	if err == nil {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLogSaysWhatIsSynced shows that all of a log that was synced before its
// last batch is known to be so, however much was written at a time.
func TestLogSaysWhatIsSynced(t *testing.T) {
	t.Parallel()
	live := vfs.NewCrashableMem()
	c := testConfig(live)
	c.MemTableBytes = 16 << 20
	e := mustOpen(t, c)
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 5 {
				var b storage.Batch
				b.Set(damageKey(w), make([]byte, 20_000*i))
				if err := errors.Join(e.Apply(&b, nil), e.Sync()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	path := lastLog(t, live)
	known := sizeOf(t, live, path)
	mustSet(t, e, 0, "the last")
	if err := e.Sync(); err != nil {
		t.Fatal(err)
	}
	disk := live.CrashClone(vfs.CrashCloneCfg{})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := readFile(disk, path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < known; at += known/100 + 1 {
		broken := bytes.Clone(data)
		broken[at] ^= 1
		if err := check(broken, filepath.Base(path)); err == nil {
			t.Errorf("a flipped bit at %d of %d is not noticed", at, known)
		}
	}
}

// TestClosedLogIsComplete damages the end of a log that has a successor: no
// crash can have torn it.
func TestClosedLogIsComplete(t *testing.T) {
	t.Parallel()
	live := vfs.NewCrashableMem()
	e := mustOpen(t, testConfig(live))
	path := lastLog(t, live)
	mustSet(t, e, 0, "v")
	if err := e.Sync(); err != nil {
		t.Fatal(err)
	}
	for i := 1; lastLog(t, live) == path; i++ {
		mustSet(t, e, i, strings.Repeat("x", 1000))
	}
	disk := live.CrashClone(vfs.CrashCloneCfg{})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := readFile(disk, path)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(path)
	if err := checkRecords(vfs.NewMemFile(data), name, true); err != nil {
		t.Fatal(err)
	}
	if err := checkRecords(vfs.NewMemFile(append(bytes.Clone(data), "left over"...)), name, true); err != nil {
		t.Errorf("behind its end it is not read: %v", err)
	}
	for n := range len(data) {
		if n%(53*storagetest.Step(11)) != 0 && n < len(data)-100 {
			continue
		}
		if err := checkRecords(vfs.NewMemFile(data[:n]), name, true); err == nil {
			t.Errorf("cut short to %d of %d bytes, it passes", n, len(data))
		}
		broken := bytes.Clone(data)
		broken[n] ^= 1
		if err := checkRecords(vfs.NewMemFile(broken), name, true); err == nil {
			t.Errorf("a flipped bit at %d of %d is not noticed", n, len(data))
		}
	}
}

// TestCrashesWithoutWrites opens an engine again and again that is never closed:
// each time the log before the last is one that was torn.
func TestCrashesWithoutWrites(t *testing.T) {
	disk := vfs.NewCrashableMem()
	for i := range 6 {
		e := mustOpen(t, testConfig(disk))
		if i == 2 {
			mustSet(t, e, i, "not synced")
		}
		disk = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(1, uint64(i)))})
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOldLogUnderNew shows that what is left of an older log in a file that is
// used again is no damage, and no end.
func TestOldLogUnderNew(t *testing.T) {
	disk, path, _ := crashedLog(t, 40)
	data, err := readFile(disk, path)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(path)
	if err := check(data, name); err != nil {
		t.Fatal(err)
	}
	if err := check(data, "999999.log"); err != nil {
		t.Errorf("records of another log: %v", err)
	}
	for _, n := range []int{0, 500, recordBlock - 10, recordBlock, recordBlock + 7} {
		other := &recordFile{log: true, number: 1, bad: -1}
		if err := other.read(vfs.NewMemFile(append(make([]byte, n), data...))); err != nil || other.proof != "" {
			t.Errorf("behind %d bytes: %v, %s", n, err, other.proof)
		}
	}
}

func FuzzCheckRecords(f *testing.F) {
	data, last := manifest(f)
	f.Add(data[:200], true)
	f.Add(data[last:], false)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, true)
	f.Fuzz(func(t *testing.T, data []byte, log bool) {
		name := "MANIFEST-000001"
		if log {
			name = "000001.log"
		}
		first := check(data, name)
		// What follows the file can only make it worse.
		if again := check(append(bytes.Clone(data), 0, 0, 0), name); first == nil && log && again != nil {
			t.Errorf("zeros behind a log are damage: %v", again)
		}
	})
}

func FuzzCheckSeal(f *testing.F) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("data", 0o755); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(sealHeader + "000001.log 3 00000000\n"))
	f.Add([]byte(sealHeader))
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := checkSeal(fs, "data", text); err != nil {
			var d *storage.Damage
			if !errors.As(err, &d) {
				t.Error(err)
			}
		}
	})
}

// TestSeal changes what is sealed.
func TestSeal(t *testing.T) {
	disk := written(t)
	text, err := readFile(disk, "data/"+sealName)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSeal(disk, "data", text); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) < 4 {
		t.Fatalf("the seal is %q", text)
	}
	for _, line := range lines[1 : len(lines)-1] {
		name := strings.Fields(line)[0]
		clone := disk.CrashClone(vfs.CrashCloneCfg{})
		storagetest.Rewrite(t, clone, "data/"+name, func(data []byte) []byte { return append(data, 0) })
		var d *storage.Damage
		if err := checkSeal(clone, "data", text); !errors.As(err, &d) || d.File != "data/"+name {
			t.Errorf("a longer %s: %v", name, err)
		}
	}
	for i := range text {
		broken := bytes.Clone(text)
		broken[i] ^= 1
		if err := checkSeal(disk, "data", broken); err != nil {
			t.Errorf("a seal that is damaged at %d: %v", i, err)
		}
	}
	e := mustOpen(t, testConfig(disk))
	if _, err := disk.Stat("data/" + sealName); err == nil {
		t.Error("an open directory is sealed")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSetAside(t *testing.T) {
	for _, c := range []struct {
		name string
		fs   vfs.FS
		dir  string
	}{
		{"InMemory", vfs.NewMem(), "engine"},
		{"OnDisk", vfs.Default, filepath.Join(t.TempDir(), "engine")},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range 3 {
				cfg := testConfig(c.fs)
				cfg.Dir = c.dir
				e := mustOpen(t, cfg)
				mustSet(t, e, i, "v")
				if _, err := disk.SetAside(c.fs, c.dir); kv.KindOf(err) != kv.KindRefused {
					t.Errorf("in use: %v", err)
				}
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
				name, err := disk.SetAside(c.fs, c.dir)
				if want := fmt.Sprintf("%s.damaged-%d", c.dir, i+1); err != nil || name != want {
					t.Fatalf("SetAside = %q, %v, want %q", name, err, want)
				}
				if _, err := c.fs.Stat(c.dir); err == nil {
					t.Error("the directory is still there")
				}
				cfg.Dir = name
				kept := mustOpen(t, cfg)
				if _, found, err := kept.Get(damageKey(i), nil); !found || err != nil {
					t.Errorf("what was set aside: %v, %v", found, err)
				}
				if err := kept.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
