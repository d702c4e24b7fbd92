package coordinator

import (
	"errors"
	"time"

	"github.com/ringtaildb/ringtail/internal/clock"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// plan is a request after its options and its place on the ring are known.
type plan struct {
	Request
	// given are the options as the client gave them; Request's are resolved
	// against this node's view, which another node may not share.
	given     kv.Options
	props     kv.Props
	ring      *ring.Ring
	partition kv.Partition
	owners    []kv.NodeID
	// own tells that this node is an owner, standIn that it coordinates the
	// request for want of one.
	own, standIn bool
	// self is the slot that this node serves, if either holds.
	self int
}

// here tells whether this node coordinates the request.
func (p *plan) here() bool { return p.own || p.standIn }

// plan checks a request and finds its place. Its errors mean that nothing was
// applied.
func (c *Coordinator) plan(p *plan, req *Request, now time.Time) error {
	p.Request, p.given, p.ring = *req, req.Options, c.Cluster.Ring()
	if p.ring == nil || c.Cluster.Sealer() == nil {
		return kv.Errorf(kv.KindUnavailable, "coordinate", "this node is not in a ring yet")
	}
	if c.waiting.Load() >= int64(c.cfg.MaxInFlight) {
		return kv.Errorf(kv.KindOverloaded, "coordinate", "%d requests wait for answers", c.cfg.MaxInFlight)
	}
	p.props = c.Cluster.Props(req.Key.Bucket())
	var err error
	if p.Options, err = req.Options.Resolve(p.ring.Params().N, p.props.Quorums); err != nil {
		return err
	}
	if p.Deadline.IsZero() {
		p.Deadline = now.Add(p.Options.Timeout)
	}
	if longest := now.Add(kv.MaxTimeout); p.Deadline.After(longest) {
		p.Deadline = longest
	}
	p.partition = p.ring.PartitionOf(req.Key)
	p.owners = p.ring.Owners(p.partition)
	c.locate(p)
	if !p.here() && req.Forwarded {
		return kv.Errorf(kv.KindStaleRing, "coordinate", "partition %d is not this node's in epoch %d", p.partition, p.ring.Epoch())
	}
	n := int8(len(p.owners))
	p.Options.R, p.Options.W, p.Options.DW = min(p.Options.R, n), min(p.Options.W, n), min(p.Options.DW, n)
	return nil
}

// locate tells whether this node coordinates p, and which slot it serves then.
func (c *Coordinator) locate(p *plan) {
	down := -1
	for i, id := range p.owners {
		if id == c.Self {
			p.own, p.self = true, i
			return
		}
		if down < 0 && !c.Peers.Up(id) {
			down = i
		}
	}
	// As a stand-in it serves the first slot whose owner is down.
	p.standIn, p.self = p.StandIn, max(down, 0)
	if !p.standIn && !p.Forwarded && !p.Options.Strict && c.noOwner(p) {
		id, ok := c.firstStandIn(p)
		p.standIn = ok && id == c.Self
	}
}

// noOwner tells whether no owner of p's key is seen to answer.
func (c *Coordinator) noOwner(p *plan) bool {
	for _, id := range p.owners {
		if c.Peers.Up(id) {
			return false
		}
	}
	return true
}

// firstStandIn returns the first healthy node of p's preference list after the
// owners.
func (c *Coordinator) firstStandIn(p *plan) (kv.NodeID, bool) {
	for _, id := range p.ring.Preference(p.partition, nil)[len(p.owners):] {
		if id == c.Self || c.Peers.Up(id) {
			return id, true
		}
	}
	return 0, false
}

func (c *Coordinator) planPut(p *plan, req *Request, now time.Time) (object.Context, error) {
	u := &req.Update
	switch {
	case len(u.Value) > kv.MaxValue:
		return object.Context{}, kv.Errorf(kv.KindTooLarge, "put", "the value has %d bytes, the limit is %d", len(u.Value), kv.MaxValue)
	case len(u.ContentType) > kv.MaxContentType:
		return object.Context{}, kv.Errorf(kv.KindTooLarge, "put", "the content type has %d bytes, the limit is %d", len(u.ContentType), kv.MaxContentType)
	case u.Deleted && len(u.Value)+len(u.ContentType) > 0:
		return object.Context{}, kv.Errorf(kv.KindInvalid, "delete", "a delete has no value")
	}
	if err := c.plan(p, req, now); err != nil {
		return object.Context{}, err
	}
	ctx, err := c.Cluster.Sealer().Open(u.Context)
	if err != nil {
		return ctx, err
	}
	if p.here() && p.props.Merge == kv.MergeLWW {
		if err := clock.CheckSkew(c.Cluster.Skew(), c.cfg.MaxSkew); err != nil {
			return ctx, err
		}
		if err := clock.CheckSeen(kv.TimeOf(now), ctx.Time, c.cfg.MaxSkew); err != nil {
			return ctx, err
		}
	}
	return ctx, nil
}

// loose tells whether stand-ins count in p.
func (c *Coordinator) loose(p *plan) bool { return !p.Options.Strict || c.omits(OmitStrict) }

// refresh asks for the ring of node id if err says that it has a newer one.
func (c *Coordinator) refresh(id kv.NodeID, err error) {
	if kv.KindOf(err) == kv.KindStaleRing {
		c.Stats.StaleRing()
		c.Cluster.Refresh(id)
	}
}

// reachable returns an error of KindUnavailable when fewer nodes than need
// answer that could serve p, owners only if it is strict, so that a request which
// cannot succeed fails at once, before anything was done.
func (c *Coordinator) reachable(op string, p *plan, need int8) error {
	up, of, what := c.count(p.owners), len(p.owners), "owners"
	if up >= need {
		return nil
	}
	if c.loose(p) {
		up, of, what = 0, len(p.ring.Nodes()), "nodes"
		for _, n := range p.ring.Nodes() {
			if n.ID == c.Self || c.Peers.Up(n.ID) {
				up++
			}
		}
		if up >= need {
			return nil
		}
	}
	var down []kv.NodeID
	for _, id := range p.owners {
		if id != c.Self && !c.Peers.Up(id) {
			down = append(down, id)
		}
	}
	return kv.Errorf(kv.KindUnavailable, op, "%d of %d %s can be reached, %d are needed; owners that cannot: %v", up, of, what, need, down)
}

// count tells how many of ids answer, this node among them.
func (c *Coordinator) count(ids []kv.NodeID) int8 {
	up := int8(0)
	for _, id := range ids {
		if id == c.Self || c.Peers.Up(id) {
			up++
		}
	}
	return up
}

func errDown(id kv.NodeID) error {
	return &kv.Error{Op: "ask", Kind: kv.KindUnavailable, Node: id}
}

// at returns err as an error that names the node where it came about.
func at(id kv.NodeID, err error) error {
	var e *kv.Error
	if errors.As(err, &e) && e.Node != 0 {
		return err
	}
	return &kv.Error{Op: "ask", Kind: kv.KindOf(err), Applied: kv.AppliedOf(err), Node: id, Err: err}
}
