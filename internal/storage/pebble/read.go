package pebble

import (
	"bytes"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// Get implements storage.Engine.
func (e *Engine) Get(key, dst []byte) ([]byte, bool, error) {
	storage.PrefixOf(key) // panics for a key without one
	if err := e.enter("get"); err != nil {
		return dst, false, err
	}
	defer e.users.Leave()
	out, found, err := e.get(key, dst)
	if err != nil && kv.KindOf(err) == kv.KindCorrupt {
		// If it is only a filter that is damaged, a scan does not meet it.
		return e.getByScan(key, dst)
	}
	return out, found, err
}

func (e *Engine) get(key, dst []byte) ([]byte, bool, error) {
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

func (e *Engine) getByScan(key, dst []byte) ([]byte, bool, error) {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: key, UpperBound: after(key)})
	if err != nil {
		return dst, false, readError("get", err)
	}
	out, found := dst, it.First()
	if found {
		var value []byte
		value, err = it.ValueAndErr()
		out = append(dst, value...)
	}
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return dst, false, readError("get", err)
	}
	return out, found, nil
}

// Scan implements storage.Engine. While it runs, the memtables and tables that
// it began with stay, and take memory and disk.
func (e *Engine) Scan(p storage.Prefix, from []byte, fn func(key, value []byte) bool) error {
	if err := e.enter("scan"); err != nil {
		return err
	}
	defer e.users.Leave()
	first, end := p.Range()
	s := span{first, end}
	if bytes.Compare(from, s.from) > 0 {
		s.from = from
	}
	if end != nil && s.empty() {
		return nil
	}
	return e.bound(e.scanSpan("scan", s, fn), s.from)
}

// bound returns err, of a scan from a key on, with the bounds of what cannot be
// read if they are known and hold that key.
func (e *Engine) bound(err error, from []byte) error {
	var damage *storage.Damage
	if err == nil || !errors.As(err, &damage) || damage.From != nil {
		return err
	}
	f := e.damages.find(damage.File)
	if f == nil || !f.wasSeen() {
		return err
	}
	tables, _, lerr := liveFiles(e.db, e.fence, e.dir)
	if lerr != nil {
		return err
	}
	for _, t := range tables {
		if t.path != f.path {
			continue
		}
		for _, s := range clip(f.spans, t.bounds) {
			if s.holds(from) {
				return kv.Wrap(kv.KindCorrupt, "scan", &storage.Damage{File: f.path, From: s.from, To: s.to, Err: damage.Err})
			}
		}
	}
	return err
}

// scanSpan is Scan for the keys in s; a nil s.to is the end.
func (e *Engine) scanSpan(op string, s span, fn func(key, value []byte) bool) error {
	it, err := e.db.NewIter(&pebble.IterOptions{LowerBound: s.from, UpperBound: s.to})
	if err != nil {
		return readError(op, err)
	}
	err = scan(it, fn)
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return readError(op, err)
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
