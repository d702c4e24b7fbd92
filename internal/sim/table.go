package sim

import (
	"slices"
	"sort"
)

// table is an ordered map, what an engine holds at one moment. Its values are
// never changed in place, so tables share them.
type table struct {
	rows map[string]row
	// keys are those of rows, ascending.
	keys []string
}

// row is a value, and the number of the change that wrote it.
type row struct {
	value []byte
	at    uint64
}

func newTable() *table { return &table{rows: map[string]row{}} }

func (t *table) clone() *table {
	c := &table{rows: make(map[string]row, len(t.rows)), keys: slices.Clone(t.keys)}
	for k, r := range t.rows {
		c.rows[k] = r
	}
	return c
}

func (t *table) set(key string, r row) {
	if _, ok := t.rows[key]; !ok {
		t.keys = slices.Insert(t.keys, sort.SearchStrings(t.keys, key), key)
	}
	t.rows[key] = r
}

func (t *table) remove(key string) {
	if _, ok := t.rows[key]; !ok {
		return
	}
	delete(t.rows, key)
	i := sort.SearchStrings(t.keys, key)
	t.keys = slices.Delete(t.keys, i, i+1)
}

// within returns the keys of a range: shared, to be read before the next
// change.
func (t *table) within(r keyRange) []string {
	from := sort.SearchStrings(t.keys, r.from)
	to := len(t.keys)
	if !r.open {
		to = max(from, sort.SearchStrings(t.keys, r.to))
	}
	return t.keys[from:to]
}

// keyRange is the keys from from up to, but not including, to; without an end
// if it is open.
type keyRange struct {
	from, to string
	open     bool
}

// meets tells whether the ranges have keys in common.
func (r keyRange) meets(o keyRange) bool {
	return (r.open || o.from < r.to) && (o.open || r.from < o.to)
}

func (r keyRange) has(key string) bool { return key >= r.from && (r.open || key < r.to) }

// cut returns what is left of r without o, none, one or two ranges.
func (r keyRange) cut(o keyRange) []keyRange {
	var left []keyRange
	if r.from < o.from {
		before := r
		if r.open || o.from < r.to {
			before.to, before.open = o.from, false
		}
		left = append(left, before)
	}
	if !o.open && (r.open || o.to < r.to) {
		after := r
		after.from = max(r.from, o.to)
		left = append(left, after)
	}
	return left
}
