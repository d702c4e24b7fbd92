// Package memory is the storage engine that forgets: an ordered map in memory
// with a limit in bytes, for caches, for tests, and as the measure of what an
// engine without a disk can do (Dynamo, SOSP 2007, §4.1).
//
// Keys live in one hash map per prefix, so that a Get costs a hash and a copy;
// a Scan sorts what it finds, and keeps the order for the next one. Prefixes
// are spread over stripes, each with its lock: partitions rarely meet.
package memory

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// Config is what an Engine is opened with.
type Config struct {
	// MaxBytes bounds the memory for keys and values, in bytes: for each key
	// its length, the room of its value, and entryBytes. A batch whose new keys
	// and longer values would lead past it is refused with KindDiskFull; one
	// that has none is always taken.
	MaxBytes int64
}

// Default returns the Config of a cache on an ordinary machine: 1 GiB.
func Default() Config { return Config{MaxBytes: 1 << 30} }

// Validate returns an error of KindInvalid that names the first field out of
// its range.
func (c Config) Validate() error {
	if c.MaxBytes <= 0 {
		return kv.Errorf(kv.KindInvalid, "check memory config", "MaxBytes is %d, and must be positive", c.MaxBytes)
	}
	return nil
}

// entryBytes is what a key costs beside its bytes: the entry, the headers of
// key and value, and its share of the hash map.
const entryBytes = 96

// Engine is a storage.Engine in memory. Durable means nothing to it: Sync does
// nothing, and Apply calls the Waiter before it returns.
type Engine struct {
	maxBytes int64
	used     atomic.Int64 // bytes, as Config.MaxBytes counts them
	keys     atomic.Int64
	refused  atomic.Uint64
	closed   atomic.Bool    // set once, while all stripes are locked
	scans    sync.WaitGroup // running scans; grows only under a stripe's lock
	stripes  [stripeCount]stripe
}

var _ storage.Engine = (*Engine)(nil)

// Open returns an empty engine, or what cfg.Validate returns.
func Open(cfg Config) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	e := &Engine{maxBytes: cfg.MaxBytes}
	for i := range e.stripes {
		e.stripes[i].mu.tables = make(map[storage.Prefix]*table)
	}
	return e, nil
}

// Get implements storage.Engine.
func (e *Engine) Get(key, dst []byte) ([]byte, bool, error) {
	p := storage.PrefixOf(key)
	s := &e.stripes[stripeOf(p)]
	s.mu.RLock()
	defer s.mu.RUnlock()
	if e.closed.Load() {
		return dst, false, errClosed("get")
	}
	t := s.mu.tables[p]
	if t == nil {
		return dst, false, nil
	}
	// The value is copied under the lock: a writer may change it in place.
	r := t.entries[string(key)]
	if r == nil {
		return dst, false, nil
	}
	return append(dst, r.value...), true, nil
}

// Apply implements storage.Engine. It calls w.Durable before it returns.
func (e *Engine) Apply(b *storage.Batch, w storage.Waiter) error {
	if err := b.Check(); err != nil {
		return err
	}
	if err := e.apply(b.Ops(), b.UsesReserve()); err != nil {
		return err
	}
	if w != nil {
		w.Durable(nil)
	}
	return nil
}

// apply locks every stripe that ops touch, for as long as it changes any of
// them, so that nobody sees a part of the batch. One that uses the reserve may lead
// past the limit: it is small.
func (e *Engine) apply(ops []storage.Op, reserve bool) error {
	set := stripesOf(ops)
	e.lock(set)
	defer e.unlock(set)
	if e.closed.Load() {
		return errClosed("apply batch")
	}
	added := e.added(ops)
	if used := e.used.Add(added); used > e.maxBytes && added > 0 && !reserve {
		e.used.Add(-added)
		e.refused.Add(1)
		return kv.Errorf(kv.KindDiskFull, "apply batch", "%d bytes are in use of %d, and the batch adds %d",
			used-added, e.maxBytes, added)
	}
	var grown, keys int64
	for i := range ops {
		bytes, n := e.do(&ops[i])
		grown, keys = grown+bytes, keys+n
	}
	e.used.Add(grown - added)
	e.keys.Add(keys)
	return nil
}

