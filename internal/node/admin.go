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

		LeastProtocol: int(state.Least()),

		Hints:      n.hintViews(),
		Transition: n.transitionView(time.Now()),
		Sweep:      n.sweepView(),
		SLA:        n.metrics.SLA(time.Now(), n.nameOf),
		Staleness:  n.metrics.Staleness(time.Now()),
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
		Zone: m.Zone, Weight: m.Weight, Status: m.Status.String(), Protocol: int(m.Speaks),
		Up: n.up(m.ID), Since: n.peers.of(m.ID, n.started),
	}
	if r != nil && r.Contains(m.ID) {
		// What an operator has made of the weight with which it came.
		i := slices.IndexFunc(r.Nodes(), func(o ring.Node) bool { return o.ID == m.ID })
		v.Weight = r.Nodes()[i].Weight
		v.Tokens, v.Replicas = r.Tokens(m.ID), r.Load(m.ID)
		v.Share = float64(v.Replicas) / float64(r.Params().Q*r.Replicas())
	}
	if m.Self {
		v.Stats = n.statsView()
	}
	return v
}

func (n *Node) statsView() *httpapi.StatsView {
	engine, held := n.engine.Stats(), n.store.Held()
	v := &httpapi.StatsView{
		Version: n.cfg.Version, Started: n.started, CPUSeconds: metrics.CPUTime().Seconds(), Copies: len(held),
		DiskBytes: engine.DiskBytes, FreeBytes: engine.FreeBytes, Damaged: len(n.store.Damaged()), SLA: n.metrics.SLA(time.Now(), n.nameOf),
		Versions: n.metrics.Versions(), Staleness: n.metrics.Staleness(time.Now()),
	}
	for _, p := range held {
		keys, bytes, reapable := n.store.Usage(p)
		v.Keys, v.Bytes, v.Reapable = v.Keys+keys, v.Bytes+bytes, v.Reapable+reapable
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

// Pace implements httpapi.Admin.
func (a admin) Pace() int64 { return a.node.fillRate.Load() }

// SetPace implements httpapi.Admin.
func (a admin) SetPace(rate int64) error {
	if err := a.node.keeper.SetFillRate(rate); err != nil {
		return err
	}
	if was := a.node.fillRate.Swap(rate); was != rate {
		a.node.log.Info("the pace at which partitions move is set", "bytes a second", rate, "before", was)
	}
	return nil
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
