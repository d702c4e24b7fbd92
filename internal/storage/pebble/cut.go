package pebble

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// A range deletion hides what is in its range, and a compaction that meets it
// drops that. But a compaction has to read what it drops, and so has a scan to
// find that it is hidden: with damage in a table the one never ends, and the
// other fails. So what cannot be read is cut out of its table, by Pebble's
// Excise, once all of it is hidden by range deletions.
//
// Excise needs care. It ends the parts of the table that stay at the last key
// before the cut and at the first one behind it, and when it cannot read the
// block with that key it takes the whole part for empty: keys are lost, and
// nobody is told. So a cut is made only from one block that can be read to
// another, and it is looked after what was to stay. What was written in between
// since it was dropped is written anew, in the same step.

const (
	// maxDropped bounds the drops that are remembered.
	maxDropped = 1 << 14
	// maxKept bounds what a cut writes anew, in bytes.
	maxKept = 64 << 20
	cutName = "cut.tmp"
)

// entry is a key and its value.
type entry struct{ key, value []byte }

// dropDamaged drops s, and cuts out what cannot be read and is not to be kept
// any more. e.gate is locked.
func (e *Engine) dropDamaged(s span) error {
	if err := e.deleteRange(s); err != nil {
		return err
	}
	e.remember([]tombstone{{span: span{bytes.Clone(s.from), bytes.Clone(s.to)}}})
	if err := e.cut(s); err != nil {
		// The keys are gone all the same. The next Drop tries again.
		e.logger.Error("cut out damage", "err", err)
	}
	return e.health.Outcome()
}

// await waits until the damage in s that was met is looked over. When it is not
// in s after all, there may be more, and it is looked over again. No lock of the
// engine's is held: who looks it over may be waiting for that.
func (e *Engine) await(s span) error {
	tables, _, err := liveFiles(e.db, e.fence, e.dir)
	if err != nil {
		return err
	}
	var files []*damagedFile
	for _, t := range tables {
		if f := e.damages.find(t.path); f != nil && t.bounds.overlaps(s) && !slices.Contains(files, f) {
			<-f.seen
			files = append(files, f)
		}
	}
	if damage, _ := e.damageIn(s, tables); len(damage) > 0 {
		return nil
	}
	for _, f := range files {
		e.damages.lookAgain(f)
	}
	return nil
}

// cut cuts out what it can of the damage that s overlaps.
func (e *Engine) cut(s span) error {
	tables, _, err := liveFiles(e.db, e.fence, e.dir)
	if err != nil {
		return err
	}
	damage, _ := e.damageIn(s, tables)
	for _, d := range damage {
		if !coveredBy(d, e.dropped) {
			continue // spare the effort
		}
		if err := e.cutOne(d); err != nil {
			return err
		}
	}
	return e.forget()
}

// mend cuts out what it can of a file, and returns what it cannot. Now that
// more is known, it also does so with what was dropped and not cut out.
func (e *Engine) mend(f *damagedFile) (left []span) {
	e.gate.Lock()
	defer e.gate.Unlock()
	left, err := e.mendLocked(f)
	if err != nil {
		e.logger.Error("cut out damage", "err", err)
		return f.spans
	}
	return left
}

func (e *Engine) mendLocked(f *damagedFile) (left []span, err error) {
	tables, _, err := liveFiles(e.db, e.fence, e.dir)
	if err != nil {
		return nil, err
	}
	for _, s := range f.spans {
		damage, _ := e.damageIn(s, tables)
		for _, d := range damage {
			if err := e.cutOne(d); err != nil {
				return nil, err
			}
		}
	}
	if err := e.cut(span{beforeAll, afterAll}); err != nil {
		return nil, err
	}
	if tables, _, err = liveFiles(e.db, e.fence, e.dir); err != nil {
		return nil, err
	}
	for _, t := range tables {
		if t.path == f.path {
			left = append(left, clip(f.spans, t.bounds)...)
		}
	}
	return left, nil
}

