package membership

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// Plan is what a commit would do now, for people.
type Plan struct {
	// Epoch is that of the ring that the commit would make.
	Epoch uint64 `json:"epoch"`
	// Next is that ring.
	Next *ring.Ring `json:"-"`
	// Moved is the number of copies of partitions to be made, Least the fewest
	// possible.
	Moved int `json:"moved"`
	Least int `json:"least"`
	// Nodes are those of the present and of the next ring, ascending by name.
	Nodes []PlannedNode `json:"nodes"`
	// Warnings say what an operator may not expect.
	Warnings []string `json:"warnings"`
}

// PlannedNode is what a change means for one node. Counts are of partitions.
type PlannedNode struct {
	ID     kv.NodeID `json:"id"`
	Name   string    `json:"name"`
	Zone   string    `json:"zone"`
	Weight uint32    `json:"weight"`
	// Status is the node's status before the change.
	Status Status `json:"status"`
	// Gained and Lost are those that the node begins and ceases to own.
	Gained int `json:"gained"`
	Lost   int `json:"lost"`
	// Tokens are those of which it is the first owner, Load those of which it
	// is any owner.
	TokensBefore int `json:"tokens_before"`
	TokensAfter  int `json:"tokens_after"`
	LoadBefore   int `json:"load_before"`
	LoadAfter    int `json:"load_after"`
}

// Plan returns what Commit would do. It is an error of KindRefused when nothing
// is staged, or when the node has no ring yet.
func (s *Service) Plan() (*Plan, error) { return planChange(s.State()) }

// planChange plans for all that is staged in st. Every node plans the same.
func planChange(st *State) (*Plan, error) {
	const op = "plan change"
	if st.ring == nil {
		return nil, kv.Errorf(kv.KindRefused, op, "this node belongs to no cluster yet")
	}
	nodes := slices.Clone(st.ring.Nodes())
	for _, m := range st.members {
		if m.Status == StatusStaged && !st.ring.Contains(m.ID) {
			nodes = append(nodes, ring.Node{ID: m.ID, Weight: m.Weight, Zone: m.Zone})
		}
	}
	if len(nodes) == len(st.ring.Nodes()) {
		return nil, kv.Errorf(kv.KindRefused, op, "nothing is staged")
	}
	for _, n := range nodes {
		m, _ := st.Member(n.ID)
		if other, twice := nameOwner(st, n.ID, m.Name); twice {
			return nil, kv.Errorf(kv.KindRefused, op, "nodes %v and %v are both named %q", n.ID, other.ID, m.Name)
		}
	}
	next, err := ring.Claim(st.ring, st.ring.Params(), st.Epoch()+1, nodes)
	if err != nil {
		return nil, err
	}
	moves := ring.Diff(st.ring, next)
	p := &Plan{
		Epoch: next.Epoch(), Next: next, Moved: moves.Moved, Least: moves.Least,
		Nodes: plannedNodes(st, moves), Warnings: []string{},
	}
	for _, w := range moves.Warnings {
		p.Warnings = append(p.Warnings, describeWarning(st, next, w))
	}
	return p, nil
}

func plannedNodes(st *State, moves ring.Plan) []PlannedNode {
	out := make([]PlannedNode, 0, len(moves.Nodes))
	for _, n := range moves.Nodes {
		m, _ := st.Member(n.ID)
		out = append(out, PlannedNode{
			ID: n.ID, Name: m.Name, Zone: n.Zone, Weight: n.Weight, Status: st.Status(n.ID),
			Gained: len(n.Gained), Lost: len(n.Lost),
			TokensBefore: n.Before.Tokens, TokensAfter: n.After.Tokens,
			LoadBefore: n.Before.Replicas, LoadAfter: n.After.Replicas,
		})
	}
	slices.SortStableFunc(out, func(a, b PlannedNode) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// describeWarning says what the ring next warns of, in words.
func describeWarning(st *State, next *ring.Ring, w ring.Warning) string {
	n, nodes := next.Params().N, len(next.Nodes())
	switch w.Kind {
	case ring.FewNodes:
		return fmt.Sprintf("%d nodes: each key has %d replicas, not %d", nodes, nodes, n)
	case ring.FewZones:
		return fmt.Sprintf("fewer zones than %d: some replicas of a key share one", n)
	case ring.NodeCapped:
		m, _ := st.Member(w.Node)
		return fmt.Sprintf("node %s takes %.0f partitions, less than the %.0f of its weight", m.Name, w.Fair, w.Wanted)
	case ring.ZoneThin:
		return fmt.Sprintf("zone %q takes %.0f partitions, more than the %.0f of its weight", w.Zone, w.Fair, w.Wanted)
	}
	return string(w.Kind)
}

// voters returns who must vouch for the plan, besides self: the nodes of the
// next ring, which holds those of the present one.
func (p *Plan) voters(self kv.NodeID) []kv.NodeID {
	var out []kv.NodeID
	for _, n := range p.Next.Nodes() {
		if n.ID != self {
			out = append(out, n.ID)
		}
	}
	return out
}

// carriedOut returns st with the plan's ring, and its nodes as members by
// author's decision.
func (p *Plan) carriedOut(st *State, author kv.NodeID) *State {
	for _, n := range p.Next.Nodes() {
		if m, ok := st.Member(n.ID); ok && m.Status == StatusStaged {
			st = decide(st, n.ID, author, StatusMember)
		}
	}
	return st.withRing(p.Next)
}
