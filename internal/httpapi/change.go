package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Changes are the changes of who belongs to the ring, which operators stage, look
// at, and commit. Its methods are safe for concurrent use and return errors of
// type *kv.Error.
type Changes interface {
	// Stage stages a change for the next commit.
	Stage(ctx context.Context, c Change) error
	// Clear takes back all that is staged, and returns it.
	Clear(ctx context.Context) ([]ChangeView, error)
	// Plan returns what a commit would do. With lost nodes it returns what to
	// accept their loss would mean for the change that is under way.
	Plan(ctx context.Context, lost []string) (PlanView, error)
	// Commit begins what is staged, and returns that. With lost nodes while a
	// change is under way it amends that one.
	Commit(ctx context.Context, o CommitOptions) (PlanView, error)
}

// Change is one thing to be staged, in names.
type Change struct {
	// Action is join, leave, remove, replace or weight.
	Action, Node string
	// By replaces Node; empty for the node of the same name on a new disk.
	By     string
	Weight uint32
}

// CommitOptions are the body of /cluster/commit.
type CommitOptions struct {
	// Force does without a majority of the members.
	Force bool `json:"force"`
	// AcceptLoss names nodes that are gone for good with all that they had.
	AcceptLoss []string `json:"accept_loss"`
}

// postStage returns the handler that stages an action for the node that the body
// names.
func (s *Server) postStage(action string) handler {
	return func(w http.ResponseWriter, r *http.Request, _ target) error {
		if _, err := parseQuery(r.URL.RawQuery); err != nil {
			return err
		}
		var body struct {
			Node   string  `json:"node"`
			By     string  `json:"by"`
			Weight *uint32 `json:"weight"`
		}
		if err := readJSON(w, r, &body); err != nil {
			return err
		}
		c := Change{Action: action, Node: body.Node, By: body.By}
		if body.Weight != nil {
			c.Weight = *body.Weight
		}
		switch {
		case c.Node == "":
			return kv.Errorf(kv.KindInvalid, action, `the body names no node: {"node":"n4"}`)
		case c.By != "" && action != "replace":
			return kv.Errorf(kv.KindInvalid, action, `only replace takes "by"`)
		case (body.Weight != nil) != (action == "weight"):
			return kv.Errorf(kv.KindInvalid, action, `"weight" is for weight, which needs it: {"node":"n4","weight":2}`)
		}
		if err := s.parts.Changes.Stage(r.Context(), c); err != nil {
			return conflict(err)
		}
		writeJSON(w, http.StatusOK, struct {
			Staged string `json:"staged"`
		}{c.Node})
		return nil
	}
}

func (s *Server) postClear(w http.ResponseWriter, r *http.Request, _ target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	cleared, err := s.parts.Changes.Clear(r.Context())
	if err != nil {
		return conflict(err)
	}
	writeJSON(w, http.StatusOK, struct {
		Cleared []ChangeView `json:"cleared"`
	}{orEmpty(cleared)})
	return nil
}

func (s *Server) postCommit(w http.ResponseWriter, r *http.Request, _ target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	var o CommitOptions
	if r.ContentLength != 0 {
		if err := readJSON(w, r, &o); err != nil {
			return err
		}
	}
	p, err := s.parts.Changes.Commit(r.Context(), o)
	if err != nil {
		return conflict(err)
	}
	writeJSON(w, http.StatusOK, p.filled())
	return nil
}

// getPlan shows what a commit would do, with what the nodes tell of their sizes.
func (s *Server) getPlan(w http.ResponseWriter, r *http.Request, _ target) error {
	q, err := parseQuery(r.URL.RawQuery, "accept_loss")
	if err != nil {
		return err
	}
	var lost []string
	if v := q["accept_loss"]; v != "" {
		lost = strings.Split(v, ",")
	}
	p, err := s.parts.Changes.Plan(r.Context(), lost)
	if err != nil {
		return conflict(err)
	}
	if len(p.Loads) > 0 {
		view, err := s.parts.Admin.Cluster(r.Context())
		if err != nil {
			return err
		}
		s.peers.gather(r.Context(), &view)
		p.weigh(view.Members)
	}
	writeJSON(w, http.StatusOK, p.filled())
	return nil
}

// conflict gives what the cluster's present state does not allow its own status:
// another node would say the same, so there is no use in asking one.
func conflict(err error) error {
	var e *kv.Error
	if errors.As(err, &e) && e.Kind == kv.KindRefused {
		return statusError{http.StatusConflict, err}
	}
	return err
}
