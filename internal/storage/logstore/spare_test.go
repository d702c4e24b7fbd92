package logstore

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// named returns the files of an engine's directory with a suffix.
func named(t testing.TB, fs vfs.FS, suffix string) []string {
	t.Helper()
	all, err := fs.List("data")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return slices.DeleteFunc(all, func(name string) bool { return !strings.HasSuffix(name, suffix) })
}

// withSpares returns an engine that has as many spares as there may be, and what
// it holds.
func withSpares(t testing.TB, fs vfs.FS) (*Engine, *jobs, map[string]string) {
	t.Helper()
	e, j := single(t, fs, nil)
	m := make(map[string]string)
	rng := rand.New(rand.NewPCG(7, 7))
	for round := 0; len(e.spares.mu.free) < maxSpares; round++ {
		if round == 200 {
			t.Fatal("no spares")
		}
		churn(t, e, m, rng, 100)
		j.run()
	}
	return e, j, m
}

// TestSpares: what merges have emptied is written over, a few of it, and what was in
// it never comes back.
func TestSpares(t *testing.T) {
	fs := vfs.NewMem()
	e, j, m := withSpares(t, fs)
	rng := rand.New(rand.NewPCG(8, 8))
	reused := 0
	for range 100 {
		churn(t, e, m, rng, 50)
		j.run()
		if e.log.mu.segment.reused.Load() > 0 {
			reused++
		}
		if n := len(named(t, fs, spareSuffix)); n > maxSpares {
			t.Fatalf("%d spares", n)
		}
	}
	if reused < 50 {
		t.Errorf("the log was written over a spare in %d of 100 rounds", reused)
	}
	for range 3 {
		checkAll(t, e, m)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		e, j = single(t, fs, nil)
		churn(t, e, m, rng, 50)
		j.run()
	}
	checkAll(t, e, m)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSpareNumbers: no segment gets a number that a spare has, or had.
func TestSpareNumbers(t *testing.T) {
	fs := vfs.NewMem()
	e, _, m := withSpares(t, fs)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	const number = 0xffff
	one := named(t, fs, spareSuffix)[0]
	if err := fs.Rename("data/"+one, segmentPath(fs, "data", number, spareSuffix)); err != nil {
		t.Fatal(err)
	}
	e, _ = single(t, fs, nil)
	if n := e.log.mu.segment.number; n <= number {
		t.Errorf("the segment after spare %x has number %x", number, n)
	}
	checkAll(t, e, m)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSparesGiveWay: on a full disk spares go.
func TestSparesGiveWay(t *testing.T) {
	fs := vfs.NewMem()
	e, _, m := withSpares(t, fs)
	had := e.Stats().DiskBytes
	e.space.Block()
	e.sample()
	e.space.Unblock()
	if left := named(t, fs, spareSuffix); len(left) > 0 || e.spares.bytes() != 0 {
		t.Errorf("%v left, %d bytes", left, e.spares.bytes())
	}
	if now := e.Stats().DiskBytes; now > had-uint64(testConfig(fs).SegmentBytes) {
		t.Errorf("%d bytes on the disk, %d before", now, had)
	}
	checkAll(t, e, m)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSpareStays: a spare that could not be taken, on a full disk, is there still.
func TestSpareStays(t *testing.T) {
	mem := vfs.NewMem()
	fails, failed := false, 0
	e, j, m := withSpares(t, errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !fails || op.Kind != errorfs.OpRename || !strings.HasSuffix(op.Path, spareSuffix) {
			return nil
		}
		failed++
		return syscall.ENOSPC
	})))
	fails = true
	value := strings.Repeat("v", 1000)
	for i := range 100 {
		k := key(9, fmt.Sprint(i))
		mustSet(t, e, k, value)
		m[string(k)] = value
	}
	j.run()
	fails = false
	if failed == 0 || len(named(t, mem, spareSuffix)) != maxSpares || len(e.spares.mu.free) != maxSpares {
		t.Errorf("%d times not taken; %v are there, %v known", failed, named(t, mem, spareSuffix), e.spares.mu.free)
	}
	e.sample()
	j.run()
	checkAll(t, e, m)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// records returns a segment's file of n records, each behind a mark, with a footer.
func records(s *segment, n int) []byte {
	b := s.preamble()
	for i := range n {
		b = appendRecord(b, header{kind: kindMark, seq: uint64(len(b))}, nil, nil, s.salt())
		value := fmt.Appendf(nil, "of %d", s.number)
		b = appendRecord(b, header{kind: kindSet, seq: uint64(i + 1), valueSum: sum(value)}, key(1, fmt.Sprint(i)), value, s.salt())
	}
	return appendRecord(b, header{kind: kindFooter, seq: uint64(len(b))}, nil, nil, s.salt())
}

func mustWrite(t testing.TB, fs vfs.FS, path string, b []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(slices.Clone(b))
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestLeftInSpare: a crash leaves a segment of n records in the file of an earlier
// one, at the same places or others. What is left of that is no record, and its marks
// do not tell of damage.
func TestLeftInSpare(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 5, 19} {
		for _, torn := range []int{0, 1, 30} {
			fs := vfs.NewMem()
			if err := fs.MkdirAll("data", 0o755); err != nil {
				t.Fatal(err)
			}
			b := records(&segment{number: 1, format: version}, 20)
			want := make(map[string]string)
			if n >= 0 {
				fresh := records(&segment{number: 2, format: version}, n)
				copy(b, fresh[:max(preamble, len(fresh)-footerLen-torn)])
				for i := range n - min(torn, 1) { // a record has more than 30 bytes
					want[string(key(1, fmt.Sprint(i)))] = "of 2"
				}
			}
			mustWrite(t, fs, segmentPath(fs, "data", 2, segmentSuffix), b)
			e, _ := single(t, fs, nil)
			if got := contents(t, e); !maps.Equal(got, want) {
				t.Errorf("%d records, cut by %d: the engine holds %q", n, torn, got)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestFirstFormat: segments whose records have no salt are read, merged, and not
// written over.
func TestFirstFormat(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("data", 0o755); err != nil {
		t.Fatal(err)
	}
	for number := range uint32(3) {
		mustWrite(t, fs, segmentPath(fs, "data", number+1, segmentSuffix), records(&segment{number: number + 1, format: 1}, 900))
	}
	e, j := single(t, fs, func(c *Config) { c.SegmentBytes = 48 << 10 })
	// Of equal sequence numbers any may win.
	if got := contents(t, e); len(got) != 900 {
		t.Fatalf("the engine holds %d keys", len(got))
	}
	e.mergeAll.Store(true)
	e.mergeSoon()
	j.run()
	if left := named(t, fs, segmentSuffix); len(left) != 1 {
		t.Errorf("%v after a merge", left)
	}
	if left := named(t, fs, spareSuffix); len(left) > 0 {
		t.Errorf("%v are spares", left)
	}
	for i := range 900 {
		if v, found, err := e.Get(key(1, fmt.Sprint(i)), nil); err != nil || !found || !strings.HasPrefix(string(v), "of ") {
			t.Fatalf("key %d: %q, %v, %v", i, v, found, err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	// One whose beginning is lost is damage, whatever its format.
	b := records(&segment{number: 0x100, format: 1}, 3)
	binary.LittleEndian.PutUint32(b, 0)
	mustWrite(t, fs, segmentPath(fs, "data", 0x100, segmentSuffix), b)
	c := testConfig(fs)
	if _, err := Open(c); err == nil || !strings.Contains(err.Error(), errPreamble.Error()) {
		t.Errorf("Open with a segment that lost its beginning: %v", err)
	}
}

// TestCut: an engine that is closed, or comes back from a crash, gives back what the
// file of its last segment had before.
func TestCut(t *testing.T) {
	c := onFiles(t.TempDir())
	c.SegmentBytes, c.MergeSlack, c.FlushBytes = 64<<10, 0, 4<<10
	c.Ticks = make(chan time.Time) // nobody sends
	j := new(jobs)
	j.use(&c)
	e := mustOpen(t, c)
	m := make(map[string]string)
	rng := rand.New(rand.NewPCG(9, 9))
	for round := 0; e.log.mu.segment.reused.Load() == 0 || e.log.mu.segment.size.Load() > 32<<10; round++ {
		if round == 1000 {
			t.Fatal("no spare was used")
		}
		churn(t, e, m, rng, 10)
		j.run()
	}
	last := e.log.mu.segment
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(c.Dir, filepath.Base(last.path)))
	if err != nil || info.Size() != last.size.Load() {
		t.Errorf("the file has %v, want %d: %v", info, last.size.Load(), err)
	}
	e = mustOpen(t, c)
	checkAll(t, e, m)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}
