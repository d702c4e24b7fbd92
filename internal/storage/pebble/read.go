package pebble

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// Get implements storage.Engine.
func (e *Engine) Get(key, dst []byte) ([]byte, bool, error) {
	storage.PrefixOf(key) // panics for a key without one
	if err := e.enter("get"); err != nil {
		return dst, false, err
	}
	defer e.users.leave()
	value, closer, err := e.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, readError("get", err)
	}
	out := append(dst, value...)
	if err := closer.Close(); err != nil {
		return dst, false, readError("get", err)
	}
	return out, true, nil
}

// Scan implements storage.Engine. While it runs, the memtables and tables that
// it began with stay, and take memory and disk.
func (e *Engine) Scan(p storage.Prefix, from []byte, fn func(key, value []byte) bool) error {
	if err := e.enter("scan"); err != nil {
		return err
	}
	defer e.users.leave()
	o := &pebble.IterOptions{LowerBound: p[:]}
	if bytes.Compare(from, o.LowerBound) > 0 {
		o.LowerBound = from
	}
	if end, ok := p.Next(); ok {
		o.UpperBound = end[:]
		if bytes.Compare(o.LowerBound, o.UpperBound) >= 0 {
			return nil
		}
	}
	it, err := e.db.NewIter(o)
	if err != nil {
		return readError("scan", err)
	}
	err = scan(it, fn)
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return readError("scan", err)
	}
	return nil
}

func scan(it *pebble.Iterator, fn func(key, value []byte) bool) error {
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if !fn(it.Key(), value) {
			return nil
		}
	}
	return it.Error()
}
