package logstore

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// sample returns a directory's files: a segment and its hint.
func sample(t testing.TB) (segment, hint []byte) {
	fs := vfs.NewMem()
	e, _ := single(t, fs, nil)
	for i := range 5 {
		var b storage.Batch
		b.Set(key(1, fmt.Sprint(i)), []byte("value"))
		b.Delete(key(2, fmt.Sprint(i)))
		if err := e.Apply(&b, nil); err != nil {
			t.Fatal(err)
		}
		if err := e.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Drop(key(1, "2"), key(1, "3")); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	read := func(suffix string) (data []byte) {
		storagetest.Rewrite(t, fs, storagetest.Largest(t, fs, suffix), func(b []byte) []byte {
			data = b
			return b
		})
		return data
	}
	return read(segmentSuffix), read(hintSuffix)
}

func write(t testing.TB, fs vfs.FS, path string, data []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// without returns b without its last n bytes.
func without(b []byte, n int) []byte { return b[: len(b)-n : len(b)-n] }

// TestHintWithoutRecords loses the records of the last segment, and the end of
// its hint: that is damage, not a write that a crash cut short.
func TestHintWithoutRecords(t *testing.T) {
	segment, hint := sample(t)
	fs := vfs.NewMem()
	if err := fs.MkdirAll("data", 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, fs, "data/00000001"+segmentSuffix, segment[:preamble])
	write(t, fs, "data/00000001"+hintSuffix, without(hint, 1))
	if _, err := Open(testConfig(fs)); kv.KindOf(err) != kv.KindCorrupt {
		t.Fatalf("open: %v", err)
	}
}

// FuzzOpen opens an engine on arbitrary bytes: it opens or refuses, and what it
// shows can be read, or is damage, and can be merged.
func FuzzOpen(f *testing.F) {
	segment, hint := sample(f)
	f.Add(segment, hint)
	f.Add(segment, []byte{})
	f.Add(segment[:len(segment)-7], []byte{})
	f.Add(segment[:preamble-1], hint)
	f.Add(segment[:preamble], without(hint, 1))
	f.Add([]byte{}, hint)
	f.Add([]byte{}, []byte{})
	for i := 0; i < len(segment); i += 5 {
		b := append([]byte(nil), segment...)
		b[i] ^= 4
		f.Add(b, []byte{})
	}
	for i := 0; i < len(hint); i += 5 {
		b := append([]byte(nil), hint...)
		b[i] ^= 4
		f.Add(segment, b)
	}
	f.Fuzz(func(t *testing.T, segment, hint []byte) {
		fs := vfs.NewMem()
		if err := fs.MkdirAll("data", 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, fs, "data/00000001"+segmentSuffix, segment)
		if len(hint) > 0 {
			write(t, fs, "data/00000001"+hintSuffix, hint)
		}
		j := new(jobs)
		c := testConfig(fs)
		j.use(&c)
		e, err := Open(c)
		if err != nil {
			if k := kv.KindOf(err); k != kv.KindCorrupt && k != kv.KindWrongVersion {
				t.Fatalf("open: %v", err)
			}
			return
		}
		for _, p := range e.index.prefixes() {
			if err := e.Scan(p, nil, func(k, v []byte) bool { return true }); err != nil && kv.KindOf(err) != kv.KindCorrupt {
				t.Fatalf("scan: %v", err)
			}
		}
		mustSet(t, e, key(1, "new"), "v")
		e.mergeAll.Store(true)
		e.rollNow(t)
		j.run()
		if v, _, err := e.Get(key(1, "new"), nil); err != nil || string(v) != "v" {
			t.Fatalf("Get: %q, %v", v, err)
		}
		checkCounters(t, e)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzHint reads arbitrary bytes as a block of a hint.
func FuzzHint(f *testing.F) {
	_, hint := sample(f)
	f.Add(hint[hintHeader+hintBlockHead:])
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		err := showHints(b, 1<<20, func(e *entry) error {
			n += hintEntry + len(e.key)
			if e.kind == kindDrop {
				n += len(e.value)
			}
			return nil
		})
		if err == nil && n != len(b) || n > len(b) {
			t.Errorf("%d of %d bytes were shown, %v", n, len(b), err)
		}
	})
}
