package httpapi

import (
	"net/http"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Upkeep checks and repairs what the node stores, by hand. Its methods are
// safe for concurrent use, do not wait, and return errors of type *kv.Error.
type Upkeep interface {
	// Repair starts an exchange of every partition of this node with all its
	// other owners. A run that is under way goes on.
	Repair() error
	// Repairing returns the progress of the run, or of the last one.
	Repairing() RepairView
	// Scrub starts to read all that the node stores, and to check it. A run
	// that is under way goes on.
	Scrub() error
	// Scrubbing returns the progress of the run, or of the last one.
	Scrubbing() RunView
}

// RunView is the progress of something that runs over the node's partitions.
type RunView struct {
	Running bool `json:"running"`
	// Started and Ended are zero for what never was.
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	// Done of Total steps are behind it: a partition in a scrub, a partition
	// with one other owner in a repair.
	Done  int `json:"done"`
	Total int `json:"total"`
	// Bytes is what was read in a scrub, and what was sent and received in a
	// repair.
	Bytes uint64 `json:"bytes"`
	// Found is the number of damaged places in a scrub, of copies that were
	// brought up to date in a repair.
	Found uint64 `json:"found"`
}

// IsRunning tells whether the run goes on.
func (v RunView) IsRunning() bool { return v.Running }

// RepairView is the page /repair.
type RepairView struct {
	RunView
	// Damaged are the partitions that are being refilled.
	Damaged []kv.Partition `json:"damaged"`
	// Peers are the nodes that share partitions with this one.
	Peers []SyncView `json:"peers"`
}

// SyncView is how this node stands with one other.
type SyncView struct {
	Node string    `json:"node"`
	ID   kv.NodeID `json:"id"`
	// Last is when the two last found that they agree, or agreed on everything
	// that differed; zero for never.
	Last time.Time `json:"last,omitzero"`
}

// startRun answers a POST that starts a run: 202, with the progress.
func startRun[V any](start func() error, progress func() V) handler {
	return func(w http.ResponseWriter, r *http.Request, _ target) error {
		if _, err := parseQuery(r.URL.RawQuery); err != nil {
			return err
		}
		if err := start(); err != nil {
			return err
		}
		writeJSON(w, http.StatusAccepted, progress())
		return nil
	}
}

// showRun answers a GET with the progress.
func showRun[V any](progress func() V) handler {
	return func(w http.ResponseWriter, r *http.Request, _ target) error {
		if _, err := parseQuery(r.URL.RawQuery); err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, progress())
		return nil
	}
}

// repairing is Upkeep.Repairing without a null in it.
func (s *Server) repairing() RepairView {
	v := s.parts.Upkeep.Repairing()
	v.Damaged, v.Peers = orEmpty(v.Damaged), orEmpty(v.Peers)
	return v
}
