package storagetest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// RunFaults tests what an engine makes of a disk that returns errors.
func RunFaults(t *testing.T, open OpenDisk) {
	for _, rest := range []bool{false, true} {
		name := map[bool]string{false: "Once", true: "FromThenOn"}[rest]
		t.Run("SyncFails"+name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(at int64) (bool, error) { return CheckSyncFault(at, rest, open) })
		})
		t.Run("ChangeFails"+name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(at int64) (bool, error) { return CheckChangeFault(at, rest, open) })
		})
	}
	t.Run("Final", func(t *testing.T) { testFinal(t, open) })
	t.Run("Reads", func(t *testing.T) { testReadFaults(t, open) })
}

// everywhere puts a fault first here, then there, until a whole history passes
// without meeting it: from Open to Close, in the log, in flushes and in
// compactions.
func everywhere(t *testing.T, check func(at int64) (met bool, err error)) {
	count := 0
	for at, met := int64(0), true; met; at += 1 + at/8 {
		var err error
		if met, err = check(at); err != nil {
			t.Errorf("fault at operation %d: %v", at, err)
		}
		count++
	}
	if count < 10 {
		t.Errorf("only %d histories met their fault", count-1)
	}
}

// CheckSyncFault makes random changes to an engine whose fsync number at,
// counted from 0, fails, and with rest all that follow. It returns an error
// when something that was acknowledged is lost, when a batch is there in part,
// or when the engine does not say what happened as it must. met is false when
// the changes took fewer fsyncs.
func CheckSyncFault(at int64, rest bool, open OpenDisk) (met bool, err error) {
	f := &fault{match: isSync, at: at, rest: rest}
	err = checkFault(uint64(at), f, open)
	return f.hits.Load() > 0, err
}

// CheckChangeFault is CheckSyncFault for everything that changes the disk:
// creating, writing, syncing, renaming and removing files.
func CheckChangeFault(at int64, rest bool, open OpenDisk) (met bool, err error) {
	f := &fault{match: isChange, at: at, rest: rest}
	err = checkFault(uint64(at), f, open)
	return f.hits.Load() > 0, err
}

func isSync(op errorfs.Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return true
	}
	return false
}

func isChange(op errorfs.Op) bool {
	return op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpLock
}

// fault injects an error into the operations that match: into number `at`,
// counted from 0, and with rest into all that follow.
type fault struct {
	match func(errorfs.Op) bool
	at    int64
	rest  bool
	seen  atomic.Int64
	hits  atomic.Int64
}

func (f *fault) String() string { return fmt.Sprintf("fault at operation %d", f.at) }

// MaybeError implements errorfs.Injector.
func (f *fault) MaybeError(op errorfs.Op) error {
	if !f.match(op) {
		return nil
	}
	if n := f.seen.Add(1) - 1; n == f.at || (f.rest && n > f.at) {
		f.hits.Add(1)
		return errorfs.ErrInjected
	}
	return nil
}

// checkFault makes changes to an engine on a disk with a fault, until the
// first error or the end, and checks what the disk holds after that.
func checkFault(seed uint64, f *fault, open OpenDisk) error {
	h := newHistory(seed)
	disk := vfs.NewCrashableMem()
	var failed atomic.Int64
	e, err := open(Disk{FS: errorfs.Wrap(disk, f), Failed: func(error) { failed.Add(1) }})
	if err != nil {
		return wantFaultKind("open", err)
	}
	for err == nil && len(h.steps) < 120 {
		err = h.change(e)
	}
	closeErr := e.Close()
	switch {
	case err != nil && failed.Load() != 1:
		return fmt.Errorf("the hook Failed was called %d times, after %w", failed.Load(), err)
	case err != nil && closeErr == nil:
		return fmt.Errorf("closing says nothing of %w", err)
	case closeErr == nil:
		h.durable = len(h.steps)
	}
	for n, a := range h.acks {
		if !a.called() {
			return fmt.Errorf("the Waiter of step %d was not called", n)
		}
	}
	h.collect()
	for _, err := range []error{err, closeErr} {
		if err := wantFaultKind("change or close", err); err != nil {
			return err
		}
	}
	return h.checkLeft(disk, open)
}

