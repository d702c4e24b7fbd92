package node

import (
	"context"
	"fmt"
	"time"

	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
)

// door makes the coordinator the HTTP door's Store.
type door struct {
	coordinator.Blocking
	node *Node
}

// Preflist implements httpapi.Store.
func (d door) Preflist(key kv.Key) httpapi.Preflist {
	r := d.node.Ring()
	if r == nil {
		return httpapi.Preflist{}
	}
	p := r.PartitionOf(key)
	list := httpapi.Preflist{Partition: p, Owners: []httpapi.Owner{}, StandIns: []httpapi.Owner{}}
	for i, id := range r.Preference(p, nil) {
		m, _ := d.node.service.State().Member(id)
		o := httpapi.Owner{Node: m.Name, ID: id, HTTP: m.Addrs.HTTP, Zone: m.Zone, Up: d.node.up(id)}
		if i < r.Replicas() {
			list.Owners = append(list.Owners, o)
		} else {
			list.StandIns = append(list.StandIns, o)
		}
	}
	return list
}

// up tells whether a node answers, itself included.
func (n *Node) up(id kv.NodeID) bool { return id == n.service.ID() || n.pool.Up(id) }

// buckets makes membership the doors' Buckets.
type buckets struct{ node *Node }

// Props implements httpapi.Buckets.
func (b buckets) Props(bucket string) kv.Props { return b.node.Props([]byte(bucket)) }

// Known implements riak.Buckets.
func (b buckets) Known(bucket string) bool { return b.node.service.State().HasBucket(bucket) }

// Names implements httpapi.Buckets.
func (b buckets) Names() []string { return b.node.service.State().Buckets() }

// N implements httpapi.Buckets and riak.Buckets.
func (b buckets) N() int {
	if r := b.node.Ring(); r != nil {
		return r.Params().N
	}
	return kv.MaxReplicas
}

// SetProps implements httpapi.Buckets.
func (b buckets) SetProps(ctx context.Context, bucket string, change func(kv.Props) (kv.Props, error)) (kv.Props, error) {
	select {
	case b.node.changing <- struct{}{}:
		defer func() { <-b.node.changing }()
	case <-ctx.Done():
		return kv.Props{}, kv.Wrap(kv.KindTimeout, "set bucket properties", ctx.Err())
	}
	p, err := change(b.Props(bucket))
	if err != nil {
		return p, err
	}
	return p, b.node.service.SetProps(ctx, bucket, p)
}

// contract makes membership the HTTP door's Contract.
type contract struct{ node *Node }

// SLA implements httpapi.Contract.
func (c contract) SLA() kv.SLA { return c.node.service.State().SLA() }

// SLAs implements httpapi.Contract.
func (c contract) SLAs() map[string]kv.SLA { return c.node.service.State().SLAs() }

// SetSLA implements httpapi.Contract.
func (c contract) SetSLA(ctx context.Context, change func(kv.SLA) (kv.SLA, error)) error {
	return c.node.service.SetSLA(ctx, change)
}

// health makes a node the HTTP door's Health.
type health struct{ node *Node }

// Healthy implements httpapi.Health.
func (h health) Healthy() error {
	select {
	case <-h.node.service.Joined():
		return nil
	default:
		return kv.Errorf(kv.KindUnavailable, "check health", "no member of the cluster has listed this node yet")
	}
}

// settleFor bounds how long a node that starts waits, before it calls itself
// ready, for all the others; then a quorum of each partition is enough.
const settleFor = 3 * time.Second

// Ready implements httpapi.Health: the node is in the ring, may issue dots, and
// reaches enough nodes for the cluster's r and w. A change of the ring makes no
// difference to those that are in it.
func (h health) Ready() error {
	n := h.node
	const op = "check readiness"
	if err := h.Healthy(); err != nil {
		return err
	}
	if n.draining.Load() {
		return kv.Errorf(kv.KindUnavailable, op, "the node is ending")
	}
	state := n.service.State()
	r := state.Ring()
	if r == nil || !r.Contains(n.service.ID()) {
		return kv.Errorf(kv.KindUnavailable, op, "%s", n.outside(state))
	}
	select {
	case <-n.service.Mint().Ready():
	default:
		return kv.Errorf(kv.KindUnavailable, op, "no peer has confirmed this node's sequence yet")
	}
	down := 0
	for _, m := range r.Nodes() {
		if !n.up(m.ID) {
			down++
		}
	}
	if down == 0 {
		return nil
	}
	if time.Since(n.started) < settleFor {
		return kv.Errorf(kv.KindUnavailable, op, "%d nodes are not connected yet", down)
	}
	return n.checkQuorums()
}

// outside says why a node is not in the ring, and what is to be done.
func (n *Node) outside(state *membership.State) string {
	switch status := state.Status(n.service.ID()); {
	case status == membership.StatusJoining:
		return fmt.Sprintf("the change to epoch %d brings the node into the ring", state.Transition().Epoch)
	case status == membership.StatusWaiting:
		return fmt.Sprintf("another node named %s is in the ring: to have this one take its place, run ringtail cluster replace %s", n.cfg.Name, n.cfg.Name)
	case status == membership.StatusStaged:
		return "the node is staged: a commit brings it into the ring"
	case state.Gone(n.service.ID()):
		return "the node has left the ring, and ends once it holds nothing any more"
	}
	return "the node is not staged: run ringtail cluster join " + n.cfg.Name
}

// checkQuorums returns an error unless enough nodes answer for a get or put with
// the cluster's defaults: whichever they are, stand-ins make a quorum.
func (n *Node) checkQuorums() error {
	r := n.Ring()
	need, up := min(max(r.Params().R, r.Params().W), r.Replicas()), 0
	for _, m := range r.Nodes() {
		if n.up(m.ID) {
			up++
		}
	}
	if up < need {
		return kv.Errorf(kv.KindUnavailable, "check readiness", "%d nodes answer, %d are needed", up, need)
	}
	return nil
}
