package storagetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// crashWriter overwrites two keys, in two partitions and one batch, with one
// number after the other. It is a Waiter of its own batches: acked is the last
// number that is durable, tried the last that may be applied.
type crashWriter struct {
	name         string
	acked, tried atomic.Int64
	failed       atomic.Pointer[error]
}

// crashAck is the Waiter of one number.
type crashAck struct {
	w *crashWriter
	n int64
}

// Durable implements storage.Waiter. Acks of an engine may come in any order.
func (a crashAck) Durable(err error) {
	if err != nil {
		a.w.failed.Store(&err)
		return
	}
	for old := a.w.acked.Load(); old < a.n && !a.w.acked.CompareAndSwap(old, a.n); {
		old = a.w.acked.Load()
	}
}

func (w *crashWriter) write(e storage.Engine, n int64) error {
	var b storage.Batch
	value := binary.BigEndian.AppendUint64(make([]byte, 0, 900), uint64(n))[:900]
	b.Set(key(p1, w.name), value)
	b.Set(key(p2, w.name), value)
	w.tried.Store(n)
	return e.Apply(&b, crashAck{w, n})
}

// check compares what a crash left of w's keys with what was acknowledged
// before it and tried until after it.
func (w *crashWriter) check(e storage.Engine, acked, tried int64) error {
	var n [2]int64
	for i, p := range []storage.Prefix{p1, p2} {
		v, found, err := e.Get(key(p, w.name), nil)
		if err != nil {
			return err
		}
		if found {
			n[i] = int64(binary.BigEndian.Uint64(v))
		}
	}
	if n[0] != n[1] {
		return fmt.Errorf("writer %s: half a batch came back: %d and %d", w.name, n[0], n[1])
	}
	if n[0] < acked || n[0] > tried {
		return fmt.Errorf("writer %s: %d came back, %d was acknowledged, %d tried", w.name, n[0], acked, tried)
	}
	return nil
}

// CheckCrashConcurrent cuts the power at seeded moments while three writers
// write durable batches without waiting for them. It returns an error when an
// acknowledged batch is lost, or a half of one comes back.
func CheckCrashConcurrent(seed uint64, open OpenDisk) error {
	const writers, rounds, crashes = 3, 300, 5
	rng := rand.New(rand.NewPCG(seed, 1))
	disk := vfs.NewCrashableMem()
	e, err := open(Disk{FS: disk})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	at := make(map[int64]bool)
	for range crashes {
		at[1+rng.Int64N(rounds)] = true
	}
	var wg sync.WaitGroup
	var ws [writers]crashWriter
	errs := make(chan error, writers)
	for i := range ws {
		ws[i].name = numbered(i)
	}
	for i := range ws {
		wg.Go(func() {
			for n := int64(1); n <= rounds; n++ {
				err := ws[i].write(e, n)
				if err == nil && i == 0 && at[n] { // the others go on meanwhile
					err = crashNow(ws[:], disk, rng, open)
				}
				if err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	close(errs)
	err = errors.Join(<-errs, e.Close())
	for i := range ws {
		if f := ws[i].failed.Load(); f != nil {
			err = errors.Join(err, *f)
		}
	}
	return err
}

// crashNow opens what a power loss at this moment leaves, and checks it.
func crashNow(ws []crashWriter, disk *vfs.MemFS, rng *rand.Rand, open OpenDisk) error {
	acked := make([]int64, len(ws))
	for i := range ws {
		acked[i] = ws[i].acked.Load()
	}
	left := powerLoss(disk, rng)
	tried := make([]int64, len(ws))
	for i := range ws {
		tried[i] = ws[i].tried.Load()
	}
	e, err := open(Disk{FS: left})
	if err != nil {
		return fmt.Errorf("open after power loss: %w", err)
	}
	for i := range ws {
		err = errors.Join(err, ws[i].check(e, acked[i], tried[i]))
	}
	return errors.Join(err, e.Close())
}
