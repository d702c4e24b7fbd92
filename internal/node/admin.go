package node

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// admin makes membership and the store the HTTP door's Admin.
type admin struct{ node *Node }

// Cluster implements httpapi.Admin.
func (a admin) Cluster(context.Context) (httpapi.ClusterView, error) {
	n := a.node
	state, r := n.service.State(), n.Ring()
	view := httpapi.ClusterView{
		ClusterID: state.Cluster().String(),
		Node:      n.cfg.Name,
		Members:   []httpapi.MemberView{},
		Hints:     n.hintViews(),
		Sweep:     n.sweepView(),
		SLA:       n.metrics.SLA(time.Now()),
	}
	if r != nil {
		view.Ring = ringView(r)
	}
	for _, m := range n.service.Members() {
		view.Members = append(view.Members, n.memberView(m, r))
	}
	return view, nil
}

func ringView(r *ring.Ring) httpapi.RingView {
	p := r.Params()
	return httpapi.RingView{
		Epoch: r.Epoch(), N: p.N, R: p.R, W: p.W, Partitions: p.Q, Partitioner: p.Partitioner.String(),
	}
}

func (n *Node) memberView(m membership.MemberView, r *ring.Ring) httpapi.MemberView {
	v := httpapi.MemberView{
		Name: m.Name, ID: m.ID, HTTP: m.Addrs.HTTP, Peer: m.Addrs.Peer, Gossip: m.Addrs.Gossip,
		Zone: m.Zone, Weight: m.Weight, Status: m.Status.String(),
		Up: n.up(m.ID), Since: n.peers.of(m.ID, n.started),
	}
	if r != nil && r.Contains(m.ID) {
		v.Tokens, v.Replicas = r.Tokens(m.ID), r.Load(m.ID)
		v.Share = float64(v.Replicas) / float64(r.Params().Q*r.Replicas())
	}
	if m.Self {
		v.Stats = n.statsView()
	}
	return v
}

func (n *Node) statsView() *httpapi.StatsView {
	v := &httpapi.StatsView{
		Version: n.cfg.Version, Started: n.started, CPUSeconds: metrics.CPUTime().Seconds(),
		DiskBytes: n.engine.Stats().DiskBytes, Damaged: len(n.store.Damaged()), SLA: n.metrics.SLA(time.Now()),
	}
	for _, p := range n.store.Held() {
		keys, _, reapable := n.store.Usage(p)
		v.Keys, v.Reapable = v.Keys+keys, v.Reapable+reapable
		if state, _, _ := n.store.Tree(p); state == replica.TreeBuilding {
			v.Building++
		}
	}
	v.Repair = n.repairStats()
	return v
}

// repairStats counts the copies that this node has brought up to date.
func (n *Node) repairStats() httpapi.RepairStats {
	total := n.keeper.Status().Total
	return httpapi.RepairStats{
		Read:     n.metrics.Repaired.Load(),
		Exchange: uint64(total.Sent + total.Received),
		Handoff:  n.sender.Totals().Delivered,
		Bytes:    uint64(total.Bytes),
		Reaped:   n.store.Reaped(),
	}
}

// Join implements httpapi.Admin.
func (a admin) Join(ctx context.Context, name string) error {
	return a.node.service.Stage(ctx, membership.Change{Action: membership.Join, Node: name})
}

// Plan implements httpapi.Admin.
func (a admin) Plan(context.Context) (httpapi.PlanView, error) {
	n := a.node
	state := n.service.State()
	view := httpapi.PlanView{Epoch: state.Epoch() + 1, Changes: []httpapi.ChangeView{}, Loads: []httpapi.LoadView{}, Warnings: []string{}}
	if len(state.Orders()) == 0 {
		return view, nil
	}
	plan, err := n.service.Plan()
	if err != nil {
		return view, err
	}
	view.Epoch = plan.Epoch
	for _, c := range plan.Changes {
		view.Changes = append(view.Changes, httpapi.ChangeView{Action: c.Action.String(), Node: c.Node, ID: c.ID})
	}
	view.Moves, view.Least, view.Warnings = plan.Moved, plan.Least, plan.Warnings
	for _, p := range plan.Nodes {
		view.Loads = append(view.Loads, httpapi.LoadView{
			Node: p.Name, ID: p.ID, Zone: p.Zone, Weight: p.Weight, Gained: p.Gained, Lost: p.Lost,
			TokensBefore: p.TokensBefore, TokensAfter: p.TokensAfter, Before: p.LoadBefore, After: p.LoadAfter,
		})
	}
	if t := state.Transition(); t != nil {
		view.Obstacle = fmt.Sprintf("the change to epoch %d is under way", t.Epoch)
	}
	return view, nil
}

// Commit implements httpapi.Admin.
func (a admin) Commit(ctx context.Context) (uint64, error) {
	plan, err := a.node.service.Commit(ctx, membership.CommitOptions{})
	if err != nil {
		return 0, err
	}
	return plan.Epoch, nil
}

// Partitions implements httpapi.Admin.
func (a admin) Partitions(context.Context) ([]httpapi.PartitionView, error) {
	n := a.node
	views := []httpapi.PartitionView{}
	r := n.Ring()
	if r == nil {
		return views, nil
	}
	held := n.store.Held()
	for i := range r.Params().Q {
		p := kv.Partition(i)
		owner := r.Owns(p, n.service.ID())
		if _, holds := slices.BinarySearch(held, p); !owner && !holds {
			continue
		}
		v := httpapi.PartitionView{Partition: p, Role: "left over"}
		if owner {
			v.Role = "owner"
		}
		v.Keys, v.Bytes, _ = n.store.Usage(p)
		if state, root, _ := n.store.Tree(p); state == replica.TreeReady {
			v.Root = fmt.Sprintf("%016x", root)
		}
		views = append(views, v)
	}
	return views, nil
}
