package sim

import (
	"errors"
	"sort"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// engine is the storage engine of one process on a disk. It passes the suite
// of storagetest, and loses, refuses and damages what the scenario asks for.
type engine struct {
	// after runs f when d has passed, unless the process is gone by then.
	after func(d time.Duration, f func())
	// failed is told of a failure that is final.
	failed func(error)
	// cut runs what drops a range in which there is damage; nil just runs it.
	cut func(drop func())

	mu   sync.Mutex
	disk *disk
	// syncing tells that an fsync is under way, for the writes of those in
	// flying; waits are for the next one.
	syncing       bool
	flying, waits []storage.Waiter
	closed        bool
	failure       error
	stats         storage.Stats
}

func openEngine(d *disk, after func(time.Duration, func()), failed func(error)) *engine {
	return &engine{disk: d, after: after, failed: failed}
}

// usable returns why the engine serves nothing any more. The caller holds mu.
func (e *engine) usable(op string) error {
	if e.closed {
		return kv.Errorf(kv.KindClosed, op, "the engine is closed")
	}
	return e.failure
}

// readable returns why nothing can be read. The caller holds mu.
func (e *engine) readable(op string) error {
	if err := e.usable(op); err != nil {
		return err
	}
	if e.disk.failReads {
		return kv.Errorf(kv.KindStorage, op, "the disk does not answer")
	}
	return nil
}

// Get implements storage.Engine.
func (e *engine) Get(key, dst []byte) ([]byte, bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.readable("get"); err != nil {
		return dst, false, err
	}
	if len(e.disk.damage) > 0 && e.disk.damaged(string(key)) {
		return dst, false, errDamaged("get")
	}
	r, ok := e.disk.applied.rows[string(key)]
	if e.disk.twin != nil {
		dst, ok = e.disk.twin.get(key, dst, r, ok)
		return dst, ok, nil
	}
	if !ok {
		return dst, false, nil
	}
	return append(dst, r.value...), true, nil
}

// Apply implements storage.Engine.
func (e *engine) Apply(b *storage.Batch, w storage.Waiter) error {
	if err := b.Check(); err != nil {
		return err
	}
	e.mu.Lock()
	err := e.usable("apply batch")
	if err == nil && e.disk.full && b.Len() > 0 && !b.UsesReserve() {
		e.stats.Refused++
		err = kv.Errorf(kv.KindDiskFull, "apply batch", "no space is left")
	}
	if err != nil {
		e.mu.Unlock()
		return err
	}
	c := changeOf(b)
	if e.disk.aside(c) {
		e.mu.Unlock()
		if w != nil {
			e.after(e.disk.syncTime(), func() { w.Durable(nil) })
		}
		return nil
	}
	if b.Len() > 0 {
		e.disk.apply(c)
	}
	if w != nil {
		e.waits = append(e.waits, w)
	}
	e.mu.Unlock()
	e.beginSync()
	return nil
}

// beginSync starts an fsync if somebody waits for one and none is under way.
func (e *engine) beginSync() {
	e.mu.Lock()
	if len(e.waits) == 0 || e.syncing || e.closed {
		e.mu.Unlock()
		return
	}
	e.syncing = true
	upTo, takes := e.disk.changes, e.disk.syncTime()
	e.flying, e.waits = e.waits, nil
	e.mu.Unlock()
	e.after(takes, func() { e.endSync(upTo) })
}

func (e *engine) endSync(upTo uint64) {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return
	}
	err := e.sync(upTo)
	told := e.flying
	e.flying, e.syncing = nil, false
	e.mu.Unlock()
	tell(told, err)
	e.report(err)
	e.beginSync()
}

// sync makes the changes up to a number durable. The caller holds mu, and
// reports the error when it does no more.
func (e *engine) sync(upTo uint64) error {
	if e.failure != nil {
		return unknown(e.failure)
	}
	if e.disk.failSync {
		e.disk.failSync = false
		e.failure = kv.Errorf(kv.KindStorage, "fsync", "the disk failed")
		return unknown(e.failure)
	}
	if e.disk.twin != nil {
		e.disk.twin.check("sync", e.disk.twin.engine.Sync())
	}
	e.disk.syncTo(upTo)
	e.stats.Syncs++
	return nil
}

// unknown is failure as a Waiter learns it.
func unknown(failure error) error {
	return &kv.Error{Op: "fsync", Kind: kv.KindStorage, Applied: kv.AppliedUnknown, Err: failure}
}

