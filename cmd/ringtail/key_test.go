package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// asked is a request as a node sees it.
type asked struct {
	method, path, query, context, contentType, body string
}

// fakeNode answers each request with what it is given, and notes the last one.
type fakeNode struct {
	addr string
	last asked
	// first is the first request since it was nil.
	first *asked
}

func newFakeNode(t *testing.T, status int, header map[string]string, body string) *fakeNode {
	t.Helper()
	n := &fakeNode{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		n.last = asked{
			method: r.Method, path: r.URL.EscapedPath(), query: r.URL.RawQuery,
			context: r.Header.Get(headerContext), contentType: r.Header.Get("Content-Type"), body: string(b),
		}
		if n.first == nil {
			n.first = new(n.last)
		}
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	n.addr = server.Listener.Addr().String()
	return n
}

// deadAddrs returns different addresses at which nobody listens.
func deadAddrs(t *testing.T, count int) []string {
	t.Helper()
	var addrs []string
	for range count {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

func deadAddr(t *testing.T) string {
	t.Helper()
	return deadAddrs(t, 1)[0]
}

const siblingsJSON = `{"context":"c2","siblings":[` +
	`{"value":"aGk=","content_type":"text/plain","deleted":false,"modified":"2026-01-02T03:04:05.678901Z"},` +
	`{"value":"","content_type":"application/octet-stream","deleted":true,"modified":"2026-01-02T03:04:06Z"}]}`

func TestGetShowsWhatTheKeyHolds(t *testing.T) {
	one := map[string]string{headerContext: "c1", "Content-Type": "text/plain", "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT"}
	missing := `{"error":{"kind":"not found","message":"get: the key has no value","applied":"no"}}`
	for _, test := range []struct {
		name   string
		status int
		header map[string]string
		body   string
		args   string
		want   outcome
	}{
		{"value", 200, one, "a\x00b", "", outcome{exitOK, "a\x00b", ""}},
		{"empty value", 200, one, "", "", outcome{exitOK, "", ""}},
		{"value as JSON", 200, one, "hi", "--json", outcome{exitOK,
			`{"context":"c1","siblings":[{"value":"aGk=","content_type":"text/plain","deleted":false,"modified":"2026-01-02T03:04:05Z"}]}` + "\n", ""}},
		{"siblings", 300, map[string]string{headerContext: "c2"}, siblingsJSON, "", outcome{exitSiblings,
			"--- 1 of 2: 2 bytes, text/plain, 2026-01-02T03:04:05.678901Z\nhi\n--- 2 of 2: deleted, 2026-01-02T03:04:06Z\n",
			"ringtail: \"k\" has 2 siblings; put what they come to with this context:\nc2\n"}},
		{"siblings as JSON", 300, map[string]string{headerContext: "c2"}, siblingsJSON, "--json", outcome{exitSiblings, siblingsJSON + "\n",
			"ringtail: \"k\" has 2 siblings; put what they come to with this context:\nc2\n"}},
		{"no value", 404, nil, missing, "", outcome{exitError, "", "ringtail: get: \"k\" has no value in bucket \"default\"\n"}},
		{"no value as JSON", 404, map[string]string{headerContext: "c3"}, missing, "--json", outcome{exitError,
			`{"context":"c3","siblings":[]}` + "\n", "ringtail: get: \"k\" has no value in bucket \"default\"\n"}},
		{"unavailable", 503, nil, `{"error":{"kind":"unavailable","message":"get: 1 of 2 replicas answer","applied":"no"}}`, "",
			outcome{exitError, "", "ringtail: get: 1 of 2 replicas answer (kind: unavailable, applied: no)\n"}},
		{"r out of range", 400, nil, `{"error":{"kind":"invalid","message":"check options: r=4 is not within 1 to N=3","applied":"no"}}`, "--r 4",
			outcome{exitUsage, "", "ringtail: check options: r=4 is not within 1 to N=3 (kind: invalid, applied: no)\n"}},
		{"no node of ours", 404, nil, "<html>not here</html>", "", outcome{exitError, "",
			"ringtail: HTTP status 404, and no error of Ringtail's; is this a node's HTTP address? (kind: internal, applied: unknown)\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newFakeNode(t, test.status, test.header, test.body)
			got := ringtail(t, "", append([]string{"get", "k", "--addr", n.addr}, strings.Fields(test.args)...)...)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(outcome{})); diff != "" {
				t.Errorf("outcome differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestsCarryTheFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "value")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want asked
	}{
		{[]string{"get", "k"}, asked{method: "GET", path: "/buckets/default/keys/k"}},
		{[]string{"get", "a/b +%", "--bucket", "b/c"}, asked{method: "GET", path: "/buckets/b%2Fc/keys/a%2Fb%20+%25"}},
		{[]string{"get", ".."}, asked{method: "GET", path: "/buckets/default/keys/%2E%2E"}},
		{[]string{"get", "a/preflist"}, asked{method: "GET", path: "/buckets/default/keys/a%2Fpreflist"}},
		{[]string{"get", "\x00\xff"}, asked{method: "GET", path: "/buckets/default/keys/%00%FF"}},
		{[]string{"get", "k", "--r", "1", "--strict", "--timeout", "1500ms"},
			asked{method: "GET", path: "/buckets/default/keys/k", query: "r=1&strict=true&timeout=1500"}},
		{[]string{"put", "k", "v"}, asked{method: "PUT", path: "/buckets/default/keys/k", body: "v"}},
		{[]string{"put", "k", ""}, asked{method: "PUT", path: "/buckets/default/keys/k"}},
		{[]string{"put", "k", "-"}, asked{method: "PUT", path: "/buckets/default/keys/k", body: "from standard input"}},
		{[]string{"put", "k", "--file", file}, asked{method: "PUT", path: "/buckets/default/keys/k", body: "from a file"}},
		{[]string{"put", "k", "v", "--ttl", "1.5s"}, asked{method: "PUT", path: "/buckets/default/keys/k", query: "ttl=1500", body: "v"}},
		{[]string{"put", "k", "v", "--ttl", "none"}, asked{method: "PUT", path: "/buckets/default/keys/k", query: "ttl=none", body: "v"}},
		{[]string{"put", "--", "-k", "-v"}, asked{method: "PUT", path: "/buckets/default/keys/-k", body: "-v"}},
		{[]string{"put", "k", "v", "--w", "3", "--dw", "0", "--returnbody", "--context", "ctx", "--content-type", "text/plain"},
			asked{method: "PUT", path: "/buckets/default/keys/k", query: "dw=0&returnbody=true&w=3", context: "ctx", contentType: "text/plain", body: "v"}},
		{[]string{"delete", "k", "--r", "2", "--w", "1", "--context", "ctx"},
			asked{method: "DELETE", path: "/buckets/default/keys/k", query: "r=2&w=1", context: "ctx"}},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			n := newFakeNode(t, http.StatusNoContent, nil, "")
			t.Setenv("RINGTAIL_ADDR", n.addr)
			got := ringtail(t, "from standard input", test.args...)
			if test.want.method != "GET" && got.status != exitOK {
				t.Errorf("status %d, stderr %q", got.status, got.err)
			}
			if diff := cmp.Diff(test.want, n.last, cmp.AllowUnexported(asked{})); diff != "" {
				t.Errorf("request differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestContextFileCarriesTheContextFromOneToTheNext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "k.ctx")
	read := newFakeNode(t, 200, map[string]string{headerContext: "c1"}, "v")
	if got := ringtail(t, "", "get", "k", "--addr", read.addr, "--context-file", file); got.status != exitOK {
		t.Fatalf("get: %+v", got)
	}
	written := newFakeNode(t, 204, map[string]string{headerContext: "c2"}, "")
	if got := ringtail(t, "", "put", "k", "w", "--addr", written.addr, "--context-file", file); got.status != exitOK {
		t.Fatalf("put: %+v", got)
	}
	if written.last.context != "c1" {
		t.Errorf("the put came with context %q, want c1", written.last.context)
	}
	deleted := newFakeNode(t, 204, nil, "")
	if got := ringtail(t, "", "delete", "k", "--addr", deleted.addr, "--context-file", file); got.status != exitOK {
		t.Fatalf("delete: %+v", got)
	}
	if deleted.last.context != "c2" {
		t.Errorf("the delete came with context %q, want c2", deleted.last.context)
	}
	if b, err := os.ReadFile(file); err != nil || strings.TrimSpace(string(b)) != "" {
		t.Errorf("after an answer without a context the file holds %q, error %v", b, err)
	}
}

func TestAddressesAreAskedInTurn(t *testing.T) {
	n := newFakeNode(t, 200, nil, "v")
	got := ringtail(t, "", "get", "k", "--addr", deadAddr(t)+","+n.addr)
	if diff := cmp.Diff(outcome{exitOK, "v", ""}, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("outcome differs (-want +got):\n%s", diff)
	}
}

func TestPutGoesToTheNextAddressOnlyWhenItWasNeverSent(t *testing.T) {
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	t.Cleanup(cut.Close)
	n := newFakeNode(t, 204, nil, "")
	got := ringtail(t, "", "put", "k", "v", "--addr", deadAddr(t)+","+n.addr)
	if got.status != exitOK || n.last.body != "v" {
		t.Errorf("past a dead address: %+v, and the node got %+v", got, n.last)
	}
	n.last = asked{}
	got = ringtail(t, "", "put", "k", "v", "--addr", cut.Listener.Addr().String()+","+n.addr)
	if got.status != exitError || !strings.Contains(got.err, "(kind: unavailable, applied: unknown)") {
		t.Errorf("past a cut connection: %+v", got)
	}
	if n.last != (asked{}) {
		t.Errorf("the next node got %+v", n.last)
	}
	got = ringtail(t, "", "get", "k", "--addr", cut.Listener.Addr().String()+","+n.addr)
	if n.last.method != http.MethodGet {
		t.Errorf("a get did not go on to the next node: %+v", got)
	}
}

func TestNoNodeAnswers(t *testing.T) {
	dead := deadAddrs(t, 2)
	got := ringtail(t, "", "put", "k", "v", "--addr", strings.Join(dead, ","))
	want := fmt.Sprintf("ringtail: dial tcp %s: connect: connection refused; dial tcp %s: connect: connection refused"+
		" (kind: unavailable, applied: no)\n", dead[0], dead[1])
	if got.status != exitError || got.err != want {
		t.Errorf("status %d, stderr %q; want status 1 and %q", got.status, got.err, want)
	}
}

func TestPutHoldsTheLimitOfAValue(t *testing.T) {
	n := newFakeNode(t, 204, nil, "")
	if got := ringtail(t, strings.Repeat("v", kv.MaxValue), "put", "k", "-", "--addr", n.addr); got.status != exitOK || len(n.last.body) != kv.MaxValue {
		t.Errorf("at the limit: %+v, and the node got %d bytes", got, len(n.last.body))
	}
	n.last = asked{}
	got := ringtail(t, strings.Repeat("v", kv.MaxValue+1), "put", "k", "-", "--addr", n.addr)
	if got.status != exitError || !strings.Contains(got.err, "more than 1048576 bytes, the limit") || n.last != (asked{}) {
		t.Errorf("one past the limit: %+v, and the node got %+v", got, n.last)
	}
}

func TestPutShowsTheBodyThatWasAskedFor(t *testing.T) {
	n := newFakeNode(t, 300, map[string]string{headerContext: "c2"}, siblingsJSON)
	got := ringtail(t, "", "put", "k", "v", "--returnbody", "--addr", n.addr)
	if got.status != exitSiblings || !strings.HasPrefix(got.out, "--- 1 of 2: 2 bytes") {
		t.Errorf("%+v", got)
	}
	n = newFakeNode(t, 204, map[string]string{headerContext: "c4"}, "")
	got = ringtail(t, "", "put", "k", "v", "--json", "--addr", n.addr)
	if diff := cmp.Diff(outcome{exitOK, `{"context":"c4","siblings":[]}` + "\n", ""}, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("outcome differs (-want +got):\n%s", diff)
	}
}
