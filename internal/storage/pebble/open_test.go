package pebble

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

func TestValidate(t *testing.T) {
	valid := Default()
	valid.Dir = "data"
	if err := valid.Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for name, change := range map[string]func(*Config){
		"Dir":           func(c *Config) { c.Dir = "" },
		"FS":            func(c *Config) { c.FS = nil },
		"CacheBytes":    func(c *Config) { c.CacheBytes = -1 },
		"MemTableBytes": func(c *Config) { c.MemTableBytes = minMemTable - 1 },
		"Compactions":   func(c *Config) { c.Compactions = 0 },
		"ReserveBytes":  func(c *Config) { c.ReserveBytes = -1 },
		"SampleEvery":   func(c *Config) { c.SampleEvery = 0 },
		"WaitQueue":     func(c *Config) { c.WaitQueue = 0 },
		"Logger":        func(c *Config) { c.Logger = nil },
	} {
		c := valid
		change(&c)
		_, err := Open(c)
		if kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), name+" is") {
			t.Errorf("a bad %s: %v", name, err)
		}
	}
	for size, ok := range map[int64]bool{minMemTable: true, maxMemTable: true, maxMemTable + 1: false} {
		c := valid
		c.MemTableBytes = size
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("MemTableBytes %d: %v", size, err)
		}
	}
}

// TestInUse opens a directory twice, on the real file system by two names.
func TestInUse(t *testing.T) {
	dir := t.TempDir()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(wd, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, first, second string
		fs                  vfs.FS
	}{
		{"in memory", "data", "data", vfs.NewMem()},
		{"on disk", dir, relative, vfs.Default},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := testConfig(c.fs)
			cfg.Dir = c.first
			e := mustOpen(t, cfg)
			cfg.Dir = c.second
			_, err := Open(cfg)
			if kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "data directory in use") {
				t.Errorf("a second Open: %v", err)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			if err := mustOpen(t, cfg).Close(); err != nil {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

func TestDirCannotBeMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig(vfs.Default)
	cfg.Dir = filepath.Join(file, "data")
	if _, err := Open(cfg); kv.KindOf(err) != kv.KindStorage {
		t.Errorf("Open below a file: %v", err)
	}
}

// TestFailedOpenLeavesNothing fails each change of the disk during Open in
// turn: the directory is unlocked and opens again, and nobody is told of a
// failure but the caller.
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
			if kv.KindOf(err) != kv.KindStorage || !errors.Is(err, errorfs.ErrInjected) {
				t.Errorf("change %d fails: %v", at, err)
			}
			if told.Load() != 0 {
				t.Errorf("change %d fails: Failed was called for an Open that returned %v", at, err)
			}
			continue
		}
		// The error came later, in the background or at Close, or was one that
		// does no harm.
		if err := e.Close(); err != nil && kv.KindOf(err) != kv.KindStorage {
			t.Errorf("change %d fails: close: %v", at, err)
		}
		met = changes.Load() > at
	}
	if refused < 10 {
		t.Errorf("only %d changes failed an Open", refused)
	}
}

func TestFormat(t *testing.T) {
	e := mustOpen(t, testConfig(vfs.NewMem()))
	defer e.Close()
	if v := e.db.FormatMajorVersion(); v != pebble.FormatNewest {
		t.Errorf("the format is %v, want %v", v, pebble.FormatNewest)
	}
}

// TestLog shows that Pebble's events are logged at debug level, and a failure
// once, as an error.
func TestLog(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	inject := &errorfs.Toggle{Injector: errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
			return nil
		}
		return errorfs.ErrInjected
	})}
	c := testConfig(errorfs.Wrap(vfs.NewMem(), inject))
	c.Logger = log
	e := mustOpen(t, c)
	if out.Len() > 0 {
		t.Errorf("logged without a failure:\n%s", out.String())
	}
	var b storage.Batch
	b.Set([]byte("key"), nil)
	if err := e.Apply(&b, nil); err != nil {
		t.Fatal(err)
	}
	inject.On()
	if err := e.Sync(); kv.KindOf(err) != kv.KindStorage || kv.AppliedOf(err) != kv.AppliedUnknown {
		t.Errorf("sync: %v", err)
	}
	if err := e.Close(); err == nil {
		t.Error("Close says nothing of the failure")
	}
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "injected error") {
		t.Errorf("the log of a failure:\n%s", got)
	}

	out.Reset()
	c = testConfig(vfs.NewMem())
	c.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e = mustOpen(t, c)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "level=DEBUG") || strings.Contains(got, "level=INFO") {
		t.Errorf("the log at debug level:\n%.1000s", got)
	}
}

// TestFatal shows that what Pebble means to end the process for ends the
// engine.
func TestFatal(t *testing.T) {
	var failure error
	c := testConfig(vfs.NewMem())
	c.Hooks.Failed = func(err error) { failure = err }
	e := mustOpen(t, c)
	l := &logger{log: c.Logger, health: e.health}
	l.Fatalf("invariant %d broken", 7)
	if failure == nil || !strings.Contains(failure.Error(), "invariant 7 broken") {
		t.Errorf("Failed was called with %v", failure)
	}
	if err := e.Apply(new(storage.Batch), nil); kv.KindOf(err) != kv.KindStorage {
		t.Errorf("Apply: %v", err)
	}
	if err := e.Close(); kv.KindOf(err) != kv.KindStorage {
		t.Errorf("Close: %v", err)
	}
}

// TestOtherEngines: the data of another engine are not touched.
func TestOtherEngines(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("data", 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("data/00000001.seg", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testConfig(fs)); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "engine logstore") {
		t.Errorf("open: %v", err)
	}
}
