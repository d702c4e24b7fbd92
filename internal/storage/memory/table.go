package memory

import (
	"bytes"
	"slices"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// table is the keys of one prefix. Its stripe's lock guards it, but for what
// is atomic.
//
// Invariants: bytes is the sum of entries' bytes; version changes whenever a
// key comes or goes; while scans is not zero no value changes in place, and it
// rises from zero only under the stripe's lock.
type table struct {
	entries map[string]*record
	bytes   int64
	version uint64
	order   atomic.Pointer[ordering]
	scans   atomic.Int32
}

// record is a key and its value.
type record struct {
	key   string
	value []byte
}

// ordering is all records of a table as they were sorted at a version.
type ordering struct {
	version uint64
	records []*record
}

// item is a key and its value at the moment of a scan.
type item struct {
	key    string
	value  []byte
	record *record
}

// bytes is what the record counts for in Config.MaxBytes.
func (r *record) bytes() int64 { return entryBytes + int64(len(r.key)+cap(r.value)) }

// holds says whether a value of n bytes fits into the room of r's value
// without wasting more than half of it.
func (r *record) holds(n int) bool { return n <= cap(r.value) && n >= cap(r.value)/2 }

func (t *table) set(key, value []byte) (bytes, keys int64) {
	r := t.entries[string(key)]
	if r == nil {
		r = &record{key: string(key), value: clone(value)}
		t.entries[r.key] = r
		t.bytes += r.bytes()
		t.version++
		return r.bytes(), 1
	}
	if r.holds(len(value)) && t.scans.Load() == 0 {
		r.value = append(r.value[:0], value...)
		return 0, 0
	}
	old := r.bytes()
	r.value = clone(value)
	t.bytes += r.bytes() - old
	return r.bytes() - old, 0
}

func (t *table) remove(key []byte) (bytes, keys int64) {
	r := t.entries[string(key)]
	if r == nil {
		return 0, 0
	}
	delete(t.entries, r.key)
	t.bytes -= r.bytes()
	t.version++
	return -r.bytes(), -1
}

// drop removes the keys in [from, to), a nil to being the end. p is the table's
// prefix. It returns what the engine shrank by.
func (t *table) drop(p storage.Prefix, from, to []byte) (size, keys int64) {
	first, end := p.Range()
	if bytes.Compare(from, first) <= 0 && (to == nil || end != nil && bytes.Compare(to, end) >= 0) {
		size, keys = t.bytes, int64(len(t.entries))
		t.entries, t.bytes = nil, 0 // running scans have their items
		return size, keys
	}
	for k, r := range t.entries {
		if k < string(from) || to != nil && k >= string(to) {
			continue
		}
		delete(t.entries, k)
		t.bytes -= r.bytes()
		t.version++
		size, keys = size+r.bytes(), keys+1
	}
	return size, keys
}

// snapshot returns the items with keys not less than from, in order if sorted
// is true, else all items in none. The stripe is locked for reading.
func (t *table) snapshot(from string) (snap []item, version uint64, sorted bool) {
	if o := t.order.Load(); o != nil && o.version == t.version {
		i, _ := slices.BinarySearchFunc(o.records, from, func(r *record, from string) int {
			return compareKeys(item{key: r.key}, item{key: from})
		})
		snap = make([]item, 0, len(o.records)-i)
		for _, r := range o.records[i:] {
			snap = append(snap, item{r.key, r.value, r})
		}
		return snap, t.version, true
	}
	snap = make([]item, 0, len(t.entries))
	for _, r := range t.entries {
		snap = append(snap, item{r.key, r.value, r})
	}
	return snap, t.version, false
}

// sort puts snap, taken at version, in order, keeps that order for the scans
// to come, and returns the part from `from` on. It needs no lock.
func (t *table) sort(snap []item, version uint64, from string) []item {
	slices.SortFunc(snap, compareKeys)
	o := &ordering{version: version, records: make([]*record, len(snap))}
	for i := range snap {
		o.records[i] = snap[i].record
	}
	t.order.Store(o)
	return after(snap, from)
}

// clone returns a copy of value whose room is its length, so that what the
// engine counts is what it uses.
func clone(value []byte) []byte {
	c := make([]byte, len(value))
	copy(c, value)
	return c
}