// forget forgets the damage that is gone.
func (e *Engine) forget() error {
	tables, _, err := liveFiles(e.db, e.fence, e.dir)
	if err == nil && e.damages.forget(tables) {
		e.dropped = nil
		e.scheduler.release()
	}
	return err
}

// damageIn returns the spans of the tables that cannot be read and overlap s,
// ascending and apart. ok is false when some are not known yet.
func (e *Engine) damageIn(s span, tables []liveFile) (spans []span, ok bool) {
	ok = true
	for _, t := range tables {
		f := e.damages.find(t.path)
		switch {
		case f == nil:
		case !f.wasSeen():
			ok = ok && !t.bounds.overlaps(s)
		default:
			spans = append(spans, clip(f.spans, t.bounds)...)
		}
	}
	spans = slices.DeleteFunc(join(spans), func(d span) bool { return !d.overlaps(s) })
	return spans, ok
}

// cutOne cuts out d, if all of it that cannot be read is hidden.
func (e *Engine) cutOne(d span) error {
	// What is in no table yet, Excise would cut out later, unseen.
	if err := e.db.Flush(); err != nil {
		return err
	}
	tables, _, pin, err := pinFiles(e.db, e.fence, e.dir)
	if err != nil {
		return err
	}
	defer pin.Close()
	if _, known := e.damageIn(d, tables); !known {
		return nil // mend comes back to it
	}
	d, sides, err := e.border(d, tables)
	if err != nil {
		return e.moreDamage(err)
	}
	keys, hidden, err := e.look(d, tables)
	if err != nil {
		return e.moreDamage(err)
	}
	if !hidden {
		return nil
	}
	keep, err := e.read(keys)
	if err != nil {
		return err
	}
	if err := e.excise(d, keep); err != nil {
		return err
	}
	e.stayed(sides)
	return nil
}

// moreDamage takes note of damage beside what was to be cut out. When that is
// looked over, mend comes back to it. It returns err if it is of another kind.
func (e *Engine) moreDamage(err error) error {
	var found *storage.Damage
	if !errors.As(err, &found) || !pebble.IsCorruptionError(err) {
		return err
	}
	e.damages.meet(found.File, found.Err)
	return nil
}

// side is a key of a table that has a value, and is to stay when a cut is made
// beside it.
type side struct {
	table liveFile
	key   []byte
}

// border returns d with the key before it, and the keys on both sides that are
// to stay. When it cannot read there, no cut can be made: the error is a
// *storage.Damage.
//
// The key before is written anew, because it may be the very one that its
// block's index entry names. An iterator that ends with that key looks into the
// next block all the same.
func (e *Engine) border(d span, tables []liveFile) (_ span, sides []side, err error) {
	if n := len(d.from) - 1; n >= 0 && d.from[n] == 0 {
		d.from = d.from[:n]
	}
	left, err := e.sides(tables, d.from, (*table).before)
	if err != nil {
		return d, nil, err
	}
	right, err := e.sides(tables, d.to, (*table).from)
	return d, append(left, right...), err
}

// sides returns the keys that find finds of each table that goes on on both
// sides of key, but for those that are hidden.
func (e *Engine) sides(tables []liveFile, key []byte, find func(*table, []byte) ([]byte, error)) (sides []side, err error) {
	for _, live := range tables {
		if !live.bounds.contains(key) {
			continue
		}
		var next []byte
		err := e.withTable(live, func(t *table) (err error) {
			next, err = find(t, key)
			return err
		})
		if err != nil {
			return nil, err
		}
		if next != nil && live.bounds.holds(next) && e.shows(next) {
			sides = append(sides, side{live, next})
		}
	}
	return sides, nil
}

