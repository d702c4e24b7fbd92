package sim

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// copies are what each machine has of a key.
type copies struct {
	// owners are the key's by the newest ring; nodes are what the machines are.
	owners, nodes []kv.NodeID
	of            []keyCopy
}

// keyCopy is the records of a key on one machine, data and hints.
type keyCopy []record

// record is one record: its key in the engine, its object as it is, and as it is
// on stable storage.
type record struct {
	key             string
	applied, synced objects
}

// objects are those of some records, or none.
type objects []object.Object

func (w *World) copies(k *Key) copies {
	c := copies{owners: w.ring().Owners(k.partition)}
	for _, m := range w.machines {
		c.nodes = append(c.nodes, m.id())
		c.of = append(c.of, m.copy(k))
	}
	return c
}

// changed returns the copies of k after a change of m's.
func (c copies) changed(m *machine, k *Key) copies {
	c.owners, c.nodes, c.of = m.world.ring().Owners(k.partition), slices.Clone(c.nodes), slices.Clone(c.of)
	c.nodes[m.index], c.of[m.index] = m.id(), m.copy(k)
	return c
}

// copy returns what m has of k.
func (m *machine) copy(k *Key) keyCopy {
	var out keyCopy
	for _, key := range m.disk.applied.keys {
		if isRecordOf(key, k.Key) {
			out = append(out, record{key, objectAt(m.disk, m.disk.applied, key), objectAt(m.disk, m.disk.synced, key)})
		}
	}
	return out
}

// any tells whether one of the records is as is says.
func (c keyCopy) any(x *Write, is func(record, *Write) bool) bool {
	return slices.ContainsFunc(c, func(r record) bool { return is(r, x) })
}

// of returns the hints for owner; for 0, the data.
func (c keyCopy) of(owner kv.NodeID) keyCopy {
	return slices.DeleteFunc(slices.Clone(c), func(r record) bool { return r.owner() != owner })
}

// holds tells whether x, or what superseded it, is there.
func (r record) holds(x *Write) bool { return r.applied.hold(x) }

// keeps tells whether it is there, and would be after a crash. What the node has
// dropped is not, though its disk may not know yet.
func (r record) keeps(x *Write) bool { return r.applied.hold(x) && r.synced.hold(x) }

// all tells whether all owners keep x.
func (c copies) all(x *Write) bool {
	for _, id := range c.owners {
		if i := slices.Index(c.nodes, id); i < 0 || !c.of[i].of(0).any(x, record.keeps) {
			return false
		}
	}
	return true
}

// sure returns on how many machines x stays, whatever the cluster does, unless
// something is destroyed: those of the owners that have it, and of the others
// those that another machine gives it to, if each machine gives it to one. What
// hints for told would give is left out.
func (c copies) sure(x *Write, is func(record, *Write) bool, told kv.NodeID) int {
	var sources [kv.MaxReplicas]uint
	for o, id := range c.owners {
		for i, records := range c.of {
			for _, r := range records {
				if c.given(r, i, id, told) && is(r, x) {
					sources[o] |= 1 << i
				}
			}
		}
		if own := slices.Index(c.nodes, id); own >= 0 && sources[o]&(1<<own) != 0 {
			sources[o] = 1 << own
		}
	}
	return pairs(sources[:len(c.owners)], 0)
}

// given tells whether owner id has, or is to be given, record r of machine i: its
// own, a hint for it, and what is kept for nobody who is an owner now; but for
// hints for told.
func (c copies) given(r record, i int, id, told kv.NodeID) bool {
	holder := r.owner()
	switch holder {
	case 0:
		holder = c.nodes[i]
	case told:
		return false
	}
	return holder == id || !slices.Contains(c.owners, holder)
}

// pairs returns how many of these sets can be given a member of their own, none
// of those that are taken.
func pairs(sets []uint, taken uint) int {
	if len(sets) == 0 {
		return 0
	}
	most := pairs(sets[1:], taken)
	for free := sets[0] &^ taken; free != 0; free &= free - 1 {
		most = max(most, 1+pairs(sets[1:], taken|free&-free))
	}
	return most
}

// hold tells whether x, or a write that superseded it, is among them.
func (r objects) hold(x *Write) bool {
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
	objectOffset = 1 + vclock.OwnSize + 8
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

// owner returns the node that a hint is for, 0 for data.
func (r record) owner() kv.NodeID {
	if storage.Space(r.key[0]) != storage.SpaceHints {
		return 0
	}
	return kv.NodeID(binary.BigEndian.Uint64([]byte(r.key[storage.PrefixLen:])))
}

// objectAt reads the object at an engine's key in t, a table of d, if there is
// one that is not damaged. It reads the bytes itself, so that what it finds does
// not hang on the code that is put to the test.
func objectAt(d *disk, t *table, key string) objects {
	r, ok := t.rows[key]
	if !ok || len(d.damage) > 0 && d.spoiled(t, key) {
		return nil
	}
	o, err := object.Parse(r.value[objectOffset:])
	if err != nil {
		panic("sim: a record on disk cannot be read: " + err.Error())
	}
	return objects{o}
}
