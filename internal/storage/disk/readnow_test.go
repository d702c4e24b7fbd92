package disk

import (
	"bytes"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func makeFile(t testing.TB, fs vfs.FS, path string, data []byte) vfs.File {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err = fs.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestReadNow(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 1000)
	f := makeFile(t, vfs.Default, filepath.Join(t.TempDir(), "file"), data)
	b := make([]byte, 1000)
	filled, known := ReadNow(f, b, 1234)
	switch {
	case !known && runtime.GOOS == "linux":
		t.Skip("the file system cannot tell what it would wait for")
	case !known && !filled:
		return
	case !known || !filled || !bytes.Equal(b, data[1234:2234]):
		t.Errorf("what was just written: filled %v, known %v, %.10q", filled, known, b)
	}
	if filled, known := ReadNow(f, b, int64(len(data)-999)); filled || !known {
		t.Errorf("past the end: filled %v, known %v", filled, known)
	}
	if n := testing.AllocsPerRun(100, func() { ReadNow(f, b, 0) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReadNowOfMemory(t *testing.T) {
	f := makeFile(t, vfs.NewMem(), "file", []byte("data"))
	if filled, known := ReadNow(f, make([]byte, 4), 0); filled || known {
		t.Errorf("of a file that the system does not know: filled %v, known %v", filled, known)
	}
}

func BenchmarkReadNow(b *testing.B) {
	data := make([]byte, 1<<20)
	f := makeFile(b, vfs.Default, filepath.Join(b.TempDir(), "file"), data)
	buf := make([]byte, 1100)
	b.Run("now", func(b *testing.B) {
		for i := range b.N {
			ReadNow(f, buf, int64(i*4096)%(1<<19))
		}
	})
	b.Run("usual", func(b *testing.B) {
		for i := range b.N {
			_, _ = f.ReadAt(buf, int64(i*4096)%(1<<19))
		}
	})
}
