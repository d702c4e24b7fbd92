package httpapi

import (
	"fmt"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// PlanView is the page /cluster/plan, and the answer of /cluster/commit.
type PlanView struct {
	// Epoch is the one that a commit would begin, or has begun.
	Epoch uint64 `json:"epoch"`
	// Changes are the staged ones; with none of them a commit does nothing.
	Changes []ChangeView `json:"changes"`
	// Loads shows each node before and after, Zones each zone.
	Loads []LoadView `json:"loads"`
	Zones []ZoneView `json:"zones"`
	// SpanBefore and SpanAfter are the zones that the owners of each key cover at
	// least, Partitions and Replicas those of the next ring.
	SpanBefore int `json:"span_before"`
	SpanAfter  int `json:"span_after"`
	Partitions int `json:"partitions"`
	Replicas   int `json:"replicas"`
	// Moves is the number of replicas that change their node, Least the fewest
	// possible, Bytes and Keys what they hold, by the mean of all replicas; 0
	// where no node told its figures.
	Moves int    `json:"moves"`
	Least int    `json:"least"`
	Bytes uint64 `json:"bytes"`
	Keys  uint64 `json:"keys"`
	// Warnings say what an operator may not expect of the next ring.
	Warnings []string `json:"warnings"`
	// Obstacle says why a commit would be refused, empty when it would not.
	Obstacle string `json:"obstacle"`
	// Lapsed are the partitions that have lost so many owners for good that what
	// was acknowledged may be gone with them.
	Lapsed []kv.Partition `json:"lapsed,omitempty"`
}

// ChangeView is one staged change.
type ChangeView struct {
	// Action is join, leave, remove, replace or weight.
	Action string    `json:"action"`
	Node   string    `json:"node"`
	ID     kv.NodeID `json:"id"`
	// By is the node that replaces it, Weight its weight to be.
	By     string    `json:"by,omitempty"`
	ByID   kv.NodeID `json:"by_id,omitempty"`
	Weight uint32    `json:"weight,omitempty"`
}

// String says it in the words of the command that stages it.
func (c ChangeView) String() string {
	switch {
	case c.By == c.Node && c.By != "":
		return c.Action + " " + c.Node
	case c.By != "":
		return c.Action + " " + c.Node + " " + c.By
	case c.Weight != 0:
		return fmt.Sprintf("%s %s %d", c.Action, c.Node, c.Weight)
	}
	return c.Action + " " + c.Node
}

// LoadView is a node's part of the replicas, before and after. Counts are of
// partitions.
type LoadView struct {
	Node   string    `json:"node"`
	ID     kv.NodeID `json:"id"`
	Zone   string    `json:"zone"`
	Weight uint32    `json:"weight"`
	// Gained and Lost are those that the node begins and ceases to own.
	Gained int `json:"gained"`
	Lost   int `json:"lost"`
	// TokensBefore and TokensAfter are those of which it is the first owner,
	// Before and After those of which it is any.
	TokensBefore int `json:"tokens_before"`
	TokensAfter  int `json:"tokens_after"`
	Before       int `json:"before"`
	After        int `json:"after"`
	// BytesIn and KeysIn are what the node would receive, Free is what its disk
	// has room for, 0 for not known.
	BytesIn uint64 `json:"bytes_in"`
	KeysIn  uint64 `json:"keys_in"`
	Free    uint64 `json:"free_bytes"`
}

// ZoneView is a zone's part of all replicas, 0 to 1, before and after. Nodes and
// Weight are those of the next ring.
type ZoneView struct {
	Zone   string  `json:"zone"`
	Nodes  int     `json:"nodes"`
	Weight uint64  `json:"weight"`
	Before float64 `json:"before"`
	After  float64 `json:"after"`
	// Left is how many owners the partitions keep that keep fewest when the zone
	// is lost, LeftIn the number of those partitions.
	Left   int `json:"left"`
	LeftIn int `json:"left_in"`
}

// filled returns p with lists in place of nulls.
func (p PlanView) filled() PlanView {
	p.Changes, p.Loads, p.Zones, p.Warnings = orEmpty(p.Changes), orEmpty(p.Loads), orEmpty(p.Zones), orEmpty(p.Warnings)
	return p
}

// weigh fills in bytes and keys by what the members tell, and warns of a node
// that has no room for what it would receive. Keys are spread by their hash, so
// that partitions hardly differ.
func (p *PlanView) weigh(members []MemberView) {
	var bytes, keys, replicas float64
	free := map[kv.NodeID]uint64{}
	for _, m := range members {
		if m.Stats == nil {
			continue
		}
		free[m.ID] = m.Stats.FreeBytes
		if m.Replicas > 0 {
			bytes, keys, replicas = bytes+float64(m.Stats.Bytes), keys+float64(m.Stats.Keys), replicas+float64(m.Replicas)
		}
	}
	if replicas == 0 {
		return
	}
	for i := range p.Loads {
		l := &p.Loads[i]
		l.BytesIn, l.KeysIn = uint64(float64(l.Gained)*bytes/replicas), uint64(float64(l.Gained)*keys/replicas)
		l.Free = free[l.ID]
		if l.Free > 0 && l.BytesIn > l.Free {
			p.Warnings = append(p.Warnings, fmt.Sprintf("node %s would receive %d MB, and its disk has room for %d MB", l.Node, l.BytesIn/1e6, l.Free/1e6))
		}
		p.Bytes, p.Keys = p.Bytes+l.BytesIn, p.Keys+l.KeysIn
	}
}
