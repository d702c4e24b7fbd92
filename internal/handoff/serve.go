package handoff

import (
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Handle serves wire.TypeHandoff: it merges the object into this node's copy and
// answers once that is on stable storage.
func (h *Sender) Handle(req wire.Request) {
	if err := h.take(req); err != nil {
		req.Reply.Fail(err)
	}
}

// arrival is the storage.Waiter of a hint that another node handed over.
type arrival struct {
	h     *Sender
	reply wire.Reply
	// boot is this node's, of the time when the merge began.
	boot uint64
	size int
}

func (h *Sender) take(req wire.Request) error {
	if req.Type != wire.TypeHandoff {
		return kv.Errorf(kv.KindInvalid, "serve", "handoff does not serve %v", req.Type)
	}
	m, err := wire.ParseHandoff(req.Payload)
	if err != nil {
		return err
	}
	in, err := object.Parse(m.Object)
	if err != nil {
		return err
	}
	p, err := h.owned(req, m.Key)
	if err != nil {
		return err
	}
	if h.inbound.Add(1) > int64(h.cfg.Inbound) {
		h.inbound.Add(-1)
		return kv.Errorf(kv.KindOverloaded, "take hint", "%d hints wait for the disk", h.cfg.Inbound)
	}
	a := &arrival{h: h, reply: req.Reply, boot: h.Boot(), size: len(req.Payload)}
	if h.cfg.Omit&OmitDurable != 0 {
		if err = h.Local.Merge(p, m.Key, in, nil, nil); err == nil {
			a.Durable(nil)
		}
	} else {
		err = h.Local.Merge(p, m.Key, in, nil, a)
	}
	if err != nil {
		h.inbound.Add(-1)
	}
	return err
}

// Durable implements storage.Waiter.
func (a *arrival) Durable(err error) {
	if err != nil {
		a.h.inbound.Add(-1)
		a.reply.Fail(err)
		return
	}
	a.h.taken(a)
}

// owned returns the partition of k if this node may take hints for it: as an
// owner that is not about to give its copy away, or because the sender knows more
// of the ring, and may know it as one.
func (h *Sender) owned(req wire.Request, k kv.Key) (kv.Partition, error) {
	c := h.Cluster.Current()
	if c == nil {
		return 0, kv.Errorf(kv.KindUnavailable, "take hint", "this node is not in a ring yet")
	}
	p := c.Ring.PartitionOf(k)
	switch v := c.View(p); {
	case v.Takes(h.Self):
	case req.Level > v.Level:
		h.Cluster.Refresh(req.From)
	default:
		return 0, kv.Errorf(kv.KindStaleRing, "take hint", "partition %d is not this node's at %v, the request is of %v", p, v.Level, req.Level)
	}
	return p, nil
}