// withTable calls read with live's table. Its error is a *storage.Damage.
func (e *Engine) withTable(live liveFile, read func(*table) error) error {
	t, err := openTable(e.fence, live.path, e.options.MakeReaderOptions())
	if err == nil {
		err = read(t)
		t.close()
	}
	if err != nil {
		return &storage.Damage{File: live.path, Err: err}
	}
	return nil
}

// stayed tells of the tables of which a key is gone that stood beside a cut.
func (e *Engine) stayed(sides []side) {
	for _, s := range sides {
		if !e.shows(s.key) {
			e.damages.tell(storage.Damage{
				File: s.table.path, From: s.table.bounds.from, To: s.table.bounds.to,
				Err: errors.New("what is beside damage could not be read when that was cut out"),
			})
		}
	}
}

// shows says whether key can be read, and has a value.
func (e *Engine) shows(key []byte) bool {
	_, found, err := e.get(key, nil)
	return found && err == nil
}

// look returns all keys that can be read in d, hidden ones as well, without an
// order, and whether all that cannot be read is hidden. Its error, a
// *storage.Damage, is of what nobody knew that it cannot be read.
func (e *Engine) look(d span, tables []liveFile) (keys [][]byte, hidden bool, err error) {
	var over, lost []tombstone // lost is what has to be hidden, by later ones
	for _, live := range tables {
		in := live.bounds.and(d)
		if in.empty() {
			continue
		}
		var bad []span
		if f := e.damages.find(live.path); f != nil && f.wasSeen() {
			bad = clip(f.spans, in)
		}
		for _, s := range bad {
			lost = append(lost, tombstone{s, live.newest})
		}
		if coveredBy(in, bad) {
			continue
		}
		err := e.withTable(live, func(t *table) (err error) {
			over = append(over, t.tombstones(in)...)
			keys, err = t.keys(keys, in, bad)
			return err
		})
		if err != nil {
			return nil, false, err
		}
	}
	for _, l := range lost {
		if !l.hiddenBy(over) {
			e.remember(over)
			return nil, false, nil
		}
	}
	return keys, true, nil
}

// remember takes note of what was dropped, perhaps before Open.
func (e *Engine) remember(drops []tombstone) {
	for _, d := range drops {
		e.dropped = append(e.dropped, d.span)
	}
	e.dropped = join(e.dropped)
	if n := len(e.dropped) - maxDropped; n > 0 {
		e.dropped = e.dropped[n:]
	}
}

// read returns the entries of keys, ascending.
func (e *Engine) read(keys [][]byte) (entries []entry, err error) {
	slices.SortFunc(keys, bytes.Compare)
	size := 0
	for _, key := range slices.CompactFunc(keys, bytes.Equal) {
		value, found, err := e.get(key, nil)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		if size += len(key) + len(value); size > maxKept {
			return nil, kv.Errorf(kv.KindTooLarge, "drop", "more than %d bytes stand between what is dropped", maxKept)
		}
		entries = append(entries, entry{key, value})
	}
	return entries, nil
}

// excise replaces all that is stored in d by the entries keep.
func (e *Engine) excise(d span, keep []entry) error {
	ctx, out := context.Background(), pebble.KeyRange{Start: d.from, End: d.to}
	if len(keep) == 0 {
		return e.db.Excise(ctx, out)
	}
	path := e.fence.PathJoin(e.dir, cutName)
	if err := e.writeTable(path, keep); err != nil {
		return err
	}
	_, err := e.db.IngestAndExcise(ctx, []string{path}, nil, nil, out)
	return err
}

// writeTable writes a table file with entries.
func (e *Engine) writeTable(path string, entries []entry) error {
	// The file of an earlier cut, that a crash kept from being removed, may be
	// another name of a table in use: it must not be written over.
	if err := e.fence.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := e.fence.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	w := sstable.NewWriter(objstorageprovider.NewFileWritable(f), e.options.MakeWriterOptions(0, e.db.TableFormat()))
	for _, r := range entries {
		if err := w.Set(r.key, r.value); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}
