package membership

import (
	"context"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const testBlock = 10

// crash is the disk as a crash would have left it, and the highest number that
// was in use at that moment.
type crash struct {
	fs   *vfs.MemFS
	used uint64
}

// A crash before any operation on the disk, whatever of the unsynced bytes
// survives, never makes a number be handed out again.
func TestSequenceCrashes(t *testing.T) {
	disk := vfs.NewCrashableMem()
	rng := rand.New(rand.NewPCG(1, 2))
	var used uint64
	var crashes []crash
	fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(errorfs.Op) error {
		for _, percent := range []int{0, 30, 70, 100} {
			crashes = append(crashes, crash{disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}), used})
		}
		return nil
	}))
	for start := range 3 {
		d, err := openDirectory(fs, "/data/n1", "n1", counter(uint64(start)*100), testBlock, wire.MaxVersion)
		if err != nil {
			t.Fatal(err)
		}
		s := newSequence(d, testBlock, func() {})
		if s.first <= used {
			t.Fatalf("start %d begins at %d, %d is in use", start, s.first, used)
		}
		for range 4 * testBlock {
			if used, err = s.next(); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range crashes {
		d, err := openDirectory(c.fs, "/data/n1", "n1", counter(1000), testBlock, wire.MaxVersion)
		if err != nil {
			t.Fatalf("crash %d: %v", i, err)
		}
		if first := newSequence(d, testBlock, func() {}).first; first <= c.used {
			t.Fatalf("crash %d: the next start begins at %d, %d is in use", i, first, c.used)
		}
	}
	if len(crashes) < 100 {
		t.Errorf("only %d crashes were tried", len(crashes))
	}
}

// With a disk that fails now and then no number is handed out twice, and none
// that a restart could hand out again.
func TestSequenceWithFailingDisk(t *testing.T) {
	disk := vfs.NewMem()
	rng := rand.New(rand.NewPCG(3, 4))
	broken := false
	fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken && rng.IntN(4) == 0 {
			return errorfs.ErrInjected
		}
		return nil
	}))
	d, err := openDirectory(fs, "/n1", "n1", counter(0), testBlock, wire.MaxVersion)
	if err != nil {
		t.Fatal(err)
	}
	s := newSequence(d, testBlock, func() {})
	broken = true
	last, failures := uint64(0), 0
	for range 50 * testBlock {
		n, err := s.next()
		if err != nil {
			failures++
			continue
		}
		if n <= last {
			t.Fatalf("%d after %d", n, last)
		}
		last = n
		payload, err := nodeFile.read(disk, "/n1")
		if err != nil {
			t.Fatal(err)
		}
		if r, err := parseRecord(payload); err != nil || r.reserved < n {
			t.Fatalf("%d is in use, reserved on disk is %d, %v", n, r.reserved, err)
		}
	}
	if failures == 0 || last == 0 {
		t.Errorf("%d failures, last number %d: the test has not tested", failures, last)
	}
}

func TestSequenceIsUniqueUnderLoad(t *testing.T) {
	d, err := openDirectory(nil, "", "n1", counter(0), testBlock, wire.MaxVersion)
	if err != nil {
		t.Fatal(err)
	}
	s := newSequence(d, testBlock, func() {})
	const callers, each = 8, 2000
	got := make([][]uint64, callers)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for range each {
				n, err := s.next()
				if err != nil {
					t.Error(err)
				}
				got[c] = append(got[c], n)
			}
		})
	}
	all.Wait()
	seen := make(map[uint64]bool)
	for _, list := range got {
		for _, n := range list {
			if seen[n] || n > d.record().reserved {
				t.Fatalf("%d came twice, or is past the reserved %d", n, d.record().reserved)
			}
			seen[n] = true
		}
	}
}

// The next block is reserved while half of the present one is left, so that
// nobody waits for the disk.
func TestSequenceReservesAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := openDirectory(nil, "", "n1", counter(0), testBlock, wire.MaxVersion)
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		s := newSequence(d, testBlock, func() { told++ })
		ctx, cancel := context.WithCancel(t.Context())
		var run sync.WaitGroup
		run.Go(func() { s.run(ctx, slog.New(slog.DiscardHandler)) })
		for want := range testBlock {
			if n, err := s.next(); err != nil || n != uint64(want+1) {
				t.Fatalf("got %d, %v, want %d", n, err, want+1)
			}
			synctest.Wait()
			ahead := d.record().reserved
			if want+1 <= testBlock/2 && ahead != testBlock {
				t.Errorf("after %d numbers %d are reserved", want+1, ahead)
			}
			if want+1 > testBlock/2 && ahead == testBlock {
				t.Errorf("after %d numbers none is reserved ahead", want+1)
			}
		}
		cancel()
		run.Wait()
		if told == 0 {
			t.Error("nobody was told of the new limit")
		}
	})
}

func TestSequenceEnds(t *testing.T) {
	r := record{reserved: math.MaxUint64 - testBlock}
	if _, err := r.started(1, testBlock); err != nil {
		t.Errorf("at the end: %v", err)
	}
	r.reserved++
	if _, err := r.started(1, testBlock); kv.KindOf(err) != kv.KindCorrupt {
		t.Errorf("past the end: got %v, want corrupt", err)
	}
}

func BenchmarkMintNext(b *testing.B) {
	d, err := openDirectory(nil, "", "n1", counter(0), 1<<17, wire.MaxVersion)
	if err != nil {
		b.Fatal(err)
	}
	m := newMint(1, newSequence(d, 1<<17, func() {}), true, nil)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := m.Next(); err != nil {
				b.Error(err)
			}
		}
	})
}
