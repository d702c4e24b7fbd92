package memory

import (
	"bytes"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

func open(t testing.TB) storage.Engine {
	t.Helper()
	e, err := Open(Config{MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEngine(t *testing.T) { storagetest.Run(t, open) }

func BenchmarkEngine(b *testing.B) { storagetest.Benchmark(b, open) }

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default is invalid: %v", err)
	}
	if _, err := Open(Config{}); kv.KindOf(err) != kv.KindInvalid {
		t.Errorf("Open without a limit: %v", err)
	}
}

var (
	first  = []byte{2, 0, 0, 'a'}
	second = []byte{2, 0, 1, 'b'}
)

// room is what n bytes under first or second count for.
func room(n int) int64 { return int64(entryBytes + len(first) + n) }

func set(e *Engine, key []byte, n int) error {
	var b storage.Batch
	b.Set(key, make([]byte, n))
	return e.Apply(&b, nil)
}

func TestLimit(t *testing.T) {
	for _, c := range []struct {
		name string
		max  int64
		full bool
	}{
		{"at the limit", room(100) + room(50), false},
		{"one past it", room(100) + room(50) - 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := Open(Config{MaxBytes: c.max})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			if err := set(e, first, 100); err != nil {
				t.Fatal(err)
			}
			err = set(e, second, 50)
			if full := kv.KindOf(err) == kv.KindDiskFull; (err != nil) != c.full || (c.full && !full) {
				t.Errorf("the second key: %v", err)
			}
			check(t, e)
		})
	}
}

// TestFull fills the engine and shows what it still takes, and that a refused
// batch leaves no trace.
func TestFull(t *testing.T) {
	e, err := Open(Config{MaxBytes: room(100)})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := set(e, first, 100); err != nil {
		t.Fatal(err)
	}
	var b storage.Batch
	b.Set(first, []byte("short"))
	b.Set(second, []byte("new"))
	if err := e.Apply(&b, nil); kv.KindOf(err) != kv.KindDiskFull || kv.AppliedOf(err) != kv.AppliedNo {
		t.Errorf("a batch past the limit: %v", err)
	}
	if v, _, err := e.Get(first, nil); err != nil || len(v) != 100 {
		t.Errorf("the refused batch changed the first key: %d bytes, %v", len(v), err)
	}
	if _, found, _ := e.Get(second, nil); found {
		t.Error("the refused batch set the second key")
	}
	if s := e.Stats(); s.Refused != 1 || s.FreeBytes != 0 {
		t.Errorf("Refused %d, FreeBytes %d, want 1 and 0", s.Refused, s.FreeBytes)
	}
	for _, n := range []int{100, 60, 10} { // same place, less of it, a smaller one
		if err := set(e, first, n); err != nil {
			t.Errorf("a value of %d bytes in place of 100: %v", n, err)
		}
		check(t, e)
	}
	b.Reset()
	b.Delete(first)
	if err := e.Apply(&b, nil); err != nil {
		t.Fatal(err)
	}
	check(t, e)
	if err := set(e, second, 100); err != nil {
		t.Errorf("with space again: %v", err)
	}
}

func TestAccounting(t *testing.T) {
	e, err := Open(Config{MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for _, n := range []int{100, 300, 10, 0, 40} {
		var b storage.Batch
		b.Set(first, make([]byte, n))
		b.Set(second, make([]byte, 1000))
		b.Set(first, make([]byte, 2*n))
		if n == 10 {
			b.Delete(second)
		}
		if err := e.Apply(&b, nil); err != nil {
			t.Fatal(err)
		}
		check(t, e)
	}
	if err := e.Drop(first, append(bytes.Clone(first), 'x')); err != nil { // a part of a prefix
		t.Fatal(err)
	}
	check(t, e)
	for _, key := range [][]byte{first, second} {
		if err := e.Drop(storage.PrefixOf(key).Range()); err != nil {
			t.Fatal(err)
		}
		check(t, e)
	}
	if used := e.used.Load(); used != 0 {
		t.Errorf("%d bytes in an empty engine", used)
	}
}

// check tests the invariants of table and the engine's sums.
func check(t *testing.T, e *Engine) {
	t.Helper()
	var bytes, keys int64
	for i := range e.stripes {
		for _, table := range e.stripes[i].mu.tables {
			var sum int64
			for _, r := range table.entries {
				sum += r.bytes()
			}
			if sum != table.bytes {
				t.Errorf("a table counts %d bytes and has %d", table.bytes, sum)
			}
			bytes += sum
			keys += int64(len(table.entries))
		}
	}
	if e.used.Load() != bytes || e.keys.Load() != keys {
		t.Errorf("the engine counts %d bytes and %d keys, and has %d and %d", e.used.Load(), e.keys.Load(), bytes, keys)
	}
}

// TestOverwriteDoesNotAllocate shows that a value that fits reuses the room of
// the old one.
func TestOverwriteDoesNotAllocate(t *testing.T) {
	e, err := Open(Default())
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var b storage.Batch
	value := make([]byte, 1024)
	b.Set(first, value)
	if n := testing.AllocsPerRun(100, func() { e.Apply(&b, nil) }); n != 0 {
		t.Errorf("an overwrite allocates %v times", n)
	}
}

func TestStripesAreSpread(t *testing.T) {
	var count [stripeCount]int
	for p := range 1024 {
		count[stripeOf(storage.NewPrefix(storage.SpaceData, kv.Partition(p)))]++
	}
	for i, n := range count {
		if n != 4 {
			t.Errorf("stripe %d has %d of 1024 partitions, want 4", i, n)
		}
	}
}
