package coordinator

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// repairWithin bounds the wait for the acknowledgement of a repaired copy.
const repairWithin = 2 * time.Second

// repair sends what all copies amount to, late ones as well, to those that have
// less (§5, read repair). It is called when everybody who was asked has answered,
// or will not; then nothing but the answer, which may be on its way out still,
// uses this request.
func (o *get) repair() {
	if !o.differ || o.failed {
		return
	}
	all, floor, err := o.gather()
	if err != nil || all.Bytes() == nil {
		return
	}
	want := object.Digest(all, floor)
	if o.c.omits(OmitRepairMerge) && o.isOwner(o.place) {
		all = o.overwrite(all)
	}
	o.repairOwn(all, floor, want)
	m := wire.ReplicaPut{Ack: wire.AckApplied, Key: o.key, Object: all.Bytes()}
	call := wire.Call{Type: wire.TypeReplicaPut, Deadline: o.c.Now().Add(repairWithin), Level: o.call.Level}
	for i := range o.answers {
		a := &o.answers[i]
		if !o.stale(a, floor, want) {
			continue
		}
		if m.Floor, m.For = floor.Version(), 0; !o.isOwner(a.place) {
			m.Floor, m.For = 0, o.owners[a.slot]
		}
		o.hold(1)
		o.c.Peers.Call(o.node(a.place), call, &m, o, tagOf(a.slot, a.place)|repairTag)
	}
}

// gather returns the merge of all copies, and the floor under which it is.
func (o *get) gather() (object.Object, vclock.Floor, error) {
	all, floor := o.seen, o.floor
	var err error
	for i := o.merged; i < len(o.answers) && err == nil; i++ {
		all, floor, err = o.merge(all, floor, &o.answers[i])
	}
	return all, floor, err
}

// stale tells whether a's holder has less than what has the digest want under
// floor. A stand-in that has nothing is no stale one: a get does not make hints,
// or while an owner is down everything that is read would be written once more.
func (o *get) stale(a *copyOf, floor vclock.Floor, want uint64) bool {
	if a.copy == wire.CopyAbsent && !o.isOwner(a.place) {
		return false
	}
	has, err := o.objectOf(a)
	return err == nil && object.Digest(has, floor) != want
}

// repairOwn brings the node's own copy up to date, or its hint.
func (o *get) repairOwn(all object.Object, floor vclock.Floor, want uint64) {
	var err error
	switch {
	case o.own.err == nil && object.Digest(o.own.object, floor) == want:
		return
	case o.copies:
		err = o.c.Local.Merge(o.partition, o.key, all, floor, nil)
	case o.own.object.Bytes() == nil:
		return
	default:
		err = o.c.Hints.MergeHint(o.owners[o.self], o.partition, o.key, all, nil)
	}
	if err == nil {
		o.c.Stats.Repaired(1)
	}
}

// overwrite is what OmitRepairMerge does.
func (o *get) overwrite(all object.Object) object.Object {
	for s := o.seen.Siblings(); s.Next(); {
		w := object.Write{Context: object.ContextOf(all), Now: kv.TimeOf(o.c.Now()), Deleted: s.Deleted, ContentType: s.ContentType, Value: s.Value}
		if out, _, _, err := o.c.Local.Put(o.call.Level, o.partition, o.key, w, nil, nil); err == nil {
			return out
		}
	}
	return all
}

// repairDone counts a copy that was brought up to date.
func (o *get) repairDone(tag uint32, err error) {
	if err == nil {
		o.c.Stats.Repaired(1)
		return
	}
	_, place := ofTag(tag)
	o.c.refresh(o.node(place), err)
}
