package object

import (
	"bytes"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// Prune drops from o what a holder with the floor f may forget: tombstones that
// f covers, and what expired by f's expiry mark as if it were one; then clock
// entries that f covers, save those whose actor has a causal sibling left; and
// the horizon, if f covers it. Other values stay, whatever f covers.
//
// The result is appended to dst. When nothing is left it is the zero Object, and
// dst is as it was; when there is nothing to drop it is o itself, and changed is
// false.
func Prune(dst []byte, o Object, f vclock.Floor) (res Object, buf []byte, changed bool) {
	r := pruned(o, reachOf(f))
	switch {
	case r.same():
		return o, dst, false
	case r.nothing():
		return Object{}, dst, true
	}
	w := begin(dst)
	for e := r.clock(); e.next(); {
		w.b = append(w.b, e.entry...)
	}
	w.endClock()
	if r.horizon {
		w.horizon(o.register())
	}
	for rest := o.sibs; len(rest) > 0; {
		s := rest[:encodedSize(rest)]
		if rest = rest[len(s):]; !r.drops(s) {
			w.raw(s)
		}
	}
	res, buf = w.end()
	return res, buf, true
}

// VersionHash returns a hash of what o has seen and keeps, of its clock and
// dots, not of its values: two copies with equal hashes need not be compared.
// Dots are issued by the nodes, so a client cannot make two versions collide.
// The zero Object's hash is 0, no other's is.
func VersionHash(o Object) uint64 { return Digest(o, nil) }

// Digest returns the VersionHash of what Prune leaves of o under f, without
// building that; 0 when nothing is left. Under a floor that includes those of
// their holders, copies that differ only in what was pruned have one digest.
func Digest(o Object, f vclock.Floor) uint64 {
	r := pruned(o, reachOf(f))
	if r.nothing() {
		return 0
	}
	var d xxhash.Digest
	d.Reset()
	var head [3]byte
	binary.BigEndian.PutUint16(head[:], uint16(r.siblings))
	if r.horizon {
		head[2] = flagHorizon
	}
	_, _ = d.Write(head[:])
	if r.entries == o.clock.Len() {
		_, _ = d.Write(o.clock)
	} else {
		for e := r.clock(); e.next(); {
			_, _ = d.Write(e.entry)
		}
	}
	if r.horizon {
		_, _ = d.Write(o.horizon)
	}
	for rest := o.sibs; len(rest) > 0; rest = rest[encodedSize(rest):] {
		if !r.drops(rest) {
			_, _ = d.Write(rest[:vclock.DotSize])
		}
	}
	if h := d.Sum64(); h != 0 {
		return h
	}
	return 1
}

// Reapable tells what of o a floor could drop, were it high enough: the number
// of tombstones, and of clock entries, the horizon counted as one. What will
// expire is not counted: see Soonest.
func Reapable(o Object) (tombstones, entries int) {
	r := pruned(o, reach{all: true})
	entries = o.clock.Len() - r.entries
	if len(o.horizon) > 0 && !r.horizon {
		entries++
	}
	return o.n - r.siblings, entries
}

// reach is what a floor covers, or all that any floor could.
type reach struct {
	floor vclock.Floor
	all   bool
	// expired is the floor's expiry mark.
	expired kv.Expiry
}

func reachOf(f vclock.Floor) reach { return reach{floor: f, expired: f.Expiry()} }

func (r reach) covers(id kv.NodeID, seq uint64) bool {
	return r.all || r.floor.Covers(id, seq)
}

// drops tells whether the sibling with which b begins need not be kept.
func (r *reach) drops(b []byte) bool {
	return b[flagsAt]&(flagDeleted|flagExpires) != 0 && r.lets(b)
}

// lets is drops for a tombstone or a value that expires.
func (r *reach) lets(b []byte) bool {
	return (b[flagsAt]&flagDeleted != 0 || expiredBy(b, r.expired)) && r.covers(vclock.DecodeDot(b).Node, decodeSeq(b))
}

// remains is what pruning leaves of an object: how many siblings and clock
// entries, and whether the horizon.
type remains struct {
	reach
	o                 Object
	siblings, entries int
	horizon           bool
}

func pruned(o Object, by reach) remains {
	r := remains{reach: by, o: o, siblings: o.n, entries: o.clock.Len(), horizon: len(o.horizon) > 0}
	if !by.all && len(by.floor) == 0 {
		return r
	}
	for rest := o.sibs; len(rest) > 0; rest = rest[encodedSize(rest):] {
		if r.drops(rest) {
			r.siblings--
		}
	}
	r.entries = 0
	for e := r.clock(); e.next(); {
		r.entries++
	}
	if r.horizon {
		t := decodeTag(o.horizon)
		r.horizon = !r.covers(t.dot.Node, t.seq)
	}
	return r
}

func (r *remains) nothing() bool { return r.siblings == 0 && r.entries == 0 && !r.horizon }

// same tells whether all of the object is left.
func (r *remains) same() bool {
	return r.siblings == r.o.n && r.entries == r.o.clock.Len() && r.horizon == (len(r.o.horizon) > 0)
}

// clock returns a cursor before the first clock entry that is left.
func (r *remains) clock() entries {
	return entries{reach: r.reach, rest: r.o.clock, siblings: r.o.sibs}
}

// entries walks the clock entries that are left of an object, and beside them
// its siblings: both are in the order of their actors.
type entries struct {
	reach
	rest     vclock.Clock
	siblings []byte
	// entry is the encoding of the present entry.
	entry []byte
}

// next moves to the next entry and tells whether there is one.
func (e *entries) next() bool {
	for len(e.rest) > 0 {
		at := e.rest.At(0)
		e.entry, e.rest = e.rest[:vclock.EntrySize], e.rest[vclock.EntrySize:]
		if !e.covers(at.Node, at.Seq) || e.needed() {
			return true
		}
	}
	return false
}

// needed tells whether a causal sibling that is left has the present entry's
// actor: its clock must cover it.
func (e *entries) needed() bool {
	for ; len(e.siblings) > 0; e.siblings = e.siblings[encodedSize(e.siblings):] {
		order := bytes.Compare(e.siblings[:vclock.ActorSize], e.entry[:vclock.ActorSize])
		if order > 0 {
			return false
		}
		if order == 0 && e.siblings[flagsAt]&flagLWW == 0 && !e.drops(e.siblings) {
			return true
		}
	}
	return false
}
