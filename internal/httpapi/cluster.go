package httpapi

import (
	"context"
	"net/http"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Admin shows the cluster and changes its membership. Its methods are safe for
// concurrent use and return errors of type *kv.Error.
type Admin interface {
	// Cluster returns the cluster as this node sees it, with the figures of
	// this node alone. The view is the caller's.
	Cluster(ctx context.Context) (ClusterView, error)
	// Join stages a node, by name, for the next commit.
	Join(ctx context.Context, node string) error
	// Plan returns what a commit would do.
	Plan(ctx context.Context) (PlanView, error)
	// Commit starts what is staged and returns the epoch that it begins.
	Commit(ctx context.Context) (epoch uint64, err error)
	// Partitions returns what this node holds, ascending by partition.
	Partitions(ctx context.Context) ([]PartitionView, error)
}

func (s *Server) getCluster(w http.ResponseWriter, r *http.Request, _ target) error {
	q, err := parseQuery(r.URL.RawQuery, "local")
	if err != nil {
		return err
	}
	local := false
	if v, ok := q["local"]; ok {
		if local, err = parseBool("local", v); err != nil {
			return err
		}
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
	writeJSON(w, http.StatusOK, view)
	return nil
}

// onlySelf returns the member that answers.
func onlySelf(v ClusterView) []MemberView {
	for i, m := range v.Members {
		if m.Name == v.Node {
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

func (s *Server) getPlan(w http.ResponseWriter, r *http.Request, _ target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	p, err := s.parts.Admin.Plan(r.Context())
	if err != nil {
		return err
	}
	p.Changes, p.Loads = orEmpty(p.Changes), orEmpty(p.Loads)
	writeJSON(w, http.StatusOK, p)
	return nil
}

func (s *Server) postCommit(w http.ResponseWriter, r *http.Request, _ target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	epoch, err := s.parts.Admin.Commit(r.Context())
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		Epoch uint64 `json:"epoch"`
	}{epoch})
	return nil
}

func (s *Server) postJoin(w http.ResponseWriter, r *http.Request, _ target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var body struct {
		Node string `json:"node"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if body.Node == "" {
		return kv.Errorf(kv.KindInvalid, "join", `the body names no node: {"node":"n4"}`)
	}
	if err := s.parts.Admin.Join(r.Context(), body.Node); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		Staged string `json:"staged"`
	}{body.Node})
	return nil
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
