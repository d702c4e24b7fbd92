package pebble

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2/objstorage"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/block/blockkind"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// table is a table file that is read past Pebble and its caches.
type table struct {
	reader  *sstable.Reader
	it      sstable.Iterator
	deleted []tombstone // its range deletions
}

// openTable opens the table file at path. A filter is not read: it stands in
// no iterator's way.
func openTable(fs vfs.FS, path string, o sstable.ReaderOptions) (*table, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	t, err := readTable(readable, o)
	if err != nil {
		_ = readable.Close() // what matters is why it cannot be read
	}
	return t, err
}

func readTable(f objstorage.Readable, o sstable.ReaderOptions) (*table, error) {
	ctx := context.Background()
	r, err := sstable.NewReader(ctx, f, o)
	if err != nil {
		return nil, err
	}
	t := &table{reader: r}
	if t.deleted, err = rangeDeletions(ctx, r); err != nil {
		return nil, err
	}
	t.it, err = r.NewIter(sstable.NoTransforms, nil, nil, sstable.DebugHandlesBlobContext)
	return t, err
}

// tombstone is a range deletion: what it hides is of lower sequence numbers.
type tombstone struct {
	span
	number uint64
}

// hiddenBy says whether later ones of others, together, hold all of t's span.
func (t tombstone) hiddenBy(others []tombstone) bool {
	var spans []span
	for _, o := range others {
		if o.number > t.number {
			spans = append(spans, o.span)
		}
	}
	return coveredBy(t.span, join(spans))
}

// rangeDeletions returns those of a table.
func rangeDeletions(ctx context.Context, r *sstable.Reader) (all []tombstone, err error) {
	it, err := r.NewRawRangeDelIter(ctx, sstable.NoFragmentTransforms, sstable.NoReadEnv)
	if it == nil || err != nil {
		return nil, err
	}
	defer it.Close()
	s, err := it.First()
	for ; s != nil && err == nil; s, err = it.Next() {
		all = append(all, tombstone{span{bytes.Clone(s.Start), bytes.Clone(s.End)}, uint64(s.LargestSeqNum())})
	}
	return all, err
}

// tombstones returns what of the table's range deletions is in s.
func (t *table) tombstones(s span) (in []tombstone) {
	for _, d := range t.deleted {
		if d.span = d.and(s); !d.empty() {
			in = append(in, d)
		}
	}
	return in
}

// keys appends to all the table's keys in s, but for those in bad, which cannot
// be read. It returns an error when there is more that cannot be read.
func (t *table) keys(all [][]byte, s span, bad []span) ([][]byte, error) {
	for _, b := range append(bad, span{s.to, s.to}) {
		gap := span{s.from, b.from}
		s.from = b.to
		if gap.empty() {
			continue
		}
		last := gap.from
		kv := t.it.SeekGE(gap.from, 0)
		for ; kv != nil && bytes.Compare(kv.K.UserKey, gap.to) < 0; kv = t.it.Next() {
			last = after(kv.K.UserKey)
			all = append(all, last[:len(last)-1])
		}
		// What cannot be read begins after a key, and that key leads to it.
		if err := t.it.Error(); kv == nil && err != nil && !bytes.Equal(last, b.from) {
			return nil, err
		}
	}
	return all, nil
}

// close releases the table. It was only read: an error says nothing.
func (t *table) close() {
	_ = t.it.Close()
	_ = t.reader.Close()
}

// unreadable returns the spans of the keys in bounds that cannot be read,
// ascending and apart. bounds are those of the table, which may be a part of
// its file: what is beside it does not count. A span begins after the last key
// before the damage and ends where keys can be sought again, which may be a
// little before the first one.
func (t *table) unreadable(bounds span) (spans []span) {
	separators, err := t.separators()
	if err != nil {
		separators = nil // the index is what is damaged
	}
	from := bounds.from
	for {
		kv := t.it.SeekGE(from, 0)
		for ; kv != nil && bytes.Compare(kv.K.UserKey, bounds.to) < 0; kv = t.it.Next() {
			from = append(append(from[:0:0], kv.K.UserKey...), 0)
		}
		if t.it.Error() == nil {
			return spans
		}
		to := t.readableFrom(from, bounds.to, separators)
		if s := (span{from, to}); !s.empty() {
			spans = append(spans, s)
		}
		if bytes.Compare(to, bounds.to) >= 0 {
			return spans
		}
		from = to
	}
}

// readableFrom returns where behind bad, which cannot be sought, keys can be
// sought again, at the latest at end: behind one of separators, the last keys
// of the table's blocks, or else, when those are not known, at about the place.
func (t *table) readableFrom(bad, end []byte, separators [][]byte) []byte {
	for _, s := range separators {
		if next := after(s); bytes.Compare(next, bad) > 0 && bytes.Compare(next, end) < 0 && t.canSeek(next) {
			return next
		}
	}
	if separators != nil {
		return end
	}
	for {
		middle := between(bad, end)
		if middle == nil {
			return end
		}
		if t.canSeek(middle) {
			end = middle
		} else {
			bad = middle
		}
	}
}

// separators returns for each block of data a key that is not less than those
// in it, and less than those in the next.
func (t *table) separators() (keys [][]byte, err error) {
	layout, err := t.reader.Layout()
	if err != nil {
		return nil, err
	}
	for _, handle := range layout.Index {
		b, err := t.reader.BlockReader().Read(context.Background(), block.NoReadEnv, nil, handle,
			blockkind.Index, colblk.InitIndexBlockMetadata)
		if err != nil {
			return nil, err
		}
		var it colblk.IndexIter
		if err := it.Init(t.reader.Comparer, b.BlockData(), block.NoTransforms); err != nil {
			b.Release()
			return nil, err
		}
		for ok := it.First(); ok; ok = it.Next() {
			keys = append(keys, bytes.Clone(it.Separator()))
		}
		b.Release()
	}
	return keys, nil
}

// canSeek says whether the least key that is not less than key can be found.
func (t *table) canSeek(key []byte) bool {
	_, err := t.from(key)
	return err == nil
}

// from returns the table's least key that is not less than key, or nil.
func (t *table) from(key []byte) ([]byte, error) {
	kv := t.it.SeekGE(key, 0)
	if kv == nil {
		return nil, t.it.Error()
	}
	return bytes.Clone(kv.K.UserKey), nil
}

// before returns the table's greatest key that is less than key, or nil.
func (t *table) before(key []byte) ([]byte, error) {
	kv := t.it.SeekLT(key, 0)
	if kv == nil {
		return nil, t.it.Error()
	}
	return bytes.Clone(kv.K.UserKey), nil
}

// between returns a key between a and b, about in the middle, or nil when the
// 8 bytes after what they have in common leave none.
func between(a, b []byte) []byte {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	low, high := word(a[n:]), word(b[n:])
	if high <= low+1 {
		return nil
	}
	return binary.BigEndian.AppendUint64(bytes.Clone(b[:n]), low+(high-low)/2)
}

// word returns the first 8 bytes of key as a number.
func word(key []byte) uint64 {
	var w [8]byte
	copy(w[:], key)
	return binary.BigEndian.Uint64(w[:])
}
