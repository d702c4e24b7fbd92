package coordinator

import (
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// forward is a request that is passed on to an owner of its key. It is passed
// on again, to the next owner, only if the first one certainly did nothing, or
// if it is a get.
type forward struct {
	flight
	typ        wire.Type
	call       wire.Call
	msg        []byte
	candidates []kv.NodeID
}

func newForward(c *Coordinator) *forward {
	o := &forward{}
	o.c, o.expire, o.recycle = c, o.expired, o.reset
	return o
}

func (o *forward) reset() {
	if cap(o.msg) > maxKept {
		o.msg = nil
	}
	o.candidates = o.candidates[:0]
	o.c.forwards.Put(o)
}

// forward passes p on to the preferred owner if it is up, else to the one that
// answers fastest.
func (c *Coordinator) forward(t wire.Type, p plan, preferred kv.NodeID, start time.Time, to Receiver) {
	c.Stats.Forwarded()
	o := c.forwards.Get().(*forward)
	o.launch(start, p.Deadline, to)
	o.typ = t
	o.call = wire.Call{Type: t, Deadline: p.Deadline, Epoch: p.ring.Epoch()}
	o.msg = appendForward(o.msg[:0], t, p)
	for _, id := range p.owners {
		if c.Peers.Up(id) {
			o.candidates = append(o.candidates, id)
		}
	}
	slices.SortStableFunc(o.candidates, func(a, b kv.NodeID) int {
		switch {
		case a == preferred:
			return -1
		case b == preferred:
			return 1
		}
		return int(c.Peers.Latency(a) - c.Peers.Latency(b))
	})
	if len(o.candidates) == 0 {
		o.finish(wire.Answer{}, kv.Errorf(kv.KindUnavailable, "forward", "none of %d owners can be reached", len(p.owners)))
	} else {
		o.next(0)
	}
	o.release()
}

// appendForward encodes p as a message that the receiver does not pass on. The
// options go as the client gave them, for the receiver's ring decides.
func appendForward(dst []byte, t wire.Type, p plan) []byte {
	m := wire.Put{
		Get: wire.Get{
			Flags: wire.FlagForwarded, R: p.given.R, W: p.given.W, DW: p.given.DW, Key: p.Key,
		},
		Context: p.Update.Context, ContentType: p.Update.ContentType, Value: p.Update.Value,
	}
	if p.Options.Strict {
		m.Flags |= wire.FlagStrict
	}
	if p.Options.ReturnBody {
		m.Flags |= wire.FlagReturnBody
	}
	if p.Update.Deleted {
		m.Flags |= wire.FlagDeleted
	}
	if t == wire.TypeGet {
		return m.Get.AppendTo(dst)
	}
	return m.AppendTo(dst)
}

// next asks candidate i; the caller holds the request.
func (o *forward) next(i int) {
	o.hold(1)
	o.c.Peers.Call(o.candidates[i], o.call, wire.Raw(o.msg), o, uint32(i))
}

// Complete implements wire.Completion.
func (o *forward) Complete(tag uint32, resp wire.Response, err error) {
	if err == nil && resp.Interim {
		return
	}
	defer o.release()
	if err != nil && kv.KindOf(err) == kv.KindStaleRing {
		o.c.Stats.StaleRing()
		o.c.Cluster.Refresh(o.candidates[tag])
	}
	var a wire.Answer
	if err == nil {
		// An answer that cannot be read is an answer: the write was applied.
		if a, err = wire.ParseAnswer(resp.Payload); err != nil {
			err = &kv.Error{Op: "forward", Kind: kv.KindInternal, Applied: kv.AppliedUnknown, Err: err}
		}
	}
	if next := int(tag) + 1; err != nil && next < len(o.candidates) && o.again(err) {
		o.next(next)
		return
	}
	o.finish(a, err)
}

// again tells whether the next owner may do better.
func (o *forward) again(err error) bool {
	if o.typ == wire.TypePut && kv.AppliedOf(err) == kv.AppliedUnknown {
		return false
	}
	switch kv.KindOf(err) {
	case kv.KindUnavailable, kv.KindStaleRing, kv.KindOverloaded, kv.KindDiskFull, kv.KindStorage, kv.KindSkew, kv.KindClosed:
		return true
	}
	return false
}

func (o *forward) expired() {
	err := kv.Errorf(kv.KindTimeout, "forward", "the deadline passed")
	err.Applied = kv.AppliedUnknown
	o.finish(wire.Answer{}, err)
}

func (o *forward) finish(a wire.Answer, err error) {
	o.mu.Lock()
	decided := o.decide()
	o.mu.Unlock()
	if !decided {
		return
	}
	if err != nil {
		a = wire.Answer{}
	}
	o.tell(a, err)
}
