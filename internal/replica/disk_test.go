package replica

import (
	"bytes"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/logstore"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/storage/pebble"
)

// disk is what an engine is opened on, and what is left of it.
type disk interface {
	open(t testing.TB) storage.Engine
	// crashed returns the disk as a power loss leaves it, without anything that
	// was not synced.
	crashed() disk
	// copied returns a copy of a disk that was synced.
	copied() disk
}

// logDisk is a disk in memory, for engines that are opened thousands of times:
// the changes that were made, of which the first durable were synced.
type logDisk struct {
	log     []logged
	durable int
	// left is how many more changes and syncs the disk takes before the power
	// fails; negative for any number.
	left int
	// overtaking lets floors overtake the data before them, as the order of an
	// engine's batches never does.
	overtaking bool
}

// logged is a change.
type logged struct {
	do func(storage.Engine) error
	// floor marks a change of a floor.
	floor bool
}

func newLogDisk() disk { return &logDisk{left: -1} }

func newOvertakingDisk() disk { return &logDisk{left: -1, overtaking: true} }

func (d *logDisk) open(t testing.TB) storage.Engine {
	e, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range d.log {
		if err := change.do(e); err != nil {
			t.Fatal(err)
		}
	}
	d.durable = len(d.log)
	return &logEngine{Engine: e, disk: d}
}

func (d *logDisk) crashed() disk { return d.crashedAt(d.durable) }

// crashedAt is the disk with the first n changes.
func (d *logDisk) crashedAt(n int) *logDisk {
	left := &logDisk{log: d.log[:n:n], left: -1, overtaking: d.overtaking}
	for _, change := range d.log[n:] {
		if d.overtaking && change.floor {
			left.log = append(left.log, change)
		}
	}
	return left
}

func (d *logDisk) copied() disk {
	return &logDisk{log: d.log[:len(d.log):len(d.log)], left: -1, overtaking: d.overtaking}
}

// take notes a change, or none, unless the power has failed.
func (d *logDisk) take(durable bool, changes ...logged) error {
	if d.left == 0 {
		return kv.Errorf(kv.KindStorage, "write", "the power has failed")
	}
	d.left--
	d.log = append(d.log, changes...)
	if durable {
		d.durable = len(d.log)
	}
	return nil
}

// logEngine is the memory engine, with a log.
type logEngine struct {
	storage.Engine
	disk *logDisk
}

func (e *logEngine) Apply(b *storage.Batch, w storage.Waiter) error {
	var again storage.Batch
	floor := false
	for _, op := range b.Ops() {
		if op.Delete {
			again.Delete(bytes.Clone(op.Key))
		} else {
			again.Set(bytes.Clone(op.Key), bytes.Clone(op.Value))
		}
		floor = floor || bytes.HasSuffix(op.Key, []byte(metaFloor))
	}
	do := func(e storage.Engine) error { return e.Apply(&again, nil) }
	if err := e.disk.take(w != nil, logged{do, floor}); err != nil {
		return err
	}
	return e.Engine.Apply(b, w)
}

func (e *logEngine) Drop(from, to []byte) error {
	from, to = bytes.Clone(from), bytes.Clone(to)
	do := func(e storage.Engine) error { return e.Drop(from, to) }
	if err := e.disk.take(true, logged{do: do}); err != nil {
		return err
	}
	return e.Engine.Drop(from, to)
}

func (e *logEngine) Sync() error { return e.disk.take(true) }

// realDisk is a file system that loses what was not synced, under a real engine.
type realDisk struct {
	fs     *vfs.MemFS
	opener func(fs vfs.FS) (storage.Engine, error)
}

func newPebbleDisk() disk { return realDisk{vfs.NewCrashableMem(), openPebble} }

func newLogstoreDisk() disk { return realDisk{vfs.NewCrashableMem(), openLogstore} }

func (d realDisk) open(t testing.TB) storage.Engine {
	e, err := d.opener(d.fs)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func openLogstore(fs vfs.FS) (storage.Engine, error) {
	c := logstore.Default()
	c.Dir, c.FS, c.SegmentBytes = "data", fs, 64<<10
	c.Ticks = make(chan time.Time)
	c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	e, err := logstore.Open(c)
	if err != nil {
		return nil, err // not a nil *Engine within a storage.Engine
	}
	return e, nil
}

func openPebble(fs vfs.FS) (storage.Engine, error) {
	c := pebble.Default()
	c.Dir, c.FS = "data", fs
	c.CacheBytes, c.MemTableBytes = 1<<20, 64<<10
	c.Ticks = make(chan time.Time)
	c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	e, err := pebble.Open(c)
	if err != nil {
		return nil, err // not a nil *Engine within a storage.Engine
	}
	return e, nil
}

func (d realDisk) clone(percent int) disk {
	d.fs = d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(1, 1))})
	return d
}

func (d realDisk) crashed() disk { return d.clone(0) }

func (d realDisk) copied() disk { return d.clone(100) }

// lyingEngine fails writes that have reached the log all the same: nobody sees
// them until the engine is opened again.
type lyingEngine struct {
	storage.Engine
	// lie makes the next Apply fail.
	lie bool
	// hidden holds the values that such writes replaced, nil for none.
	hidden map[string][]byte
}

func newLyingEngine(e storage.Engine) *lyingEngine {
	return &lyingEngine{Engine: e, hidden: map[string][]byte{}}
}

func (e *lyingEngine) Get(key, dst []byte) ([]byte, bool, error) {
	if old, ok := e.hidden[string(key)]; ok {
		return append(dst, old...), old != nil, nil
	}
	return e.Engine.Get(key, dst)
}

func (e *lyingEngine) Apply(b *storage.Batch, w storage.Waiter) error {
	key := b.Ops()[0].Key
	if !e.lie {
		delete(e.hidden, string(key))
		return e.Engine.Apply(b, w)
	}
	e.lie = false
	old, _, err := e.Get(key, nil)
	if err == nil {
		err = e.Engine.Apply(b, nil)
	}
	if err == nil {
		err = e.Engine.Sync()
	}
	if err != nil {
		return err
	}
	e.hidden[string(key)] = old
	return kv.Errorf(kv.KindStorage, "apply batch", "it is said to have failed")
}

func (e *lyingEngine) Drop(from, to []byte) error {
	clear(e.hidden)
	return e.Engine.Drop(from, to)
}
