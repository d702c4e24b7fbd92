package httpapi

import "net/http"

// getRoot introduces the node, to Riak's clients as well.
func (s *Server) getRoot(w http.ResponseWriter, _ *http.Request, _ target) error {
	w.Header().Set("Link", linkHeader)
	page := map[string]any{"name": s.parts.Name, "version": s.parts.Version}
	for name, path := range riakLinks {
		page[name] = path
	}
	page["links"] = map[string]string{
		"keys":       "/buckets/{bucket}/keys",
		"key":        "/buckets/{bucket}/keys/{key}",
		"preflist":   "/buckets/{bucket}/keys/{key}/preflist",
		"props":      "/buckets/{bucket}/props",
		"cluster":    "/cluster",
		"plan":       "/cluster/plan",
		"pace":       "/cluster/pace",
		"sla":        "/cluster/sla",
		"partitions": "/partitions",
		"repair":     "/repair",
		"scrub":      "/scrub",
		"metrics":    "/metrics",
		"health":     "/healthz",
		"readiness":  "/readyz",
		"types":      "/types",
		"ping":       "/ping",
		"stats":      "/stats",
	}
	writeJSON(w, http.StatusOK, page)
	return nil
}

// getHealth answers 200 when check returns nil, and otherwise 503 with the
// reason, whatever its kind.
func (s *Server) getHealth(check func() error) handler {
	return func(w http.ResponseWriter, _ *http.Request, _ target) error {
		if err := check(); err != nil {
			return statusError{http.StatusServiceUnavailable, err}
		}
		writeJSON(w, http.StatusOK, struct {
			Status string `json:"status"`
		}{"ok"})
		return nil
	}
}

// getPreflist shows which nodes are in charge of a key.
func (s *Server) getPreflist(w http.ResponseWriter, r *http.Request, t target) error {
	if _, err := parseQuery(r.URL.RawQuery); err != nil {
		return err
	}
	p := s.parts.Store.Preflist(t.storeKey())
	p.Owners, p.StandIns = orEmpty(p.Owners), orEmpty(p.StandIns)
	writeJSON(w, http.StatusOK, p)
	return nil
}
