package storagetest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// RunCrash tests that power loss takes nothing that was acknowledged as
// durable, and leaves no batch in part: CheckCrash and CheckCrashConcurrent
// with many seeds.
func RunCrash(t *testing.T, open OpenDisk) {
	t.Run("History", func(t *testing.T) {
		t.Parallel()
		for seed := uint64(0); seed < 60; seed += uint64(Step(3)) {
			if err := CheckCrash(seed, open); err != nil {
				t.Errorf("CheckCrash(%d): %v", seed, err)
			}
		}
	})
	t.Run("Concurrent", func(t *testing.T) {
		t.Parallel()
		for seed := range uint64(8) {
			if err := CheckCrashConcurrent(seed, open); err != nil {
				t.Errorf("CheckCrashConcurrent(%d): %v", seed, err)
			}
		}
	})
}

// CheckCrash makes 80 random changes, one after the other, and cuts the power
// at random between them, with a random part of what was not synced on the
// disk all the same. It returns an error when the engine that comes back does
// not hold the outcome of the first changes, all durable ones among them. Every
// second time it goes on with that engine, so that recovery itself is crashed.
func CheckCrash(seed uint64, open OpenDisk) error {
	h := newHistory(seed)
	disk := vfs.NewCrashableMem()
	e, err := open(Disk{FS: disk})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	for range 80 {
		switch h.rng.IntN(10) {
		case 0:
			e, disk, err = h.crash(e, disk, open)
		case 1:
			e, err = h.restart(e, disk, open)
		default:
			err = h.change(e)
		}
		if err != nil {
			return fmt.Errorf("after %d steps: %w", len(h.steps), err)
		}
	}
	return e.Close()
}

// restart closes the engine in good order, after which all is durable, and
// opens it again.
func (h *history) restart(e storage.Engine, disk vfs.FS, open OpenDisk) (storage.Engine, error) {
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("close: %w", err)
	}
	h.durable = len(h.steps)
	e, err := open(Disk{FS: disk})
	if err != nil {
		return nil, fmt.Errorf("open again: %w", err)
	}
	_, err = h.recovered(e)
	return e, err
}

// crash opens what a power loss leaves of disk, and returns the engine and
// the disk to go on with, which are e and disk or those that came back.
func (h *history) crash(e storage.Engine, disk *vfs.MemFS, open OpenDisk) (storage.Engine, *vfs.MemFS, error) {
	h.collect()
	left := powerLoss(disk, h.rng)
	back, err := open(Disk{FS: left})
	if err != nil {
		return nil, nil, fmt.Errorf("open after power loss: %w", err)
	}
	n, err := h.recovered(back)
	if err != nil {
		return nil, nil, err
	}
	if h.rng.IntN(2) == 0 {
		return e, disk, back.Close()
	}
	h.steps, h.durable = h.steps[:n], n
	clear(h.acks)
	return back, left, e.Close()
}

// powerLoss returns a disk as power loss may leave it: what was synced, and
// nothing, a part or all of what was not.
func powerLoss(disk *vfs.MemFS, rng *rand.Rand) *vfs.MemFS {
	percent := []int{0, 0, 30, 70, 100}[rng.IntN(5)]
	return disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
}