// checkLeft opens what the fault left, once as it is and once after a power
// loss as well, on a disk that works.
func (h *history) checkLeft(disk *vfs.MemFS, open OpenDisk) error {
	for _, left := range []*vfs.MemFS{powerLoss(disk, h.rng), disk} {
		e, err := open(Disk{FS: left})
		if err != nil {
			return fmt.Errorf("open after the fault: %w", err)
		}
		if _, err := h.recovered(e); err != nil {
			return err
		}
		if err := e.Close(); err != nil {
			return fmt.Errorf("close after the fault: %w", err)
		}
	}
	return nil
}

func wantFaultKind(op string, err error) error {
	if err != nil && kv.KindOf(err) != kv.KindStorage {
		return fmt.Errorf("%s: an error of kind %v: %w", op, kv.KindOf(err), err)
	}
	return nil
}

// testFinal fails one fsync and checks that no later call succeeds, though the
// disk works again.
func testFinal(t *testing.T, open OpenDisk) {
	inject := &errorfs.Toggle{Injector: &fault{match: isSync, rest: true}}
	var failures []error
	e, err := open(Disk{
		FS:     errorfs.Wrap(vfs.NewMem(), inject),
		Failed: func(err error) { failures = append(failures, err) },
	})
	if err != nil {
		t.Fatal(err)
	}
	k := key(p1, "k")
	set(t, e, k, "v")
	inject.On()
	a := newAck()
	var b storage.Batch
	b.Set(k, []byte("not durable"))
	if err := e.Apply(&b, a); err != nil {
		t.Fatal(err)
	}
	err = a.wait()
	wantKind(t, err, kv.KindStorage)
	if kv.AppliedOf(err) != kv.AppliedUnknown {
		t.Errorf("the Waiter was told the write was not applied: %v", err)
	}
	inject.Off()
	if len(failures) != 1 {
		t.Fatalf("Failed was called with %v", failures)
	}

	after := newAck()
	err = e.Apply(&b, after)
	wantKind(t, err, kv.KindStorage)
	if kv.AppliedOf(err) != kv.AppliedNo {
		t.Errorf("a refused batch may have been applied: %v", err)
	}
	if err.Error() != failures[0].Error() {
		t.Errorf("Apply returns %q, Failed was called with %q", err, failures[0])
	}
	_, _, err = e.Get(k, nil)
	wantKind(t, err, kv.KindStorage)
	_, err = scan(e, p1, nil)
	wantKind(t, err, kv.KindStorage)
	wantKind(t, dropAll(e, p1), kv.KindStorage)
	wantKind(t, e.Sync(), kv.KindStorage)
	e.Stats() // works still
	wantKind(t, e.Close(), kv.KindStorage)
	wantKind(t, e.Close(), kv.KindClosed)
	if after.called() {
		t.Error("the Waiter of a refused batch was called")
	}
}

// testReadFaults lets each read of a file fail in turn. A read of the engine
// gives the right answer or an error, and the engine is none the worse.
func testReadFaults(t *testing.T, open OpenDisk) {
	disk := vfs.NewMem()
	e, err := open(Disk{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	value := func(i int) string { return fmt.Sprintf("%0*d", 100+i*7, i) }
	for i := range 400 {
		set(t, e, key(p1, numbered(i)), value(i))
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	// Which kinds of read an engine makes is its own matter.
	reads := func(op errorfs.Op) bool { return op.Kind.ReadOrWrite() == errorfs.OpIsRead }
	f := &fault{match: reads, rest: true}
	inject := &errorfs.Toggle{Injector: f}
	e, err = open(Disk{FS: errorfs.Wrap(disk, inject), Failed: func(err error) { t.Errorf("a read failed the engine: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	defer closeOnce(t, e)
	// pass gets every key, and returns how many Gets were refused.
	pass := func() (refused int) {
		for i := range 400 {
			got, found, err := e.Get(key(p1, numbered(i)), nil)
			if err != nil {
				wantKind(t, err, kv.KindStorage)
				refused++
			} else if !found || string(got) != value(i) {
				t.Errorf("Get(%d) = %d bytes, %v", i, len(got), found)
			}
		}
		return refused
	}
	inject.On()
	if refused := pass(); refused == 0 || f.hits.Load() == 0 {
		t.Errorf("%d Gets failed, %d reads did", refused, f.hits.Load())
	}
	inject.Off()
	// A Get may share a read that the engine began, for purposes of its own,
	// while the disk was broken. After each file was asked for once that is over.
	pass()
	if refused := pass(); refused != 0 {
		t.Errorf("%d Gets failed on a disk that works", refused)
	}
}
