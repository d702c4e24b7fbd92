package httpapi

import (
	"io"
	"net/http"
	"slices"
	"strings"
)

// riakLinks are the paths that Riak's clients look up on the page / when they
// connect, by the names that they look for.
var riakLinks = map[string]string{
	"riak_kv_wm_buckets":     "/buckets",
	"riak_kv_wm_bucket_type": "/types",
	"riak_kv_wm_keylist":     "/buckets",
	"riak_kv_wm_object":      "/buckets",
	"riak_kv_wm_ping":        "/ping",
	"riak_kv_wm_preflist":    "/buckets",
	"riak_kv_wm_props":       "/buckets",
	"riak_kv_wm_raw":         "/riak",
	"riak_kv_wm_stats":       "/stats",
}

// linkHeader is riakLinks as a header.
var linkHeader = func() string {
	var links []string
	for name, path := range riakLinks {
		links = append(links, "<"+path+`>; rel="`+name+`"`)
	}
	slices.Sort(links)
	return strings.Join(links, ", ")
}()

// getPing answers what Riak does.
func getPing(w http.ResponseWriter, _ *http.Request, _ target) error {
	w.Header().Set("Content-Type", typeText)
	_, _ = io.WriteString(w, "OK")
	return nil
}

// getStats answers what Riak's clients ask it for: whose protocol this is. Figures
// are at /metrics and /cluster.
func (s *Server) getStats(w http.ResponseWriter, _ *http.Request, _ target) error {
	writeJSON(w, http.StatusOK, struct {
		Node    string `json:"nodename"`
		Riak    string `json:"riak_kv_version"`
		Version string `json:"ringtail_version"`
	}{s.parts.Name, riakVersion, s.parts.Version})
	return nil
}
