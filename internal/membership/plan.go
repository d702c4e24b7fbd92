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
	Epoch uint64
	// Changes are what it carries out.
	Changes []PlannedChange
	// Next is that ring, and Moves says all about the way to it.
	Next  *ring.Ring
	Moves ring.Plan
	// Moved is the number of copies of partitions to be made, Least the fewest
	// possible.
	Moved int
	Least int
	// Nodes are those of the present and of the next ring, ascending by name.
	Nodes []PlannedNode
	// Warnings say what an operator may not expect.
	Warnings []string
	// Lapsed are the partitions that have lost so many owners for good that what
	// was acknowledged may be gone with them.
	Lapsed []kv.Partition
}

// PlannedChange is one staged change, in names.
type PlannedChange struct {
	Action Action
	Node   string
	ID     kv.NodeID
	// By is the node that replaces it, Weight its weight to be.
	By     string
	ByID   kv.NodeID
	Weight uint32
}

// PlannedNode is what a change means for one node. Counts are of partitions.
type PlannedNode struct {
	ID     kv.NodeID
	Name   string
	Zone   string
	Weight uint32
	// Status is the node's status before the change.
	Status Status
	// Gained and Lost are those that the node begins and ceases to own.
	Gained int
	Lost   int
	// Tokens are those of which it is the first owner, Load those of which it
	// is any owner.
	TokensBefore int
	TokensAfter  int
	LoadBefore   int
	LoadAfter    int
}

// Plan returns what a commit would do. While a transition is under way it is
// what the commit after that would do. It is an error of KindRefused when
// nothing is staged, and before there is a ring.
func (s *State) Plan() (*Plan, error) {
	orders := s.Orders()
	if s.ring == nil {
		return nil, kv.Errorf(kv.KindRefused, "plan change", "this node belongs to no cluster yet")
	}
	if len(orders) == 0 {
		return nil, kv.Errorf(kv.KindRefused, "plan change", "nothing is staged")
	}
	if err := s.checkOrders(orders); err != nil {
		return nil, err
	}
	next, err := s.claim(orders)
	if err != nil {
		return nil, err
	}
	return s.planFor(orders, s.Latest(), next), nil
}

// checkOrders refuses what operators at several nodes may have staged at once.
func (s *State) checkOrders(orders []Order) error {
	const op = "plan change"
	by := make(map[kv.NodeID]bool)
	names := make(map[string]kv.NodeID)
	for _, o := range orders {
		m, _ := s.Member(o.Node)
		if o.Action == Replace && by[o.By] {
			return kv.Errorf(kv.KindRefused, op, "node %s is to replace two nodes: clear, and stage again", s.nameOf(o.By))
		}
		by[o.By] = true
		if o.Action != Join {
			continue
		}
		if other, twice := names[m.Name]; twice {
			return kv.Errorf(kv.KindRefused, op, "nodes %v and %v are both named %q: remove the dead one, by its id", other, m.ID, m.Name)
		}
		names[m.Name] = m.ID
	}
	for _, o := range orders {
		if o.Action == Remove && by[o.Node] {
			return kv.Errorf(kv.KindRefused, op, "node %s is to replace another, and to be removed: clear, and stage again", s.nameOf(o.Node))
		}
	}
	return nil
}

// planned returns the nodes of the ring once orders are carried out.
func (s *State) planned(orders []Order) []ring.Node {
	nodes := slices.Clone(s.Latest().Nodes())
	at := func(id kv.NodeID) int { return slices.IndexFunc(nodes, func(n ring.Node) bool { return n.ID == id }) }
	join := func(id kv.NodeID) {
		m, _ := s.Member(id)
		nodes = append(nodes, ring.Node{ID: id, Weight: m.Weight, Zone: m.Zone})
	}
	for _, o := range orders {
		i := at(o.Node)
		switch {
		case o.Action == Join:
			join(o.Node)
		case i < 0: // a removed joiner
		case o.Action == Weight:
			nodes[i].Weight = o.Weight
		default:
			nodes = slices.Delete(nodes, i, i+1)
			if o.Action == Replace {
				join(o.By)
			}
		}
	}
	return nodes
}

// claim returns the ring that orders make. Every node claims the same.
func (s *State) claim(orders []Order) (*ring.Ring, error) {
	prev := s.Latest()
	replaced := make(map[kv.NodeID]kv.NodeID)
	for _, o := range orders {
		if o.Action == Replace {
			replaced[o.Node] = o.By
		}
	}
	if len(replaced) > 0 {
		return ring.Replace(prev, prev.Epoch()+1, s.planned(orders), replaced)
	}
	return ring.Claim(prev, prev.Params(), prev.Epoch()+1, s.planned(orders))
}

// planFor describes the way from one ring to another.
func (s *State) planFor(orders []Order, prev, next *ring.Ring) *Plan {
	moves := ring.Diff(prev, next)
	p := &Plan{
		Epoch: next.Epoch(), Changes: s.plannedChanges(orders), Next: next, Moves: moves,
		Moved: moves.Moved, Least: moves.Least, Nodes: plannedNodes(s, moves), Warnings: []string{},
	}
	for _, w := range moves.Warnings {
		p.Warnings = append(p.Warnings, describeWarning(s, next, w))
	}
	for _, m := range s.members {
		if s.Status(m.ID) == StatusWaiting && !slices.ContainsFunc(orders, func(o Order) bool { return o.By == m.ID }) {
			p.Warnings = append(p.Warnings, fmt.Sprintf("node %v waits to replace another named %s: replace %s %s", m.ID, m.Name, m.Name, m.Name))
		}
	}
	return p
}

func (s *State) plannedChanges(orders []Order) []PlannedChange {
	out := make([]PlannedChange, 0, len(orders))
	for _, o := range orders {
		c := PlannedChange{Action: o.Action, Node: s.nameOf(o.Node), ID: o.Node, ByID: o.By, Weight: o.Weight}
		if o.By != 0 {
			c.By = s.nameOf(o.By)
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b PlannedChange) int { return cmp.Compare(a.Node, b.Node) })
	return out
}

// nameOf returns a node's name, or its id for a stranger.
func (s *State) nameOf(id kv.NodeID) string {
	if m, ok := s.Member(id); ok && m.Name != "" {
		return m.Name
	}
	return id.String()
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
		return describeFewZones(next, w)
	case ring.NoZone:
		m, _ := st.Member(w.Node)
		return fmt.Sprintf("node %s has no zone: nodes without one count as one zone of their own", m.Name)
	case ring.NodeCapped:
		m, _ := st.Member(w.Node)
		return fmt.Sprintf("node %s takes %.0f partitions, less than the %.0f of its weight: it, or its zone, has a replica of everything already", m.Name, w.Fair, w.Wanted)
	case ring.ZoneThin:
		return fmt.Sprintf("zone %q has too little capacity: it takes %.0f partitions, its weight asks for %.0f, but each key needs an owner there; add nodes or weight to it", w.Zone, w.Fair, w.Wanted)
	}
	return string(w.Kind)
}

// describeFewZones says what the owners that share a zone can cost.
func describeFewZones(next *ring.Ring, w ring.Warning) string {
	p := next.Params()
	text := fmt.Sprintf("fewer zones than n=%d: some owners of a key share one; if zone %q is lost %d of %d partitions keep %d of %d owners",
		p.N, w.Zone, w.Lost.In, p.Q, w.Lost.Left, next.Replicas())
	if w.Lost.Left < max(p.R, p.W) {
		text += fmt.Sprintf(", too few for strict requests at r=%d, w=%d", p.R, p.W)
	}
	return text
}
