package pebble

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// testConfig is small, and on fs.
func testConfig(fs vfs.FS) Config {
	c := Default()
	c.Dir = "data"
	c.FS = fs
	c.CacheBytes = 1 << 20
	c.MemTableBytes = minMemTable
	c.Ticks = make(chan time.Time) // nobody sends
	c.Logger = discard
	return c
}

var discard = slog.New(slog.DiscardHandler)

// readFile is for tests that call their disk disk.
var readFile = disk.ReadFile

// health is that of an engine that works.
func health() *disk.Health { return disk.NewHealth(discard) }

func mustOpen(t testing.TB, c Config) *Engine {
	t.Helper()
	e, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// onDisk opens engines for the suites that break the disk.
func onDisk(d storagetest.Disk) (storage.Engine, error) {
	c := testConfig(d.FS)
	c.ReserveBytes = d.Reserve
	if d.Ticks != nil {
		c.Ticks = d.Ticks
	}
	c.Hooks.Failed = d.Failed
	c.Hooks.Corrupted = d.Corrupted
	e, err := Open(c)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func TestEngine(t *testing.T) {
	storagetest.Run(t, func(t testing.TB) storage.Engine { return mustOpen(t, testConfig(vfs.NewMem())) })
}

// TestOnDisk opens the engine as a node does, on the real file system, twice.
func TestOnDisk(t *testing.T) {
	c := Default()
	c.Dir = filepath.Join(t.TempDir(), "not", "there", "yet")
	c.ReserveBytes = 0
	c.Logger = discard
	for round := range 2 {
		e := mustOpen(t, c)
		for i := range damageKeys {
			got, found, err := e.Get(damageKey(i), nil)
			if err != nil || found != (round == 1) || found && string(got) != damageValue(i) {
				t.Fatalf("Get(%d) = %d bytes, %v, %v", i, len(got), found, err)
			}
			var b storage.Batch
			b.Set(damageKey(i), []byte(damageValue(i)))
			if err := e.Apply(&b, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := e.Sync(); err != nil {
			t.Fatal(err)
		}
		if s := e.Stats(); s.FreeBytes == 0 || s.Syncs == 0 {
			t.Errorf("stats: %+v", s)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCrash(t *testing.T) {
	t.Parallel()
	storagetest.RunCrash(t, onDisk)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	storagetest.RunFaults(t, onDisk)
}

func TestDiskFull(t *testing.T) { storagetest.RunDiskFull(t, onDisk) }

func BenchmarkEngine(b *testing.B) {
	storagetest.Benchmark(b, func(t testing.TB) storage.Engine {
		c := Default()
		c.Dir = t.TempDir()
		c.ReserveBytes = 0
		c.Logger = discard
		return mustOpen(t, c)
	})
}
