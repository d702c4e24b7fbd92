package store

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// node answers as a node's HTTP door does.
func node(t *testing.T, ready int, metrics string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(ready) })
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(metrics)) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestARingtailThatIsNotWhole(t *testing.T) {
	const up, down = "# HELP x\nringtail_transport_peers_down 0\n", "# HELP x\nringtail_transport_peers_down 1\n"
	for want, second := range map[string]string{
		"503 Service Unavailable": node(t, http.StatusServiceUnavailable, up),
		"finds a node down":       node(t, http.StatusOK, down),
		"refused":                 "127.0.0.1:1",
	} {
		s := ringtail{http: []string{node(t, http.StatusOK, up), second}}
		if err := s.Whole(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
