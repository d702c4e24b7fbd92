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
// the batches that were applied, of which the first durable were synced.
type logDisk struct {
	log     []func(storage.Engine) error
	durable int
}

func newLogDisk() disk { return &logDisk{} }

func (d *logDisk) open(t testing.TB) storage.Engine {
	e, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range d.log {
		if err := change(e); err != nil {
			t.Fatal(err)
		}
	}
	d.durable = len(d.log)
	return &logEngine{Engine: e, disk: d}
}

func (d *logDisk) crashed() disk { return &logDisk{log: d.log[:d.durable:d.durable]} }

func (d *logDisk) copied() disk { return &logDisk{log: d.log[:len(d.log):len(d.log)]} }

// logEngine is the memory engine, with a log.
type logEngine struct {
	storage.Engine
	disk *logDisk
}

func (e *logEngine) Apply(b *storage.Batch, w storage.Waiter) error {
	var again storage.Batch
	for _, op := range b.Ops() {
		again.Set(append([]byte(nil), op.Key...), append([]byte(nil), op.Value...))
	}
	e.disk.log = append(e.disk.log, func(e storage.Engine) error { return e.Apply(&again, nil) })
	if w != nil {
		e.disk.durable = len(e.disk.log)
	}
	return e.Engine.Apply(b, w)
}

func (e *logEngine) Drop(from, to []byte) error {
	from, to = bytes.Clone(from), bytes.Clone(to)
	e.disk.log = append(e.disk.log, func(e storage.Engine) error { return e.Drop(from, to) })
	e.disk.durable = len(e.disk.log)
	return e.Engine.Drop(from, to)
}

func (e *logEngine) Sync() error {
	e.disk.durable = len(e.disk.log)
	return nil
}

// pebbleDisk is a file system that loses what was not synced, under the Pebble
// engine.
type pebbleDisk struct{ fs *vfs.MemFS }

func newPebbleDisk() disk { return pebbleDisk{vfs.NewCrashableMem()} }

func (d pebbleDisk) open(t testing.TB) storage.Engine {
	c := pebble.Default()
	c.Dir, c.FS = "data", d.fs
	c.CacheBytes, c.MemTableBytes = 1<<20, 64<<10
	c.Ticks = make(chan time.Time)
	c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	e, err := pebble.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (d pebbleDisk) clone(percent int) disk {
	return pebbleDisk{d.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(1, 1))})}
}

func (d pebbleDisk) crashed() disk { return d.clone(0) }

func (d pebbleDisk) copied() disk { return d.clone(100) }

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