// added returns an upper bound of the bytes that ops add, whatever they remove
// besides. A key that occurs in several ops counts each time.
func (e *Engine) added(ops []storage.Op) int64 {
	var sum int64
	for i := range ops {
		op := &ops[i]
		if op.Delete {
			continue
		}
		p := storage.PrefixOf(op.Key)
		var old *record
		if t := e.stripes[stripeOf(p)].mu.tables[p]; t != nil {
			old = t.entries[string(op.Key)]
		}
		if old == nil {
			sum += entryBytes + int64(len(op.Key)+len(op.Value))
		} else {
			sum += int64(max(0, len(op.Value)-cap(old.value)))
		}
	}
	return sum
}

// do carries out one op and returns by how many bytes and keys the engine
// grew.
func (e *Engine) do(op *storage.Op) (bytes, keys int64) {
	p := storage.PrefixOf(op.Key)
	tables := e.stripes[stripeOf(p)].mu.tables
	t := tables[p]
	if t == nil {
		if op.Delete {
			return 0, 0
		}
		t = &table{entries: make(map[string]*record)}
		tables[p] = t
	}
	if op.Delete {
		return t.remove(op.Key)
	}
	return t.set(op.Key, op.Value)
}

// Scan implements storage.Engine. It takes 48 bytes for each key from `from`
// on until it returns, and while it runs overwritten values get new memory. The
// first scan after a key came or went sorts the prefix's keys.
func (e *Engine) Scan(p storage.Prefix, from []byte, fn func(key, value []byte) bool) error {
	s := &e.stripes[stripeOf(p)]
	s.mu.RLock()
	if e.closed.Load() {
		s.mu.RUnlock()
		return errClosed("scan")
	}
	e.scans.Add(1)
	defer e.scans.Done()
	t := s.mu.tables[p]
	if t == nil {
		s.mu.RUnlock()
		return nil
	}
	t.scans.Add(1) // from here on no value of t changes in place
	defer t.scans.Add(-1)
	snap, version, sorted := t.snapshot(string(from))
	s.mu.RUnlock()

	if !sorted {
		snap = t.sort(snap, version, string(from))
	}
	var key []byte
	for i := range snap {
		key = append(key[:0], snap[i].key...)
		if !fn(key, snap[i].value) {
			break
		}
	}
	return nil
}

// Drop implements storage.Engine. Of a prefix that it drops in part it looks at
// all keys.
func (e *Engine) Drop(from, to []byte) error {
	set := stripesBetween(from, to)
	e.lock(set)
	defer e.unlock(set)
	if e.closed.Load() {
		return errClosed("drop")
	}
	for i := range e.stripes {
		if !set.has(i) {
			continue
		}
		for p, t := range e.stripes[i].mu.tables {
			if bytes, keys := t.drop(p, from, to); keys > 0 {
				e.used.Add(-bytes)
				e.keys.Add(-keys)
			}
			if len(t.entries) == 0 {
				delete(e.stripes[i].mu.tables, p)
			}
		}
	}
	return nil
}

// Sync implements storage.Engine. There is nothing to make durable.
func (e *Engine) Sync() error {
	if e.closed.Load() {
		return errClosed("sync")
	}
	return nil
}

// Stats implements storage.Engine. Keys is exact; nothing is ever on disk.
func (e *Engine) Stats() storage.Stats {
	used := e.used.Load()
	return storage.Stats{
		Keys:        uint64(e.keys.Load()),
		MemoryBytes: uint64(used),
		FreeBytes:   uint64(max(0, e.maxBytes-used)),
		Refused:     e.refused.Load(),
	}
}

// Close implements storage.Engine. It lets go of all keys and values.
func (e *Engine) Close() error {
	e.lock(allStripes)
	again := e.closed.Swap(true)
	if !again {
		for i := range e.stripes {
			e.stripes[i].mu.tables = nil
		}
	}
	e.unlock(allStripes)
	if again {
		return errClosed("close")
	}
	e.scans.Wait()
	return nil
}

func errClosed(op string) error {
	return kv.Errorf(kv.KindClosed, op, "the memory engine is closed")
}

// compareKeys orders items by key.
func compareKeys(a, b item) int { return strings.Compare(a.key, b.key) }

// after returns the part of sorted snap whose keys are not less than from.
func after(snap []item, from string) []item {
	i, _ := slices.BinarySearchFunc(snap, from, func(it item, from string) int {
		return strings.Compare(it.key, from)
	})
	return snap[i:]
}
