package logstore

import (
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

func TestValidate(t *testing.T) {
	valid := Default()
	valid.Dir = "data"
	if err := valid.Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for name, change := range map[string]func(*Config){
		"Dir":          func(c *Config) { c.Dir = "" },
		"FS":           func(c *Config) { c.FS = nil },
		"SegmentBytes": func(c *Config) { c.SegmentBytes = minSegment - 1 },
		"FlushBytes":   func(c *Config) { c.FlushBytes = 0 },
		"FlushEvery":   func(c *Config) { c.FlushEvery = 0 },
		"CacheBytes":   func(c *Config) { c.CacheBytes = maxCache + 1 },
		"PendingBytes": func(c *Config) { c.PendingBytes = maxPending + 1 },
		"MergeGarbage": func(c *Config) { c.MergeGarbage = 1 },
		"MergeSlack":   func(c *Config) { c.MergeSlack = -1 },
		"MergeRate":    func(c *Config) { c.MergeRate = 0 },
		"ReserveBytes": func(c *Config) { c.ReserveBytes = -1 },
		"Loaders":      func(c *Config) { c.Loaders = 0 },
		"SampleEvery":  func(c *Config) { c.SampleEvery = 0 },
		"Go":           func(c *Config) { c.Go = nil },
		"After":        func(c *Config) { c.After = nil },
		"Now":          func(c *Config) { c.Now = nil },
		"Logger":       func(c *Config) { c.Logger = nil },
	} {
		c := valid
		change(&c)
		_, err := Open(c)
		if kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), name+" is") {
			t.Errorf("a bad %s: %v", name, err)
		}
	}
	for size, ok := range map[int64]bool{minSegment: true, maxSegment: true, maxSegment + 1: false} {
		c := valid
		c.SegmentBytes = size
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("SegmentBytes %d: %v", size, err)
		}
	}
}

// sized is a file system of a given size.
type sized struct {
	vfs.FS
	total uint64
}

func (s sized) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{TotalBytes: s.total, AvailBytes: s.total}, nil
}

func TestFit(t *testing.T) {
	const mib, gib = 1 << 20, 1 << 30
	for _, c := range []struct {
		total            uint64
		segment, reserve int64
	}{
		{100 * gib, 64 * mib, gib},
		{8 * gib, 64 * mib, gib},
		{4 * gib, 64 * mib, 512 * mib},
		{gib, 32 * mib, 128 * mib},
		{mib, 32 << 10, 128 << 10},
		{0, minSegment, 0},
		{1024 * gib, 256 * mib, gib},
		{2048 * gib, 512 * mib, 2 * gib},
		{100 * 1024 * gib, gib, 4 * gib},
	} {
		cfg := Default()
		cfg.FS, cfg.Dir = sized{vfs.NewMem(), c.total}, "data"
		got, err := cfg.Fit()
		if err != nil || got.SegmentBytes != c.segment || got.ReserveBytes != c.reserve || got.Validate() != nil {
			t.Errorf("on %d bytes: segments of %d, reserve %d, %v", c.total, got.SegmentBytes, got.ReserveBytes, err)
		}
	}
}

// TestOtherEngines: the data of another engine are not touched.
func TestOtherEngines(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("data", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, fs, "data/MANIFEST-000001", nil)
	_, err := Open(testConfig(fs))
	if kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "engine pebble") {
		t.Errorf("open: %v", err)
	}
}

func TestInUse(t *testing.T) {
	c := testConfig(vfs.NewMem())
	e := mustOpen(t, c)
	if _, err := Open(c); kv.KindOf(err) != kv.KindRefused {
		t.Errorf("a second Open: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, c).Close(); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

// TestNewerVersion: files of a newer release are refused by name.
func TestNewerVersion(t *testing.T) {
	for name, sumAt := range map[string]int{segmentSuffix: preamble - 4, hintSuffix: hintHeader - 4} {
		fs := vfs.NewMem()
		e := mustOpen(t, testConfig(fs))
		mustSet(t, e, key(1, "k"), "v")
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		path := storagetest.File(name, func(b []byte) []byte {
			binary.LittleEndian.PutUint32(b[8:], version+1)
			binary.LittleEndian.PutUint32(b[sumAt:], sum(b[:sumAt]))
			return b
		})(t, fs)
		if _, err := Open(testConfig(fs)); kv.KindOf(err) != kv.KindWrongVersion || !strings.Contains(err.Error(), path) {
			t.Errorf("%s of format %d: %v", name, version+1, err)
		}
	}
}

// TestFailedOpenLeavesNothing fails each change of the disk during Open in turn:
// the directory is unlocked and opens again.
func TestFailedOpenLeavesNothing(t *testing.T) {
	disk := vfs.NewMem()
	refused := 0
	for at, met := int64(0), true; met; at++ {
		var changes, told atomic.Int64
		c := testConfig(errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpLock || changes.Add(1)-1 != at {
				return nil
			}
			return errorfs.ErrInjected
		})))
		c.Hooks.Failed = func(error) { told.Add(1) }
		e, err := Open(c)
		if err != nil {
			refused++
			if kv.KindOf(err) != kv.KindStorage || !errors.Is(err, errorfs.ErrInjected) || told.Load() != 0 {
				t.Errorf("change %d fails: %v, told %d times", at, err, told.Load())
			}
			continue
		}
		mustSet(t, e, key(1, "k"), "v")
		if err := e.Close(); err != nil && kv.KindOf(err) != kv.KindStorage {
			t.Errorf("change %d fails: close: %v", at, err)
		}
		met = changes.Load() > at
	}
	if refused < 4 {
		t.Errorf("only %d changes failed an Open", refused)
	}
}

// TestBigBatch: a batch larger than a segment, and bounds longer than a key.
func TestBigBatch(t *testing.T) {
	c := testConfig(vfs.NewMem())
	c.PendingBytes = 1
	e := mustOpen(t, c)
	value := strings.Repeat("v", 3*int(c.SegmentBytes))
	for range 3 {
		mustSet(t, e, key(1, "big"), value)
	}
	mustSet(t, e, key(1, "small"), "v")
	long := key(1, "small"+strings.Repeat("\x00", 2*storage.MaxKey))
	if err := e.Drop(key(1, ""), long); err != nil {
		t.Fatal(err)
	}
	mustSet(t, e, key(1, "big"), value)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = mustOpen(t, c)
	checkAll(t, e, map[string]string{string(key(1, "big")): value})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestStalls: past PendingBytes Apply waits for the disk, and says so.
func TestStalls(t *testing.T) {
	entered, release := make(chan struct{}, 100), make(chan struct{})
	hold := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileWrite {
			entered <- struct{}{}
			<-release
		}
		return nil
	})}
	c := testConfig(errorfs.Wrap(vfs.NewMem(), hold))
	c.PendingBytes, c.FlushBytes = 1000, 1
	e := mustOpen(t, c)
	hold.On()
	mustSet(t, e, key(1, "a"), strings.Repeat("v", 2000))
	<-entered
	done := make(chan error)
	go func() {
		var b storage.Batch
		b.Set(key(1, "b"), []byte("v"))
		done <- e.Apply(&b, nil)
	}()
	for e.Stats().Stalls == 0 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	hold.Off()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
