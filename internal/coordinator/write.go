package coordinator

import (
	"errors"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/quorum"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
)

// needs returns what the put needs under v; a strict one as much as plan.size says,
// also if it was planned before the step.
func (o *put) needs(v *ring.View) quorum.Need {
	n := quorum.Need{W: o.w, DW: o.dw, Old: quorum.All(len(v.Old)), Loose: o.loose}
	if v.New != nil && !o.loose {
		w := o.cur.Ring.Params().W
		if n.W = max(n.W, w); n.DW > 0 {
			n.DW = max(n.DW, w)
		}
	}
	if v.New != nil {
		for i, id := range v.Owners {
			if slices.Contains(v.New, id) {
				n.New |= 1 << i
			}
		}
	}
	switch c := o.c; {
	case c.cfg.Omit == 0:
	case c.omits(OmitLastAck):
		n.W, n.DW = o.w-1, min(o.dw, o.w-1)
	case c.omits(OmitJointOld) && n.New != 0:
		n.Old = n.New
	case c.omits(OmitJointNew):
		n.New = 0
	}
	return n
}

// writeLocal carries out the local write and makes the answer. An error means
// that nothing was applied.
func (o *put) writeLocal(p *plan, ctx object.Context, prompt bool) error {
	write := object.Write{
		Merge: p.props.Merge, Context: ctx, Now: kv.TimeOf(o.start), MaxClock: o.c.cfg.MaxClock,
		Deleted: p.Update.Deleted, ContentType: p.Update.ContentType, Value: p.Update.Value, Meta: p.Update.Meta,
		Expires: o.c.expiry(p, o.start),
	}
	if o.c.omits(OmitSiblings) {
		write.Merge = kv.MergeLWW
	}
	var durable storage.Waiter
	if o.dw > 0 {
		o.hold(1)
		durable, o.syncing = o, true
	}
	obj, dropped, err := o.write(p, &write, durable, prompt)
	if err != nil {
		if durable != nil {
			o.refs.Add(-1)
			o.syncing = false
		}
		return err
	}
	if o.dw == 0 && o.c.Soon != nil {
		o.c.Soon()
	}
	if dropped > 0 {
		o.c.Stats.Truncated(dropped)
	}
	o.object = obj.Bytes()
	o.makeAnswer(obj, p.Options.ReturnBody, p.Options.NoContext)
	return nil
}

// write writes the node's own copy, or as a stand-in its hint. If it is prompt it
// does not wait for the disk to read the copy.
func (o *put) write(p *plan, w *object.Write, durable storage.Waiter, prompt bool) (obj object.Object, dropped int, err error) {
	if p.standIn {
		o.floor = 0
		obj, o.buf, dropped, err = o.c.Hints.PutHint(p.view.Level, o.home, p.partition, p.Key, *w, o.buf[:0], durable)
		if err == nil {
			o.c.Stats.StandIn()
		}
		return obj, dropped, err
	}
	// The object stands for what the floor covers if the copy had that floor all
	// the while.
	_, o.floor = o.c.Local.Floor(p.partition)
	if prompt {
		obj, o.buf, dropped, err = o.c.Local.TryPut(p.view.Level, p.partition, p.Key, *w, o.buf[:0], durable)
	} else {
		obj, o.buf, dropped, err = o.c.Local.Put(p.view.Level, p.partition, p.Key, *w, o.buf[:0], durable)
	}
	if _, now := o.c.Local.Floor(p.partition); now != o.floor {
		o.floor = 0
	}
	return obj, dropped, err
}

// refused ends a put whose local write was refused, or has it carried out anew
// after news of the ring, or passes it on if the refusal is this node's own
// affair: nothing was applied. It returns false for one that is to be begun
// elsewhere, because it would wait for the disk.
func (o *put) refused(p *plan, ctx object.Context, err error) (done bool) {
	o.mu.Lock()
	decided := o.decide()
	o.mu.Unlock()
	switch {
	case !decided:
	case errors.Is(err, storage.ErrWaits):
		o.c.waiting.Add(-1)
		return false
	case isStale(err):
		o.c.waiting.Add(-1)
		o.c.postpone(p, o.start, o.to, err)
	case !p.Forwarded && ownAffair(err):
		o.c.waiting.Add(-1)
		o.c.forward(p, ctx.Fastest, o.start, o.to, err)
	default:
		o.finish(len(p.owners), 0, err)
	}
	return true
}

// ownAffair tells whether another node may take a write that this one refuses.
func ownAffair(err error) bool {
	switch kv.KindOf(err) {
	case kv.KindDiskFull, kv.KindStorage, kv.KindCorrupt, kv.KindHintsFull:
		return kv.AppliedOf(err) == kv.AppliedNo
	}
	return false
}

// makeAnswer gives a context only if it names nothing that the client has not
// seen: the new sibling is the only one, or all of them are in the answer. Bare asks
// for none.
func (o *put) makeAnswer(obj object.Object, body, bare bool) {
	if body {
		if object.Expiring(&obj) {
			// A part of buf, beside what is sent.
			obj, o.buf = o.c.hide(o.buf, obj)
		}
		o.answer.Object = obj.Bytes()
	}
	if bare || !body && obj.Len() > 1 {
		return
	}
	ctx := object.ContextOf(obj)
	ctx.Fastest = o.c.Self
	var err error
	if o.sealed, err = o.c.Cluster.Sealer().AppendSealed(o.sealed[:0], ctx); err == nil {
		o.answer.Context = o.sealed
	}
}
