package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// PaceView is the page /cluster/pace.
type PaceView struct {
	Nodes []NodePace `json:"nodes"`
}

// NodePace is the most that a node fetches of moving partitions, in bytes a
// second.
type NodePace struct {
	Node string    `json:"node"`
	ID   kv.NodeID `json:"id"`
	Rate int64     `json:"rate"`
	// Error says why the node's pace is not known, or not changed; empty
	// otherwise.
	Error string `json:"error,omitempty"`
}

// getPace shows the pace of all nodes, or with local=true of this one.
func (s *Server) getPace(w http.ResponseWriter, r *http.Request, _ target) error {
	local, err := parseLocal(r.URL.RawQuery)
	if err != nil {
		return err
	}
	view, err := s.parts.Admin.Cluster(r.Context())
	if err != nil {
		return err
	}
	s.writePace(w, r, view, local, "", nil)
	return nil
}

// putPace changes the pace of the node that the body names, or of all; with
// local=true of this one.
func (s *Server) putPace(w http.ResponseWriter, r *http.Request, _ target) error {
	const op = "set pace"
	local, err := parseLocal(r.URL.RawQuery)
	if err != nil {
		return err
	}
	var body struct {
		Rate *int64 `json:"rate"`
		Node string `json:"node"`
	}
	if err := readJSON(w, r, &body); err != nil {
		return err
	}
	if body.Rate == nil || *body.Rate < 1 {
		return kv.Errorf(kv.KindInvalid, op, `the body needs a rate in bytes a second, 1 or more: {"rate":16777216}`)
	}
	view, err := s.parts.Admin.Cluster(r.Context())
	if err != nil {
		return err
	}
	known := slices.ContainsFunc(view.Members, func(m MemberView) bool { return m.Name == body.Node })
	if body.Node != "" && !known {
		return kv.Errorf(kv.KindNotFound, op, "no node named %q has announced itself", body.Node)
	}
	if body.Node == "" || body.Node == view.Node {
		if err := s.parts.Admin.SetPace(*body.Rate); err != nil {
			return err
		}
	}
	s.writePace(w, r, view, local, body.Node, body.Rate)
	return nil
}

// writePace answers with the pace of the nodes that are meant, after it has set
// that of the others to rate, unless that is nil.
func (s *Server) writePace(w http.ResponseWriter, r *http.Request, view ClusterView, local bool, only string, rate *int64) {
	var nodes []MemberView
	for _, m := range view.Members {
		switch {
		case only != "" && only != m.Name:
		case isSelf(view, m):
			nodes = append(nodes, m)
		case !local && m.Status != "removed" && (m.Up || only != ""):
			nodes = append(nodes, m)
		}
	}
	list := make([]NodePace, len(nodes))
	s.peers.each(r.Context(), len(nodes), func(ctx context.Context, i int) {
		m := nodes[i]
		list[i] = NodePace{Node: m.Name, ID: m.ID}
		if isSelf(view, m) {
			list[i].Rate = s.parts.Admin.Pace()
			return
		}
		var err error
		if list[i].Rate, err = s.peers.pace(ctx, m, rate); err != nil {
			list[i].Error = err.Error()
		}
	})
	writeJSON(w, http.StatusOK, PaceView{Nodes: list})
}

// pace asks m for its pace, after it has set that to rate, unless that is nil.
func (p peers) pace(ctx context.Context, m MemberView, rate *int64) (int64, error) {
	method, body := http.MethodGet, []byte(nil)
	if rate != nil {
		method, body = http.MethodPut, fmt.Appendf(nil, `{"rate":%d}`, *rate)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+m.HTTP+"/cluster/pace?local=true", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	var v PaceView
	if err := p.read(r, &v); err != nil {
		return 0, err
	}
	if len(v.Nodes) != 1 || v.Nodes[0].ID != m.ID {
		return 0, kv.Errorf(kv.KindUnavailable, "ask node", "another node answers at %s", m.HTTP)
	}
	return v.Nodes[0].Rate, nil
}

// parseLocal reads the parameter local of a page that asks the other nodes.
func parseLocal(rawQuery string) (bool, error) {
	q, err := parseQuery(rawQuery, "local")
	if err != nil {
		return false, err
	}
	if v, ok := q["local"]; ok {
		return parseBool("local", v)
	}
	return false, nil
}
