package httpapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestMethods(t *testing.T) {
	d := newDoor(t)
	for path, allow := range map[string]string{
		"/":                 "GET, HEAD",
		pathA:               "DELETE, GET, HEAD, POST, PUT",
		"/buckets/b/keys":   "GET, HEAD, POST",
		pathProps:           "DELETE, GET, HEAD, PUT",
		"/types":            "GET, HEAD",
		"/types/t/props":    "GET, HEAD, PUT",
		"/ping":             "GET, HEAD",
		"/stats":            "GET, HEAD",
		pathA + "/preflist": "GET, HEAD",
		"/cluster":          "GET, HEAD",
		"/cluster/plan":     "GET, HEAD",
		"/cluster/commit":   "POST",
		"/cluster/join":     "POST",
		"/cluster/leave":    "POST",
		"/cluster/remove":   "POST",
		"/cluster/replace":  "POST",
		"/cluster/weight":   "POST",
		"/cluster/clear":    "POST",
		"/cluster/pace":     "GET, HEAD, PUT",
		"/cluster/sla":      "GET, HEAD, PUT",
		"/partitions":       "GET, HEAD",
		"/repair":           "GET, HEAD, POST",
		"/scrub":            "GET, HEAD, POST",
		"/metrics":          "GET, HEAD",
		"/healthz":          "GET, HEAD",
		"/readyz":           "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "BREW"} {
			got := d.do(method, path, "")
			known := strings.Contains(", "+allow+",", ", "+method+",")
			if refused := got.status == 405; refused == known {
				t.Errorf("%s %s: %d", method, path, got.status)
			} else if refused && got.header.Get("Allow") != allow {
				t.Errorf("%s %s: Allow: %q, want %q", method, path, got.header.Get("Allow"), allow)
			}
		}
	}
	d.wantError(d.do("PATCH", pathA, "v"), 405, kv.KindInvalid)
}

func TestUnknownPaths(t *testing.T) {
	d := newDoor(t)
	for _, path := range []string{"/x", "/buckets", "/buckets/b", "/buckets/b/", "/Buckets/b/keys/k", "/cluster/", "//", "/debug/pprof/"} {
		d.wantError(d.do("GET", path, ""), 404, kv.KindNotFound)
	}
}

func TestBadEscape(t *testing.T) {
	d := newDoor(t)
	got := d.raw(t, "GET /buckets/b/keys/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 400 ") {
		t.Errorf("got %q", got)
	}
}

func TestAPageCannotWriteThroughABrowser(t *testing.T) {
	d := newDoor(t)
	for _, header := range []string{"Origin: http://evil.example", "Sec-Fetch-Site: cross-site"} {
		for _, path := range []string{pathA, "/cluster/commit", "/cluster/join", "/cluster/clear"} {
			d.wantError(d.do("POST", path, `{"node":"n2"}`, header), 403, kv.KindRefused)
		}
	}
	if d.puts > 0 || d.admin.commits > 0 || len(d.admin.joined) > 0 {
		t.Error("a write from another origin was applied")
	}
	d.want(d.do("POST", pathA, "v", "Sec-Fetch-Site: same-origin"), 204)
}

func TestHealth(t *testing.T) {
	d := newDoor(t)
	d.health.ready = kv.Errorf(kv.KindStorage, "open storage", "not yet")
	d.want(d.do("GET", "/healthz", ""), 200)
	got := d.do("GET", "/readyz", "")
	d.wantError(got, 503, kv.KindStorage)
	if !bytes.Contains(got.body, []byte("open storage: not yet")) {
		t.Errorf("the reason is missing: %s", got.body)
	}
	d.health.healthy, d.health.ready = kv.Errorf(kv.KindRefused, "join", "no member lists this node"), nil
	d.wantError(d.do("GET", "/healthz", ""), 503, kv.KindRefused)
	d.want(d.do("GET", "/readyz", ""), 200)
}

func TestRootPageLinksWork(t *testing.T) {
	d := newDoor(t)
	var root struct {
		Name, Version string
		Links         map[string]string
	}
	if err := json.Unmarshal(d.want(d.do("GET", "/", ""), 200).body, &root); err != nil {
		t.Fatal(err)
	}
	if root.Name != "n1" || root.Version != "0.1" {
		t.Errorf("got %+v", root)
	}
	d.want(d.do("PUT", "/buckets/b/keys/k", "v"), 204)
	for name, link := range root.Links {
		path := strings.NewReplacer("{bucket}", "b", "{key}", "k").Replace(link)
		if got := d.do("GET", path, ""); got.status != 200 {
			t.Errorf("%s: %s: %d", name, path, got.status)
		}
	}
}

func TestPreflist(t *testing.T) {
	d := newDoor(t)
	got := d.want(d.do("GET", "/buckets/b/keys/a%2Fb/preflist", ""), 200)
	want := `{"partition":3,"owners":[{"node":"n1","id":"0000000000000007","http":"127.0.0.1:7400","zone":"a","up":true}],"stand_ins":[]}`
	if string(got.body) != want+"\n" {
		t.Errorf("got %s, want %s", got.body, want)
	}
	d.want(d.do("PUT", "/buckets/b/keys/k%2Fpreflist", "a key"), 204)
	if got := d.want(d.do("GET", "/buckets/b/keys/k%2Fpreflist", ""), 200); string(got.body) != "a key" {
		t.Errorf("the key that ends so: %s", got.body)
	}
	d.want(d.do("PUT", "/buckets/b/keys/k/preflist", "no key"), 405)
}

func TestMetricsPage(t *testing.T) {
	d := newDoor(t)
	d.do("PUT", pathA, "v")
	got := d.want(d.do("GET", "/metrics", ""), 200)
	if !bytes.Contains(got.body, []byte(`ringtail_door_requests_total{door="http"} 1`)) {
		t.Errorf("the page lacks the request:\n%s", got.body)
	}
}

func TestPprofOnlyOnRequest(t *testing.T) {
	cfg := Default()
	cfg.Pprof = true
	d := newDoorWith(t, cfg)
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/symbol"} {
		d.want(d.do("GET", path, ""), 200)
	}
}
