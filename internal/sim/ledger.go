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
	applied, durable := w.copies(keys, appliedTable), w.copies(keys, syncedTable)
	destroy()
	for i, k := range keys {
		owners := w.ring().Owners(k.partition)
		left, safe := recordsOf(m.disk, m.disk.applied, k.Key), recordsOf(m.disk, m.disk.synced, k.Key)
		for _, x := range k.writes {
			if durable[i].all(w, owners, x) {
				x.applied, x.durable = max(x.applied, len(owners)), max(x.durable, len(owners))
			}
			if applied[i].of(m).hold(x) && !left.hold(x) && applied[i].count(x) <= x.applied {
				x.applied--
			}
			if durable[i].of(m).hold(x) && !safe.hold(x) && durable[i].count(x) <= x.durable {
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

// copies are the records of one key on every machine.
type copies []records

// records are the objects of one key on one machine, data and hints.
type records []object.Object

func appliedTable(d *disk) *table { return d.applied }
func syncedTable(d *disk) *table  { return d.synced }

func (w *World) copies(keys []*Key, at func(*disk) *table) []copies {
	out := make([]copies, len(keys))
	for i, k := range keys {
		for _, m := range w.machines {
			out[i] = append(out[i], recordsOf(m.disk, at(m.disk), k.Key))
		}
	}
	return out
}

func (c copies) of(m *machine) records { return c[m.index] }

// count returns how many machines hold x.
func (c copies) count(x *Write) int {
	n := 0
	for _, r := range c {
		if r.hold(x) {
			n++
		}
	}
	return n
}

// all tells whether all of these nodes hold x.
func (c copies) all(w *World, owners []kv.NodeID, x *Write) bool {
	for _, id := range owners {
		if !c.of(w.ids[id]).hold(x) {
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
		if !isRecordOf(key, k) || len(d.damage) > 0 && d.spoiled(t, key) {
			continue
		}
		o, err := object.Parse(t.rows[key].value[objectAt:])
		if err != nil {
			panic("sim: a record on disk cannot be read: " + err.Error())
		}
		out = append(out, o)
	}
	return out
}
