package httpapi

import (
	"context"
	"net/http"
)

// Admin shows the cluster and this node. Its methods are safe for concurrent use
// and return errors of type *kv.Error.
type Admin interface {
	// Cluster returns the cluster as this node sees it, with the figures of
	// this node alone. The view is the caller's.
	Cluster(ctx context.Context) (ClusterView, error)
	// Partitions returns what this node holds, ascending by partition.
	Partitions(ctx context.Context) ([]PartitionView, error)
	// Pace returns the most that this node fetches of moving partitions, in bytes
	// a second; SetPace changes it, until the node is started anew.
	Pace() int64
	SetPace(rate int64) error
}

func (s *Server) getCluster(w http.ResponseWriter, r *http.Request, _ target) error {
	local, err := parseLocal(r.URL.RawQuery)
	if err != nil {
		return err
	}
	view, err := s.parts.Admin.Cluster(r.Context())
	if err != nil {
		return err
	}
	if local {
		view.Members = onlySelf(view)
	} else {
		s.peers.gather(r.Context(), &view)
	}
	view.Members = orEmpty(view.Members)
	view.Hints = orEmpty(view.Hints)
	view.Transition = view.Transition.filled()
	writeJSON(w, http.StatusOK, view)
	return nil
}

// isSelf tells whether m is the member that answers: the one whose figures it
// knows. Another one may have its name, the node that it is to replace.
func isSelf(v ClusterView, m MemberView) bool { return m.Name == v.Node && m.Stats != nil }

// onlySelf returns the member that answers.
func onlySelf(v ClusterView) []MemberView {
	for i, m := range v.Members {
		if isSelf(v, m) {
			return v.Members[i : i+1]
		}
	}
	return nil
}

// orEmpty lets a list without elements stand as [] rather than null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (s *Server) getPartitions(w http.ResponseWriter, r *http.Request, _ target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	list, err := s.parts.Admin.Partitions(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		Node       string          `json:"node"`
		Partitions []PartitionView `json:"partitions"`
	}{s.parts.Name, orEmpty(list)})
	return nil
}
