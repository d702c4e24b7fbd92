package logstore

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// TestPeek: what is on the disk alone waits, and nothing else does.
func TestPeek(t *testing.T) {
	cold := storagetest.NewColdFS(vfs.NewMem())
	e, _ := single(t, cold, nil)
	defer e.Close()
	k, other := key(1, "k"), key(1, "other")
	peekAt := func(when string, k []byte, want string, wantErr error) {
		t.Helper()
		got, found, err := e.Peek(k, []byte("before "))
		if string(got) != "before "+want || found != (want != "") || !errors.Is(err, wantErr) || err != nil && wantErr == nil {
			t.Errorf("%s: %q, %v, %v", when, got, found, err)
		}
	}
	peek := func(when, want string, wantErr error) {
		t.Helper()
		peekAt(when, k, want, wantErr)
	}
	cold.Freeze()
	peek("a key that was never written", "", nil)
	mustSet(t, e, k, "value")
	mustSet(t, e, other, "other value")
	peekAt("what is yet to be written to the file", other, "other value", nil)
	if err := e.Sync(); err != nil {
		t.Fatal(err)
	}
	e.rollNow(t)
	peek("what is in the file", "", storage.ErrWaits)
	cold.Thaw()
	peek("what the system has in its memory", "value", nil)
	cold.Freeze()
	peek("what was read of late", "value", nil)
	mustSet(t, e, k, "value, longer")
	if err := e.Sync(); err != nil {
		t.Fatal(err)
	}
	peek("what was read of late and written again", "value, longer", nil)
}

// TestPeekBlind: where the file system tells nothing, Peek is Get.
func TestPeekBlind(t *testing.T) {
	e, _ := single(t, vfs.NewMem(), func(c *Config) { c.CacheBytes = 0 })
	k := key(1, "k")
	mustSet(t, e, k, "value")
	if err := e.Sync(); err != nil {
		t.Fatal(err)
	}
	e.rollNow(t)
	for range 2 {
		if got, found, err := e.Peek(k, nil); string(got) != "value" || !found || err != nil {
			t.Errorf("%q, %v, %v", got, found, err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.Peek(k, nil); kv.KindOf(err) != kv.KindClosed {
		t.Errorf("after Close: %v", err)
	}
}
