package ring

import (
	"cmp"
	"maps"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Plan says what a change from one ring to the next does. It is plain data for
// people to read; names of nodes are not known here.
type Plan struct {
	// Epoch is the next ring's.
	Epoch uint64 `json:"epoch"`
	// Nodes holds the nodes of both rings, ascending by id.
	Nodes []NodePlan `json:"nodes"`
	// Zones holds the zones of both rings, ascending by name.
	Zones []ZonePlan `json:"zones"`
	// SpanBefore and SpanAfter are the zones that each owner list covers at least,
	// counted.
	SpanBefore int `json:"span_before"`
	SpanAfter  int `json:"span_after"`
	// Moved is the number of (partition, owner) pairs of the next ring that
	// the present one does not have: the copies of a partition to be made.
	Moved int `json:"moved"`
	// Least is the sum over nodes of max(0, replicas after - replicas before),
	// below which no ring with the same loads can go. Zones and full nodes may
	// put it out of reach.
	Least int `json:"least"`
	// Warnings holds what the operator may not expect, in no order of weight.
	Warnings []Warning `json:"warnings,omitempty"`
}

// NodePlan is one node's part in a Plan.
type NodePlan struct {
	ID     kv.NodeID `json:"id"`
	Zone   string    `json:"zone"`
	Weight uint32    `json:"weight"`
	// WeightBefore is its weight in the present ring where that is another, else 0.
	WeightBefore uint32 `json:"weight_before,omitempty"`
	// Joins and Leaves mark a node that only one of the rings has.
	Joins  bool `json:"joins,omitempty"`
	Leaves bool `json:"leaves,omitempty"`
	// Gained and Lost are the partitions that it begins and ceases to own,
	// ascending.
	Gained []kv.Partition `json:"gained,omitempty"`
	Lost   []kv.Partition `json:"lost,omitempty"`
	Before Stake          `json:"before"`
	After  Stake          `json:"after"`
	// Fair is the number of partitions that it ought to own in the next ring.
	Fair float64 `json:"fair"`
}

// Stake is what a node or zone holds of a ring.
type Stake struct {
	// Tokens counts partitions of which it is the first owner.
	Tokens int `json:"tokens"`
	// Replicas counts (partition, owner) pairs, Share is their part of all,
	// 0 to 1.
	Replicas int     `json:"replicas"`
	Share    float64 `json:"share"`
}

// ZonePlan is one zone's part in a Plan. Nodes and Weight are of the next ring,
// and zero for a zone that it does not have.
type ZonePlan struct {
	Zone   string `json:"zone"`
	Nodes  int    `json:"nodes"`
	Weight uint64 `json:"weight"`
	Before Stake  `json:"before"`
	After  Stake  `json:"after"`
	// Lost is what the next ring's partitions keep when the zone is lost; zero for
	// a zone that it does not have.
	Lost ZoneLoss `json:"lost"`
}

// Diff returns the plan of the change from prev, nil for a first ring, to
// next. It panics when they differ in Q: they are of one cluster.
func Diff(prev, next *Ring) Plan {
	p := Plan{Epoch: next.epoch, SpanAfter: next.spans(), Warnings: warnings(next)}
	fair := fairShares(next.nodes, newZoning(next.nodes), next.params.Q, next.width)
	for i, n := range next.nodes {
		p.Nodes = append(p.Nodes, NodePlan{
			ID: n.ID, Zone: n.Zone, Weight: n.Weight, Joins: true, After: next.stake(n.ID), Fair: fair[i].ratio(),
		})
	}
	if prev != nil {
		p.SpanBefore = prev.spans()
		p.addPrevious(prev, next)
	}
	p.addMoves(prev, next)
	p.addZones(prev, next)
	return p
}

// addPrevious fills in what nodes hold of prev, and adds those that leave.
func (p *Plan) addPrevious(prev, next *Ring) {
	for i := range p.Nodes {
		n := &p.Nodes[i]
		n.Joins, n.Before = !prev.Contains(n.ID), prev.stake(n.ID)
		if at, was := find(prev.nodes, n.ID); was && prev.nodes[at].Weight != n.Weight {
			n.WeightBefore = prev.nodes[at].Weight
		}
	}
	for _, n := range prev.nodes {
		if !next.Contains(n.ID) {
			p.Nodes = append(p.Nodes, NodePlan{
				ID: n.ID, Zone: n.Zone, Weight: n.Weight, Leaves: true, Before: prev.stake(n.ID),
			})
		}
	}
	slices.SortFunc(p.Nodes, func(a, b NodePlan) int { return cmp.Compare(a.ID, b.ID) })
}

// addMoves fills in the partitions that change hands.
func (p *Plan) addMoves(prev, next *Ring) {
	at := make(map[kv.NodeID]*NodePlan, len(p.Nodes))
	for i := range p.Nodes {
		at[p.Nodes[i].ID] = &p.Nodes[i]
		p.Least += max(0, p.Nodes[i].After.Replicas-p.Nodes[i].Before.Replicas)
	}
	for q := range next.params.Q {
		part := kv.Partition(q)
		var before []kv.NodeID
		if prev != nil {
			before = prev.Owners(part)
		}
		for _, id := range next.Owners(part) {
			if !slices.Contains(before, id) {
				at[id].Gained = append(at[id].Gained, part)
				p.Moved++
			}
		}
		for _, id := range before {
			if !next.Owns(part, id) {
				at[id].Lost = append(at[id].Lost, part)
			}
		}
	}
}

// addZones sums up nodes by the zone that each ring has them in.
func (p *Plan) addZones(prev, next *Ring) {
	zones := make(map[string]*ZonePlan)
	zone := func(name string) *ZonePlan {
		if zones[name] == nil {
			zones[name] = &ZonePlan{Zone: name}
		}
		return zones[name]
	}
	for _, n := range next.nodes {
		z := zone(n.Zone)
		z.Nodes++
		z.Weight += uint64(n.Weight)
		z.After.add(next.stake(n.ID))
	}
	numbered := newZoning(next.nodes)
	for z, lost := range next.losses(numbered) {
		zone(numbered.names[z]).Lost = lost
	}
	if prev != nil {
		for _, n := range prev.nodes {
			zone(n.Zone).Before.add(prev.stake(n.ID))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(zones)) {
		p.Zones = append(p.Zones, *zones[name])
	}
}

// add adds what a node holds to what its zone does.
func (s *Stake) add(of Stake) {
	s.Tokens += of.Tokens
	s.Replicas += of.Replicas
	s.Share += of.Share
}

// stake returns what a member holds.
func (r *Ring) stake(id kv.NodeID) Stake {
	load := r.Load(id)
	return Stake{Tokens: r.Tokens(id), Replicas: load, Share: float64(load) / float64(len(r.owners))}
}
