package logstore

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// TestCrashEverywhere cuts the power before each change of the disk in turn: the
// first batches are there, all that were durable among them, none in part, and
// the engine that comes back can go on and be killed in the same way.
func TestCrashEverywhere(t *testing.T) {
	t.Parallel()
	const least = 60
	at := 0
	for ; crashAt(t, at); at += storagetest.Step(7) {
	}
	if at < least {
		t.Errorf("only %d changes of the disk", at)
	}
}

// crashAt cuts the power before change number at, and returns false when there
// are fewer.
func crashAt(t *testing.T, at int) bool {
	t.Helper()
	disk := vfs.NewCrashableMem()
	rng := rand.New(rand.NewPCG(uint64(at), 5))
	var left *vfs.MemFS
	var durable, durableThen, applied, changes int
	c := testConfig(errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpLock {
			return nil
		}
		if changes == at {
			left = disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 40, 100}[rng.IntN(3)], RNG: rng})
			durableThen = durable
		}
		changes++
		return nil
	})))
	j := new(jobs)
	j.use(&c)
	c.SegmentBytes = minSegment
	e := mustOpen(t, c)
	for i := range 60 {
		if i == 40 { // seals what is there, and begins anew
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			durable = applied
			e = mustOpen(t, c)
		}
		twoKeys(t, e, i)
		applied++
		switch rng.IntN(4) {
		case 0:
			if err := e.Sync(); err != nil {
				t.Fatal(err)
			}
			durable = applied
		case 1:
			j.run()
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if left == nil {
		return false
	}
	n := firstBatches(t, left, durableThen, 60)
	// What came back is durable: power loss takes nothing more.
	firstBatches(t, left.CrashClone(vfs.CrashCloneCfg{}), n, n)
	return true
}

// twoKeys applies batch i: a key of its own, and one that each batch changes.
func twoKeys(t testing.TB, e *Engine, i int) {
	t.Helper()
	var b storage.Batch
	value := binary.BigEndian.AppendUint32(make([]byte, 0, 1500), uint32(i))[:700+10*(i%80)]
	b.Set(key(1, fmt.Sprintf("%03d", i)), value)
	b.Set(key(2, "last"), value)
	if err := e.Apply(&b, nil); err != nil {
		t.Fatal(err)
	}
}

// firstBatches checks that disk holds the outcome of the first batches, from
// least to most of them, and returns how many.
func firstBatches(t testing.TB, disk *vfs.MemFS, least, most int) int {
	t.Helper()
	e, _ := single(t, disk, nil)
	got := contents(t, e)
	n := len(got)
	if n > 0 {
		n-- // the key that all change
	}
	if n < least || n > most {
		t.Fatalf("%d batches came back, %d were durable of %d", n, least, most)
	}
	for i := range n {
		if _, ok := got[string(key(1, fmt.Sprintf("%03d", i)))]; !ok {
			t.Fatalf("of %d batches, number %d is missing", n, i)
		}
	}
	if n > 0 {
		if last := binary.BigEndian.Uint32([]byte(got[string(key(2, "last"))])); int(last) != n-1 {
			t.Fatalf("of %d batches the last is number %d", n, last)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}
