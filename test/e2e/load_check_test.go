package e2e_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// TestLoad shows that a load finds what it is for: gets that miss an acknowledged
// value or show another are wrong, those that are refused have failed.
func TestLoad(t *testing.T) {
	for _, tc := range []struct {
		name          string
		status        int
		other         string // shown in place of the value
		failed, wrong bool
	}{
		{"right", 200, "", false, false},
		{"another value", 200, "other", true, true},
		{"no value", 404, "", true, true},
		{"siblings", 300, "", true, true},
		{"refused", 503, "", true, false},
		{"late", 504, "", true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			last := ""
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "PUT" {
					b, _ := io.ReadAll(r.Body)
					last = string(b)
					w.WriteHeader(http.StatusNoContent)
					return
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.other+last)
			}))
			defer server.Close()
			at, err := url.Parse(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			port, err := strconv.Atoi(at.Port())
			if err != nil {
				t.Fatal(err)
			}
			c := &cluster{t: t, nodes: []*process{{name: "n1", host: at.Hostname(), port: port}}}
			l := c.startSlowLoad(1, time.Millisecond)
			for l.ops.Load() < 10 {
				l.run(time.Millisecond)
			}
			acked := l.end()
			if failed, wrong := len(l.failedAfter(time.Time{})) > 0, len(l.wrong()) > 0; failed != tc.failed || wrong != tc.wrong || len(acked) < 5 {
				t.Errorf("failed %v, wrong %v, want %v, %v; %d acknowledged", failed, wrong, tc.failed, tc.wrong, len(acked))
			}
			if p99, n := l.lap(); p99 <= 0 || n < 10 {
				t.Errorf("p99 %v of %d requests", p99, n)
			}
		})
	}
}
