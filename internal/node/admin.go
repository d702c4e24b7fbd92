package node

import (
	"context"
	"fmt"
	"time"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/metrics"
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
		Hints:     []httpapi.HintView{},
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
	s := n.engine.Stats()
	return &httpapi.StatsView{
		Version: n.cfg.Version, Started: n.started, CPUSeconds: metrics.CPUTime().Seconds(),
		Keys: s.Keys, DiskBytes: s.DiskBytes, SLA: n.metrics.SLA(time.Now()),
	}
}

// Join implements httpapi.Admin.
func (a admin) Join(ctx context.Context, name string) error { return a.node.service.Stage(ctx, name) }

// Plan implements httpapi.Admin.
func (a admin) Plan(context.Context) (httpapi.PlanView, error) {
	n := a.node
	state := n.service.State()
	view := httpapi.PlanView{Epoch: state.Epoch() + 1, Changes: []httpapi.ChangeView{}, Loads: []httpapi.LoadView{}, Warnings: []string{}}
	for _, m := range state.Members() {
		if state.Status(m.ID) == membership.StatusStaged {
			view.Changes = append(view.Changes, httpapi.ChangeView{Action: "join", Node: m.Name, ID: m.ID})
		}
	}
	if len(view.Changes) == 0 {
		return view, nil
	}
	plan, err := n.service.Plan()
	if err != nil {
		return view, err
	}
	view.Moves, view.Least, view.Warnings = plan.Moved, plan.Least, plan.Warnings
	for _, p := range plan.Nodes {
		view.Loads = append(view.Loads, httpapi.LoadView{
			Node: p.Name, ID: p.ID, Zone: p.Zone, Weight: p.Weight, Gained: p.Gained, Lost: p.Lost,
			TokensBefore: p.TokensBefore, TokensAfter: p.TokensAfter, Before: p.LoadBefore, After: p.LoadAfter,
		})
	}
	if empty, err := n.empty(); err != nil {
		return view, err
	} else if !empty {
		view.Obstacle = fmt.Sprintf("node %s holds data: moving data comes with a later release", n.cfg.Name)
	}
	return view, nil
}

// Commit implements httpapi.Admin.
func (a admin) Commit(ctx context.Context) (uint64, error) {
	plan, err := a.node.service.Commit(ctx)
	if err != nil {
		return 0, err
	}
	return plan.Epoch, nil
}

// Partitions implements httpapi.Admin.
func (a admin) Partitions(ctx context.Context) ([]httpapi.PartitionView, error) {
	n := a.node
	views := []httpapi.PartitionView{}
	r := n.Ring()
	if r == nil {
		return views, nil
	}
	for _, p := range r.Partitions(n.service.ID()) {
		if err := ctx.Err(); err != nil {
			return nil, kv.Wrap(kv.KindTimeout, "list partitions", err)
		}
		keys, bytes, _ := n.store.Usage(p)
		views = append(views, httpapi.PartitionView{Partition: p, Role: "owner", Keys: keys, Bytes: bytes})
	}
	return views, nil
}
