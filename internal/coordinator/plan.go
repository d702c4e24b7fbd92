package coordinator

import (
	"errors"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/clock"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// plan is a request after its options and its place on the ring are known.
type plan struct {
	Request
	// given are the options as the client gave them; Request's are resolved
	// against this node's view, which another node may not share.
	given kv.Options
	typ   wire.Type
	props kv.Props
	cur   *ring.Current
	// view is how far the partition is in a change of the ring; it is looked at
	// once.
	view      ring.View
	partition kv.Partition
	// owners are those that take part: who has to take a put, or who is read.
	owners []kv.NodeID
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
func (c *Coordinator) plan(p *plan, t wire.Type, req *Request, now time.Time) error {
	p.Request, p.given, p.typ, p.cur = *req, req.Options, t, c.Cluster.Current()
	if p.cur == nil || c.Cluster.Sealer() == nil {
		return kv.Errorf(kv.KindUnavailable, "coordinate", "this node is not in a ring yet")
	}
	if !req.admitted {
		if err := c.admit(req); err != nil {
			return err
		}
	}
	p.props = c.Cluster.Props(req.Key.Bucket())
	var err error
	if p.Options, err = req.Options.Resolve(p.cur.Ring.Params().N, p.props.Quorums); err != nil {
		return err
	}
	if p.Deadline.IsZero() {
		p.Deadline = now.Add(p.Options.Timeout)
	}
	if longest := now.Add(kv.MaxTimeout); p.Deadline.After(longest) {
		p.Deadline = longest
	}
	p.partition = p.cur.Ring.PartitionOf(req.Key)
	p.view = p.cur.View(p.partition)
	if p.owners = p.view.Owners; t == wire.TypeGet {
		p.owners = p.view.Readers
	}
	if req.From != 0 && req.Level > p.view.Level {
		// It goes on all the same, if it can: a replica refuses what is too old.
		c.Cluster.Refresh(req.From)
	}
	c.locate(p)
	if !p.here() && req.Forwarded {
		return kv.Errorf(kv.KindStaleRing, "coordinate", "partition %d is not this node's at level %v, the request is of %v", p.partition, p.view.Level, req.Level)
	}
	p.size()
	return nil
}

// size fits what the request needs to the number of owners. While the ring
// changes one that is strict needs what the steps of the change were made for,
// or more: R and W of the cluster. A write that nobody waits for to be durable
// stays one.
func (p *plan) size() {
	o := &p.Options
	if p.view.New != nil && o.Strict {
		params := p.cur.Ring.Params()
		o.R, o.W = max(o.R, int8(params.R)), max(o.W, int8(params.W))
		if o.DW > 0 {
			o.DW = max(o.DW, int8(params.W))
		}
	}
	n := int8(max(len(p.view.Old), len(p.view.New)))
	o.R, o.W, o.DW = min(o.R, int8(len(p.view.Readers))), min(o.W, n), min(o.DW, n)
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
	for _, id := range standIns(p.cur, &p.view, p.partition, p.owners) {
		if id == c.Self || c.Peers.Up(id) {
			return id, true
		}
	}
	return 0, false
}

// standIns returns who may stand in for owners, those first that take part in a
// step of the ring, though not in this request: of them a get may learn more.
func standIns(cur *ring.Current, v *ring.View, p kv.Partition, owners []kv.NodeID) []kv.NodeID {
	var out []kv.NodeID
	for _, id := range cur.Latest().Preference(p, slices.Clone(v.Owners)) {
		if !slices.Contains(owners, id) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

func (c *Coordinator) planPut(p *plan, req *Request, now time.Time) (object.Context, error) {
	if err := checkUpdate(&req.Update); err != nil {
		return object.Context{}, err
	}
	if err := c.plan(p, wire.TypePut, req, now); err != nil {
		return object.Context{}, err
	}
	if u := &req.Update; len(u.Meta) > 0 || u.Life != (kv.Lifetime{}) || u.Siblings {
		if err := c.Cluster.Outdated(); err != nil {
			return object.Context{}, err
		}
	}
	if req.Update.Siblings {
		p.props.Merge = kv.MergeSiblings
	}
	ctx, err := c.Cluster.Sealer().Open(req.Update.Context)
	if err != nil {
		return ctx, err
	}
	if p.here() && p.props.Merge == kv.MergeLWW {
		if err := clock.CheckSkew(c.Cluster.Skew(), c.cfg.MaxSkew); err != nil {
			return ctx, err
		}
		if err := clock.CheckSeen(kv.TimeOf(now), ctx.Time, c.cfg.MaxSkew); err != nil && !req.seen {
			return ctx, err
		}
	}
	return ctx, nil
}

func checkUpdate(u *object.Update) error {
	switch {
	case len(u.Value) > kv.MaxValue:
		return kv.Errorf(kv.KindTooLarge, "put", "the value has %d bytes, the limit is %d", len(u.Value), kv.MaxValue)
	case len(u.ContentType) > kv.MaxContentType:
		return kv.Errorf(kv.KindTooLarge, "put", "the content type has %d bytes, the limit is %d", len(u.ContentType), kv.MaxContentType)
	case len(u.Meta) > kv.MaxMeta:
		return kv.Errorf(kv.KindTooLarge, "put", "what is kept beside the value has %d bytes, the limit is %d", len(u.Meta), kv.MaxMeta)
	case u.Deleted && (len(u.Value)+len(u.ContentType)+len(u.Meta) > 0 || u.Life != kv.Lifetime{}):
		return kv.Errorf(kv.KindInvalid, "delete", "a delete has no value, and does not expire")
	}
	return u.Life.Validate()
}

// loose tells whether stand-ins count in p.
func (c *Coordinator) loose(p *plan) bool { return !p.Options.Strict || c.omits(OmitStrict) }

// refresh asks for the ring of node id if err says that it has a newer one.
func (c *Coordinator) refresh(id kv.NodeID, err error) {
	if isStale(err) {
		c.Stats.StaleRing()
		c.Cluster.Refresh(id)
	}
}

// askAround asks one of the other owners for news of the ring, because this node's
// own copy knows of more than it does itself: it was told, and has forgotten in a
// crash.
func (c *Coordinator) askAround(p *plan) {
	n := len(p.owners)
	for i := range n {
		if id := p.owners[(i+p.retries)%n]; id != c.Self && c.Peers.Up(id) {
			c.Cluster.Refresh(id)
			return
		}
	}
}

// ahead tells whether p is at a higher level than a request to it.
func (c *Coordinator) ahead(p kv.Partition, level kv.Level) bool {
	cur := c.Cluster.Current()
	return cur.View(p).Level > level
}

// isStale tells whether err says that the request was planned too long ago.
func isStale(err error) bool { return err != nil && kv.KindOf(err) == kv.KindStaleRing }

// reachable returns an error of KindUnavailable when so few nodes answer that
// could serve p, owners only if it is strict, that it cannot succeed: it fails at
// once then, before anything was done. Of the owners in each of sets need are to
// answer.
func (c *Coordinator) reachable(op string, p *plan, need int8, sets ...[]kv.NodeID) error {
	up, of, what := 0, 0, ""
	for _, set := range sets {
		if n := c.count(set); n < min(int(need), len(set)) {
			up, of, what = n, len(set), "owners"
			break
		}
	}
	if what == "" {
		return nil
	}
	if c.loose(p) {
		others := standIns(p.cur, &p.view, p.partition, p.owners)
		up, of, what = c.count(p.owners)+c.count(others), len(p.owners)+len(others), "nodes"
		if up >= int(need) {
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
func (c *Coordinator) count(ids []kv.NodeID) int {
	up := 0
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
