package sim

import (
	"bytes"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// The ledger tells which losses the promises excuse. A write that asked for w
// applied and dw durable copies is owed as many; each time that a fault
// destroys a copy, and no more copies than are owed were there, one less is
// owed. What the cluster itself lets go of, by a hint deleted too early or a
// copy dropped too soon, does not lessen the debt. A write of which nothing is
// owed any more may be lost.

// owe begins the account of a write.
func (w *Write) owe(o kv.Options) { w.applied, w.durable = int(o.W), int(o.DW) }

// excused tells whether w may be lost.
func (w *Write) excused() bool { return w.applied <= 0 && w.durable <= 0 }

// account does something that destroys copies on m, and books what it did to
// the writes of keys.
func (w *World) account(m *machine, keys []*Key, destroy func()) {
	before := make([]copies, len(keys))
	for i, k := range keys {
		before[i] = w.copies(k)
	}
	destroy()
	for i, k := range keys {
		owners := w.ring().Owners(k.partition)
		after := m.copy(k)
		for _, x := range k.writes {
			if before[i].all(w, owners, x) {
				x.applied, x.durable = max(x.applied, len(owners)), max(x.durable, len(owners))
			}
			there := before[i][m.index]
			if there.holds(x) && !after.holds(x) && before[i].count(x, aCopy.holds) <= x.applied {
				x.applied--
			}
			if there.keeps(x) && !after.keeps(x) && before[i].count(x, aCopy.keeps) <= x.durable {
				x.durable--
			}
		}
	}
}

// unsynced returns the keys that changes of m concern which are not durable.
func (w *World) unsynced(m *machine) []*Key {
	var out []*Key
	for _, k := range w.keys {
		if m.disk.unsynced(k.Key) {
			out = append(out, k)
		}
	}
	return out
}

// copies are what each machine has of a key.
type copies []aCopy

// aCopy is the records of a key on one machine, data and hints: as they are,
// and as they are on stable storage.
type aCopy struct{ applied, synced records }

// records are objects of one key.
type records []object.Object

func (w *World) copies(k *Key) copies {
	var out copies
	for _, m := range w.machines {
		out = append(out, m.copy(k))
	}
	return out
}

func (m *machine) copy(k *Key) aCopy {
	return aCopy{recordsOf(m.disk, m.disk.applied, k.Key), recordsOf(m.disk, m.disk.synced, k.Key)}
}

// holds tells whether x, or what superseded it, is there.
func (c aCopy) holds(x *Write) bool { return c.applied.hold(x) }

// keeps tells whether it is there, and would be after a crash. What the node has
// dropped is not, though its disk may not know yet.
func (c aCopy) keeps(x *Write) bool { return c.applied.hold(x) && c.synced.hold(x) }

// count returns on how many machines x is.
func (c copies) count(x *Write, is func(aCopy, *Write) bool) int {
	n := 0
	for _, m := range c {
		if is(m, x) {
			n++
		}
	}
	return n
}

// all tells whether all of these nodes keep x.
func (c copies) all(w *World, owners []kv.NodeID, x *Write) bool {
	for _, id := range owners {
		if !c[w.ids[id].index].keeps(x) {
			return false
		}
	}
	return true
}

// hold tells whether x, or a write that superseded it, is among the records.
func (r records) hold(x *Write) bool {
	for _, o := range r {
		for _, d := range x.dots {
			if x.key.lww && atOrAfter(o, d) || !x.key.lww && o.Clock().Covers(d.Dot) {
				return true
			}
		}
	}
	return false
}

// atOrAfter tells whether o's lww write is d or beats it.
func atOrAfter(o object.Object, d mint) bool {
	for c := o.Siblings(); c.Next(); {
		if c.LWW && !d.beats(mint{Dot: c.Dot, time: c.Time}) {
			return true
		}
	}
	return false
}

// beats tells whether d is later than o, as lww buckets see it.
func (d mint) beats(o mint) bool {
	if d.time != o.time {
		return d.time > o.time
	}
	return bytes.Compare(vclock.AppendDot(nil, d.Dot), vclock.AppendDot(nil, o.Dot)) > 0
}

// unsynced tells whether a change that is not durable concerns k.
func (d *disk) unsynced(k kv.Key) bool {
	for _, c := range d.log {
		for _, op := range c.ops {
			if isRecordOf(op.key, k) {
				return true
			}
		}
	}
	return false
}

// A record's key ends with the user's key; its value is a version, the copy's
// own actor and counter, a digest, and the object (package replica).
const (
	positionSize = 4
	ownerSize    = 8
	objectAt     = 1 + vclock.OwnSize + 8
)

func isRecordOf(key string, k kv.Key) bool {
	head := storage.PrefixLen
	switch storage.Space(key[0]) {
	case storage.SpaceData:
		head += positionSize
	case storage.SpaceHints:
		head += ownerSize
	default:
		return false
	}
	return len(key) == head+len(k) && key[head:] == string(k)
}

// recordsOf reads the records of k in t, a table of d, that are not damaged. It
// reads the bytes itself, so that what it finds does not hang on the code that
// is put to the test.
func recordsOf(d *disk, t *table, k kv.Key) records {
	var out records
	for _, key := range t.keys {
		if isRecordOf(key, k) {
			out = append(out, recordsAt(d, t, key)...)
		}
	}
	return out
}

// recordsAt reads the record at an engine's key, if there is one.
func recordsAt(d *disk, t *table, key string) records {
	r, ok := t.rows[key]
	if !ok || len(d.damage) > 0 && d.spoiled(t, key) {
		return nil
	}
	o, err := object.Parse(r.value[objectAt:])
	if err != nil {
		panic("sim: a record on disk cannot be read: " + err.Error())
	}
	return records{o}
}
