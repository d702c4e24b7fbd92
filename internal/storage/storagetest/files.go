package storagetest

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Dir is where the engines of the suites' own tests live, so that ways to damage
// them can be shared.
const Dir = "data"

// Rewrite replaces what the file at path holds.
func Rewrite(t testing.TB, fs vfs.FS, path string, change func([]byte) []byte) {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	f, err = fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(change(data))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// Largest returns the path of the largest file in Dir with a suffix, or "".
func Largest(t testing.TB, fs vfs.FS, suffix string) string {
	t.Helper()
	names, err := fs.List(Dir)
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, suffix) })
	if len(names) == 0 {
		return ""
	}
	size := func(name string) int64 {
		info, err := fs.Stat(fs.PathJoin(Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	return fs.PathJoin(Dir, slices.MaxFunc(names, func(a, b string) int { return cmp.Compare(size(a), size(b)) }))
}

// File returns a Damage.Do that changes the largest file with a suffix.
func File(suffix string, change func([]byte) []byte) func(testing.TB, vfs.FS) string {
	return func(t testing.TB, fs vfs.FS) string {
		path := Largest(t, fs, suffix)
		Rewrite(t, fs, path, change)
		return path
	}
}

// Missing returns a Damage.Do that removes the largest file with a suffix.
func Missing(suffix string) func(testing.TB, vfs.FS) string {
	return func(t testing.TB, fs vfs.FS) string {
		path := Largest(t, fs, suffix)
		if err := fs.Remove(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
}

// Halve cuts a file in the middle.
func Halve(data []byte) []byte { return data[:len(data)/2] }

// Empty leaves nothing of a file.
func Empty([]byte) []byte { return nil }
