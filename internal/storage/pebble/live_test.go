package pebble

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// TestDamageUnderneath damages files of an open engine, on a real disk: what it
// reads is right, or an error that says what is damaged, and it can be closed
// and opened again.
func TestDamageUnderneath(t *testing.T) {
	t.Parallel()
	flipMany := func(path string) error {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		for i := 100; i < len(data); i += 500 {
			if _, err := f.WriteAt([]byte{data[i] ^ 1}, int64(i)); err != nil {
				return err
			}
		}
		return nil
	}
	half := func(path string) error {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		return os.Truncate(path, info.Size()/2)
	}
	for _, c := range []struct {
		name, suffix string
		damage       func(path string) error
		read         bool // before the damage, so that all is cached
		lost         bool // the damage is surely met
	}{
		{"TableFlipped", tableSuffix, flipMany, false, true},
		{"TableCutShort", tableSuffix, half, false, true},
		{"TableMissing", tableSuffix, os.Remove, false, false}, // Pebble has it open, as a rule
		{"BlobFlipped", blobSuffix, flipMany, false, true},
		{"BlobCutShort", blobSuffix, half, false, true},
		{"BlobMissing", blobSuffix, os.Remove, false, true},
		{"TableCached", tableSuffix, flipMany, true, false},
		{"BlobCached", blobSuffix, half, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, cfg := onRealDisk(t)
			if c.read {
				if n := readDamagedNow(t, e); n > 0 {
					t.Fatalf("%d keys cannot be read before any damage", n)
				}
			}
			for _, path := range filesOn(t, cfg.Dir, c.suffix) {
				if err := c.damage(path); err != nil {
					t.Fatal(err)
				}
			}
			if n := readDamagedNow(t, e); n == 0 && c.lost {
				t.Error("all keys can be read")
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			again, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if n := readDamagedNow(t, again); n == 0 {
				t.Error("all keys can be read after a restart")
			}
			if err := again.Drop(nil, nil); err != nil {
				t.Fatal(err)
			}
			if err := again.Scan(storage.Prefix{2, 0, 1}, nil, func(key, _ []byte) bool {
				t.Errorf("key %q is left", key)
				return true
			}); err != nil {
				t.Error(err)
			}
		})
	}
}

// onRealDisk returns an engine, newly opened, that has written tables and blob
// files, with nothing in its cache.
func onRealDisk(t *testing.T) (*Engine, Config) {
	t.Helper()
	c := testConfig(vfs.Default)
	c.Dir = filepath.Join(t.TempDir(), "engine")
	c.ReserveBytes = 0
	for range 2 {
		e := mustOpen(t, c)
		for i := range damageKeys {
			mustSet(t, e, i, damageValue(i))
		}
		if err := settle(e); err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return mustOpen(t, c), c
}

func filesOn(t *testing.T, dir, suffix string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files %s: %v", suffix, err)
	}
	return paths
}

// readDamagedNow gets keys of every block, and returns how many cannot be read.
func readDamagedNow(t *testing.T, e *Engine) (lost int) {
	t.Helper()
	for i := 0; i < damageKeys; i += storagetest.Step(7) {
		got, found, err := e.Get(damageKey(i), nil)
		switch {
		case kv.KindOf(err) == kv.KindCorrupt:
			lost++
		case err != nil || !found || string(got) != damageValue(i):
			t.Errorf("Get(%d) = %d bytes, %v, %v", i, len(got), found, err)
		}
	}
	return lost
}
