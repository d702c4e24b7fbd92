package httpapi

import (
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// TransitionView is the progress of a change of the ring. Each partition whose
// owners change takes steps, and each step goes through phases (DESIGN section 5).
type TransitionView struct {
	// Epoch is the one that it leads to.
	Epoch   uint64       `json:"epoch"`
	Changes []ChangeView `json:"changes"`
	// Proposer is the node at which it was committed, Forced tells that it began
	// without a majority, and Lost names the nodes that count as gone for good.
	Proposer string   `json:"proposer"`
	Forced   bool     `json:"forced"`
	Lost     []string `json:"lost"`
	// Since is when the answering node has learnt of it in this run.
	Since time.Time `json:"since,omitzero"`
	// Steps is the number of steps of all partitions, Done of those that are over,
	// Phases of those in each phase: 0 waits for the step before, 1 fills its new
	// owner, 2 has the old owners step back, 3 is over.
	Steps  int    `json:"steps"`
	Done   int    `json:"done"`
	Phases [4]int `json:"phases"`
	// IdleSeconds is how long no node that told its figures has seen anything move.
	IdleSeconds float64 `json:"idle_seconds"`
	// WaitsFor are the nodes whose word steps wait for. A node that is busy is
	// among them as well as one that is down; not every one of them is needed.
	WaitsFor []WaitView `json:"waits_for"`
	// Nodes are those that told their figures.
	Nodes []MoveView `json:"nodes"`
}

// WaitView is a node whose word steps wait for.
type WaitView struct {
	Node string    `json:"node"`
	ID   kv.NodeID `json:"id"`
	// Down tells that the answering node cannot reach it.
	Down  bool      `json:"down"`
	Since time.Time `json:"since"`
	// Fills is the number of steps that wait for it to have what it is to own,
	// StepsBack of those that wait for it to answer no more gets as an owner from
	// before.
	Fills     int `json:"fills"`
	StepsBack int `json:"steps_back"`
}

// MoveView is what a change means for one node.
type MoveView struct {
	Node string    `json:"node"`
	ID   kv.NodeID `json:"id"`
	// Partitions are those that it gets, PartitionsLeft those of them that it has
	// not got in full yet, BytesLeft what they hold, roughly.
	Partitions     int    `json:"partitions"`
	PartitionsLeft int    `json:"partitions_left"`
	BytesLeft      uint64 `json:"bytes_left"`
	// BytesReceived and BytesSent count since the change began, or the node was
	// started. Rate is what it receives, in bytes a second, Pace the most that it
	// may, and EtaSeconds how long the rest takes, 0 for not known.
	BytesReceived uint64  `json:"bytes_received"`
	BytesSent     uint64  `json:"bytes_sent"`
	Rate          uint64  `json:"rate"`
	Pace          int64   `json:"pace"`
	EtaSeconds    float64 `json:"eta_seconds"`
	// Former is the number of copies that it is yet to give away and drop.
	Former int `json:"former"`
}

// join takes in what another node tells of the same change.
func (v *TransitionView) join(other *TransitionView) {
	if v == nil || other == nil || v.Epoch != other.Epoch {
		return
	}
	v.Nodes = append(v.Nodes, other.Nodes...)
	v.IdleSeconds = min(v.IdleSeconds, other.IdleSeconds)
}

// filled returns v with lists in place of nulls.
func (v *TransitionView) filled() *TransitionView {
	if v != nil {
		v.Changes, v.Lost, v.WaitsFor, v.Nodes = orEmpty(v.Changes), orEmpty(v.Lost), orEmpty(v.WaitsFor), orEmpty(v.Nodes)
	}
	return v
}
