package coordinator

import (
	"slices"

	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/quorum"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// ownCopy is the node's own copy of a key, or as a stand-in its hints, and the
// floor of the copy when it was read.
type ownCopy struct {
	object  object.Object
	digest  uint64
	floor   vclock.Floor
	version uint64
	err     error
}

// readOwn reads the node's own copy under its floor, or as a stand-in its hints,
// which have none, with the copy of an owner that is read no more or not yet. If it
// is prompt it does not wait for the disk, but for what a stand-in has.
func (o *get) readOwn(p *plan, prompt bool) {
	c, own := o.c, &o.own
	if o.carried != nil && slices.Contains(o.carried.answered, c.Self) {
		return
	}
	o.buf = o.buf[:0]
	o.copies = p.own || slices.Contains(p.view.Owners, c.Self)
	switch {
	case o.copies && prompt && !p.standIn:
		own.object, own.floor, own.version, o.buf, own.err = c.Local.PeekUnder(p.view.Level, p.partition, p.Key, o.buf)
	case o.copies:
		own.object, own.floor, own.version, o.buf, own.err = c.Local.ReadUnder(p.view.Level, p.partition, p.Key, o.buf)
	}
	if p.standIn {
		if own.err != nil {
			*own, o.copies = ownCopy{}, false
		}
		var hints object.Object
		if hints, o.buf, own.err = c.Hints.ReadHints(p.partition, p.Key, o.buf); own.err == nil && hints.Bytes() != nil {
			own.object, o.buf, _, own.err = object.MergeUnder(o.buf, own.object, hints, own.floor, nil)
		}
	}
	if own.err != nil {
		*own, o.differ = ownCopy{err: own.err}, true
	}
	if c.omits(OmitFloors) {
		own.floor, own.version = nil, 0
	}
	own.digest = object.Digest(own.object, own.floor)
	o.seen, o.floor = own.object, own.floor
}

// countOwn counts what this node itself has, which ends the time that it takes for
// that. The caller holds mu.
func (o *get) countOwn() {
	if o.countCopy(); o.tally.Outcome() == quorum.Pending {
		o.asksNow(&o.flight, &o.timing)
	}
}

func (o *get) countCopy() {
	switch {
	case o.own.err != nil || !o.counts(o.place) || o.carried != nil:
		return
	case !o.isOwner(o.place) && o.own.object.Bytes() == nil:
		o.tally.Step(o.self, quorum.Empty, nil)
	default:
		o.tally.Step(o.self, quorum.Answered, nil)
	}
	o.at[o.self].heard = true
}

// loseOwn counts that the node cannot read its own copy. The caller holds mu.
func (o *get) loseOwn(first *[maxSlots]int) {
	if isStale(o.own.err) {
		o.putOff(o.self, o.own.err)
	} else if next := o.lose(o.self, o.place, o.own.err); next != nobody {
		first[o.self] = next
	}
}