func (e *engine) report(err error) {
	if err != nil && e.failed != nil {
		e.failed(err)
	}
}

func tell(waits []storage.Waiter, err error) {
	for _, w := range waits {
		w.Durable(err)
	}
}

// Scan implements storage.Engine. It meets damage only where it comes to it.
func (e *engine) Scan(p storage.Prefix, from []byte, fn func(key, value []byte) bool) error {
	keys, rows, damaged, err := e.snapshot(p, from)
	if err != nil {
		return err
	}
	if twin := e.disk.twin; twin != nil {
		return e.scanTwin(twin, p, from, keys, rows, damaged, fn)
	}
	for i, key := range keys {
		if damaged != nil && key >= *damaged {
			break
		}
		if !fn([]byte(key), rows[i].value) {
			return nil
		}
	}
	if damaged != nil {
		return errDamaged("scan")
	}
	return nil
}

// scanTwin is a scan of the twin, of which the model has keys and rows.
func (e *engine) scanTwin(t *twin, p storage.Prefix, from []byte, keys []string, rows []row, damaged *string, fn func(key, value []byte) bool) error {
	if damaged != nil {
		n := sort.SearchStrings(keys, *damaged)
		keys, rows = keys[:n], rows[:n]
	}
	if t.scan(p, from, keys, rows, fn, damaged != nil) && damaged != nil {
		return errDamaged("scan")
	}
	return nil
}

// snapshot returns the rows of a scan, and the first key at or after which it
// meets damage.
func (e *engine) snapshot(p storage.Prefix, from []byte) ([]string, []row, *string, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.readable("scan"); err != nil {
		return nil, nil, nil, err
	}
	r := prefixRange(p)
	r.from = max(r.from, string(from))
	if !r.open && r.from >= r.to {
		return nil, nil, nil, nil
	}
	keys := append([]string(nil), e.disk.applied.within(r)...)
	rows := make([]row, len(keys))
	for i, k := range keys {
		rows[i] = e.disk.applied.rows[k]
	}
	var damaged *string
	for _, s := range e.disk.damage {
		if s.meets(r) {
			if at := max(s.from, r.from); damaged == nil || at < *damaged {
				damaged = &at
			}
		}
	}
	return keys, rows, damaged, nil
}

func prefixRange(p storage.Prefix) keyRange {
	next, ok := p.Next()
	return keyRange{from: string(p[:]), to: string(next[:]), open: !ok}
}

// Drop implements storage.Engine.
func (e *engine) Drop(from, to []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable("drop"); err != nil {
		return err
	}
	r := keyRange{from: string(from), to: string(to), open: to == nil}
	if !r.open && r.from >= r.to {
		return nil
	}
	var err error
	drop := func() {
		e.disk.apply(change{drop: &r})
		if err = e.sync(e.disk.changes); err == nil {
			e.disk.mend(r)
		}
	}
	if e.cut != nil && e.disk.hurt(r) {
		e.cut(drop)
	} else {
		drop()
	}
	return err
}

// Sync implements storage.Engine. It takes no virtual time.
func (e *engine) Sync() error {
	e.mu.Lock()
	err := e.usable("sync")
	if err == nil {
		err = e.sync(e.disk.changes)
	}
	e.mu.Unlock()
	if kv.KindOf(err) != kv.KindClosed {
		e.report(err)
	}
	return err
}

// Stats implements storage.Engine.
func (e *engine) Stats() storage.Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.stats
	s.Keys = uint64(len(e.disk.applied.keys))
	s.MemoryBytes, s.DiskBytes, s.FreeBytes = 1+s.Keys, s.Keys, 1<<30
	return s
}

// Close implements storage.Engine.
func (e *engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return e.usable("close")
	}
	err := e.sync(e.disk.changes)
	e.closed = true
	told := append(e.flying, e.waits...)
	e.flying, e.waits = nil, nil
	e.mu.Unlock()
	tell(told, err)
	return err
}

// abandon ends the engine as the end of its process does: nobody is told
// anything, and what is not durable is up to the disk.
func (e *engine) abandon() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed, e.flying, e.waits = true, nil, nil
}

var errDamage = errors.New("a checksum does not match")

func errDamaged(op string) error { return &kv.Error{Op: op, Kind: kv.KindCorrupt, Err: errDamage} }
