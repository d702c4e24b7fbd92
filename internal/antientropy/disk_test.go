package antientropy

import (
	"bytes"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
)

// disk is what an engine was told, and what of that was synced.
type disk struct {
	log []*change
	// bare keeps no log, for tests that do not crash.
	bare bool
	// overtaking has floors durable at once, on a disk of their own.
	overtaking bool
	// full takes only what uses the reserve.
	full bool
}

// change is a batch that was applied, or a range that was dropped.
type change struct {
	batch    *storage.Batch
	from, to []byte
	floor    bool
	synced   bool
}

// engine is the memory engine, on a disk. Records of keys in unreadable are
// damaged until they are dropped.
type engine struct {
	storage.Engine
	disk       *disk
	unreadable map[string]bool
}

func (d *disk) open(t testing.TB) *engine {
	t.Helper()
	e, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range d.log {
		if c.batch != nil {
			err = e.Apply(c.batch, nil)
		} else {
			err = e.Drop(c.from, c.to)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.synced = true
	}
	return &engine{Engine: e, disk: d, unreadable: map[string]bool{}}
}

// crashed returns the disk as a power loss leaves it.
func (d *disk) crashed() *disk {
	left := &disk{overtaking: d.overtaking}
	for _, c := range d.log {
		if c.synced {
			left.log = append(left.log, c)
		}
	}
	return left
}

func (d *disk) sync() {
	for _, c := range d.log {
		c.synced = true
	}
}

func (e *engine) Apply(b *storage.Batch, w storage.Waiter) error {
	if e.disk.full && !b.UsesReserve() {
		return kv.Errorf(kv.KindDiskFull, "apply batch", "no space is left")
	}
	if e.disk.bare {
		return e.Engine.Apply(b, w)
	}
	c := &change{batch: new(storage.Batch)}
	for _, op := range b.Ops() {
		delete(e.unreadable, string(op.Key))
		c.floor = c.floor || bytes.HasSuffix(op.Key, []byte("floor"))
		if op.Delete {
			c.batch.Delete(bytes.Clone(op.Key))
		} else {
			c.batch.Set(bytes.Clone(op.Key), bytes.Clone(op.Value))
		}
	}
	c.synced = e.disk.overtaking && c.floor
	e.disk.log = append(e.disk.log, c)
	if w != nil {
		e.disk.sync()
	}
	return e.Engine.Apply(b, w)
}

func (e *engine) Drop(from, to []byte) error {
	if !e.disk.bare {
		e.disk.log = append(e.disk.log, &change{from: bytes.Clone(from), to: bytes.Clone(to)})
		e.disk.sync()
	}
	for k := range e.unreadable {
		if k >= string(from) && (to == nil || k < string(to)) {
			delete(e.unreadable, k)
		}
	}
	return e.Engine.Drop(from, to)
}

func (e *engine) Sync() error {
	e.disk.sync()
	return nil
}

func (e *engine) Get(key, dst []byte) ([]byte, bool, error) {
	if e.unreadable[string(key)] {
		return dst, false, errUnreadable
	}
	return e.Engine.Get(key, dst)
}

func (e *engine) Scan(p storage.Prefix, from []byte, fn func(key, value []byte) bool) error {
	bad := false
	err := e.Engine.Scan(p, from, func(key, value []byte) bool {
		bad = e.unreadable[string(key)]
		return !bad && fn(key, value)
	})
	if bad {
		return errUnreadable
	}
	return err
}

var errUnreadable = kv.Errorf(kv.KindCorrupt, "read", "a checksum does not match")
