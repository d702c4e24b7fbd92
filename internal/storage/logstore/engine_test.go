package logstore

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

var discard = slog.New(slog.DiscardHandler)

// testConfig is small, and on fs.
func testConfig(fs vfs.FS) Config {
	c := Default()
	c.Dir = "data"
	c.FS = fs
	c.SegmentBytes, c.CacheBytes = 64<<10, 256<<10
	c.FlushBytes = 4 << 10
	c.ReserveBytes, c.MergeSlack = 0, 0
	c.Ticks = make(chan time.Time) // nobody sends
	c.MergeRate = 1 << 40
	c.Logger = discard
	return c
}

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

func TestCrash(t *testing.T) {
	t.Parallel()
	storagetest.RunCrash(t, onDisk)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	storagetest.RunFaults(t, onDisk)
}

func TestDiskFull(t *testing.T) { storagetest.RunDiskFull(t, onDisk) }

func key(p byte, rest string) []byte { return append([]byte{2, 0, p}, rest...) }

// mustApply applies one change.
func mustSet(t testing.TB, e *Engine, k []byte, value string) {
	t.Helper()
	var b storage.Batch
	b.Set(k, []byte(value))
	if err := e.Apply(&b, nil); err != nil {
		t.Fatal(err)
	}
}

// onFiles is a Config on the real file system.
func onFiles(dir string) Config {
	c := Default()
	c.Dir = filepath.Join(dir, "not", "there", "yet")
	c.ReserveBytes = 0
	c.Logger = discard
	return c
}

func BenchmarkEngine(b *testing.B) {
	storagetest.Benchmark(b, func(t testing.TB) storage.Engine { return mustOpen(t, onFiles(t.TempDir())) })
}
