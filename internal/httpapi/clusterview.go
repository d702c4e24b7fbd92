package httpapi

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
)

// ClusterView is the page /cluster.
type ClusterView struct {
	ClusterID string `json:"cluster_id"`
	// Node is the name of the node that answers, the self of Members.
	Node string   `json:"node"`
	Ring RingView `json:"ring"`
	// LeastProtocol is the least version of the protocol that members must speak:
	// it rises with the first change of the ring under a later one.
	LeastProtocol int          `json:"least_protocol"`
	Members       []MemberView `json:"members"`
	// Transition is the change of the ring that is under way, nil for none.
	Transition *TransitionView `json:"transition"`
	// Hints is what the nodes that told their figures keep for owners that are
	// away.
	Hints []HintView `json:"hints"`
	// Sweep is the reaping of what was deleted, as this node sees it.
	Sweep SweepView `json:"sweep"`
	// SLA is what gets and puts took at this node over the last minute.
	SLA metrics.SLA `json:"sla"`
	// Staleness is what gets at r=1 of what was put at this node may miss.
	Staleness metrics.Staleness `json:"staleness"`
}

// RingView is the ring and what the cluster fixed when it was created. Epoch is
// 0 at a node that is in no ring yet.
type RingView struct {
	Epoch       uint64 `json:"epoch"`
	N           int    `json:"n"`
	R           int    `json:"r"`
	W           int    `json:"w"`
	Partitions  int    `json:"partitions"`
	Partitioner string `json:"partitioner"`
}

// MemberView is one node.
type MemberView struct {
	Name string    `json:"name"`
	ID   kv.NodeID `json:"id"`
	// HTTP, Peer and Gossip are its addresses, host:port.
	HTTP   string `json:"http"`
	Peer   string `json:"peer"`
	Gossip string `json:"gossip"`
	Zone   string `json:"zone"`
	Weight uint32 `json:"weight"`
	// Protocol is the highest version of the protocol that its release speaks, as
	// it last announced.
	Protocol int `json:"protocol"`
	// Status is its part in the cluster: staged, member, …
	Status string `json:"status"`
	// Up tells whether the answering node can reach it, Since since when.
	Up    bool      `json:"up"`
	Since time.Time `json:"since"`
	// Tokens is the number of partitions of which it is the first owner,
	// Replicas of those of which it is any owner, Share its part of all
	// replicas, 0 to 1.
	Tokens   int     `json:"tokens"`
	Replicas int     `json:"replicas"`
	Share    float64 `json:"share"`
	// Stats are its own figures, nil when it did not tell them in time.
	Stats *StatsView `json:"stats"`
}

// StatsView is what a node tells of itself.
type StatsView struct {
	// Version is the release that it runs.
	Version string    `json:"version"`
	Started time.Time `json:"started"`
	// CPUSeconds is the processor time that the node's process has used.
	CPUSeconds float64 `json:"cpu_seconds"`
	// Keys is the number of records stored, roughly; one key counts at each of
	// its owners.
	Keys uint64 `json:"keys"`
	// Bytes is what those records take without the engine's own, Copies the number
	// of partitions of which there are any.
	Bytes  uint64 `json:"bytes"`
	Copies int    `json:"copies"`
	// DiskBytes is disk space in use, FreeBytes what is free.
	DiskBytes uint64 `json:"disk_bytes"`
	FreeBytes uint64 `json:"free_bytes"`
	// Reapable is the number of those records that a sweep could drop or
	// shorten.
	Reapable uint64 `json:"reapable"`
	// Damaged is the number of partitions that lost data here and are being
	// refilled from other owners.
	Damaged int `json:"damaged"`
	// Building is the number of partitions whose hash tree is being rebuilt
	// after a crash.
	Building int         `json:"building"`
	Repair   RepairStats `json:"repair"`
	SLA      metrics.SLA `json:"sla"`
	// Versions is how many gets have found no live value, one, two, three, four, and
	// five or more, since the node started.
	Versions  []uint64          `json:"versions"`
	Staleness metrics.Staleness `json:"staleness"`
}

// RepairStats counts since the node started.
type RepairStats struct {
	// Read, Exchange and Handoff are the copies that this node brought up to
	// date: after a get, in an exchange of hash trees, by handing a hint over.
	Read     uint64 `json:"read"`
	Exchange uint64 `json:"exchange"`
	Handoff  uint64 `json:"handoff"`
	// Bytes is what exchanges sent and received.
	Bytes uint64 `json:"bytes"`
	// Reaped is the number of records that sweeps have dropped or shortened.
	Reaped uint64 `json:"reaped"`
}

// HintView is what one node keeps for one owner.
type HintView struct {
	// Node keeps the hints.
	Node  string    `json:"node"`
	Owner string    `json:"owner"`
	ID    kv.NodeID `json:"id"`
	Keys  uint64    `json:"keys"`
	Bytes uint64    `json:"bytes"`
	// Oldest is when the oldest of them was written.
	Oldest time.Time `json:"oldest"`
}

// SweepView is where the reaping of what was deleted stands.
type SweepView struct {
	// Last is when a sweep last ended well at this node, zero for never.
	Last time.Time `json:"last,omitzero"`
	// Phase names what a sweep that is under way does, empty for none.
	Phase string `json:"phase"`
	// StoppedBy is the node without which none can begin, Since since when;
	// empty while nothing stands in the way.
	StoppedBy string    `json:"stopped_by"`
	Since     time.Time `json:"since,omitzero"`
}

// PartitionView is one partition as this node holds it.
type PartitionView struct {
	Partition kv.Partition `json:"partition"`
	// Role is the node's part: owner, or stand-in for what it only keeps hints
	// of.
	Role string `json:"role"`
	// Root is the root of the partition's hash tree, in hexadecimal, empty
	// where none is kept.
	Root  string `json:"root"`
	Keys  uint64 `json:"keys"`
	Bytes uint64 `json:"bytes"`
}
