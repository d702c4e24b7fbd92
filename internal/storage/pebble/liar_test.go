package pebble

import (
	"bytes"
	"testing"

	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/storagetest"
)

// The engines below lie, each in one way. The suites' checkers must catch them:
// what they do not catch here they would not catch in an engine.

// ackEarly calls the Waiter when the batch is applied.
type ackEarly struct{ storage.Engine }

func (e ackEarly) Apply(b *storage.Batch, w storage.Waiter) error {
	err := e.Engine.Apply(b, nil)
	if err == nil && w != nil {
		w.Durable(nil)
	}
	return err
}

// syncNothing says that all is durable.
type syncNothing struct{ storage.Engine }

func (e syncNothing) Sync() error { return nil }

// halfBatches applies a batch in two parts.
type halfBatches struct{ storage.Engine }

func (e halfBatches) Apply(b *storage.Batch, w storage.Waiter) error {
	var half [2]storage.Batch
	for i, op := range b.Ops() {
		if to := &half[i*2/b.Len()]; op.Delete {
			to.Delete(op.Key)
		} else {
			to.Set(op.Key, op.Value)
		}
	}
	if err := e.Engine.Apply(&half[0], nil); err != nil {
		return err
	}
	return e.Engine.Apply(&half[1], w)
}

// lazyDrop drops without making it durable.
type lazyDrop struct{ storage.Engine }

func (e lazyDrop) Drop(from, to []byte) error {
	var b storage.Batch
	err := e.Scan(storage.PrefixOf(from), from, func(key, _ []byte) bool {
		if to == nil || bytes.Compare(key, to) < 0 {
			b.Delete(append([]byte(nil), key...))
		}
		return true
	})
	if err != nil {
		return err
	}
	return e.Engine.Apply(&b, nil)
}

// ackFailures tells Waiters that all went well.
type ackFailures struct{ storage.Engine }

type deafWaiter struct{ storage.Waiter }

func (w deafWaiter) Durable(error) { w.Waiter.Durable(nil) }

func (e ackFailures) Apply(b *storage.Batch, w storage.Waiter) error {
	if w != nil {
		w = deafWaiter{w}
	}
	return e.Engine.Apply(b, w)
}

// lying opens engines that lie returned.
func lying(lie func(storage.Engine) storage.Engine) storagetest.OpenDisk {
	return func(d storagetest.Disk) (storage.Engine, error) {
		e, err := onDisk(d)
		if err != nil {
			return nil, err
		}
		return lie(e), nil
	}
}

func TestLiarsAreCaught(t *testing.T) {
	t.Parallel()
	type check func(seed uint64, open storagetest.OpenDisk) error
	syncFault := func(seed uint64, open storagetest.OpenDisk) error {
		_, err := storagetest.CheckSyncFault(int64(seed), false, open)
		return err
	}
	for _, c := range []struct {
		name  string
		lie   func(storage.Engine) storage.Engine
		check check
	}{
		{"acknowledges before the fsync", func(e storage.Engine) storage.Engine { return ackEarly{e} }, storagetest.CheckCrash},
		{"the same, concurrently", func(e storage.Engine) storage.Engine { return ackEarly{e} }, storagetest.CheckCrashConcurrent},
		{"does not sync", func(e storage.Engine) storage.Engine { return syncNothing{e} }, storagetest.CheckCrash},
		{"tears batches", func(e storage.Engine) storage.Engine { return halfBatches{e} }, storagetest.CheckCrash},
		{"drops without an fsync", func(e storage.Engine) storage.Engine { return lazyDrop{e} }, storagetest.CheckCrash},
		{"hides a failed fsync", func(e storage.Engine) storage.Engine { return ackFailures{e} }, syncFault},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(60) {
				if err := c.check(seed, lying(c.lie)); err != nil {
					t.Logf("seed %d: %.200v", seed, err)
					return
				}
			}
			t.Error("no seed caught it")
		})
	}
}
