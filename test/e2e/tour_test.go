package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTour is the README's tour, and the answers to whoever strays from it, on
// one cluster.
func TestTour(t *testing.T) {
	c := start(t, 3)
	t.Run("a put at one node is read at another", c.testPutGet)
	t.Run("concurrent puts are both kept", c.testSiblings)
	t.Run("any bytes", c.testBytes)
	t.Run("limits", c.testLimits)
	t.Run("bad requests", c.testBadRequests)
	t.Run("lww bucket", c.testLWW)
	t.Run("keys", c.testKeys)
	t.Run("a node comes and goes", c.testJoinAndLeave)
	t.Run("garbage on every port", c.testGarbage)
	t.Run("pages", c.testPages)
	t.Run("SIGTERM", c.testTerm)
}

func (c *cluster) testPutGet(t *testing.T) {
	c.put(0, "a", "hello").want(t, 204, "")
	for i := range c.nodes {
		c.get(i, "a").want(t, 200, "hello")
	}
	c.get(1, "nothing-here").want(t, 404, "")
}

func (c *cluster) testSiblings(t *testing.T) {
	c.put(0, "s", "one").want(t, 204, "")
	old := c.get(0, "s").context
	c.put(1, "s", "two").want(t, 204, "")
	if got := multipartValues(t, c.get(2, "s").want(t, 300, "")); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("multipart shows %q", got)
	}
	a := c.do(2, "GET", "/buckets/default/keys/s", nil, "Accept", "application/json").want(t, 300, "")
	values, context := jsonValues(t, a)
	if !slices.Equal(values, []string{"one", "two"}) || context == "" || a.context == "" {
		t.Errorf("JSON shows %q, context %q, header %q", values, context, a.context)
	}
	c.put(0, "s", "both", "X-Ringtail-Context", a.context).want(t, 204, "")
	c.get(1, "s").want(t, 200, "both")

	// An old context makes a sibling and loses nothing.
	c.put(2, "s", "late", "X-Ringtail-Context", old).want(t, 204, "")
	a = c.get(0, "s").want(t, 300, "")
	if got := multipartValues(t, a); !slices.Equal(got, []string{"both", "late"}) {
		t.Errorf("after a put with an old context: %q", got)
	}
	c.do(1, "DELETE", "/buckets/default/keys/s", nil, "X-Ringtail-Context", a.context).want(t, 204, "")
	for i := range c.nodes {
		if a := c.get(i, "s").want(t, 404, ""); a.context == "" {
			t.Error("a deleted key has no context")
		}
	}
	c.put(0, "d", "v").want(t, 204, "")
	c.do(1, "DELETE", "/buckets/default/keys/d", nil).want(t, 204, "")
	c.get(2, "d").want(t, 404, "")
}

func multipartValues(t *testing.T, a answer) []string {
	t.Helper()
	_, params, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	r := multipart.NewReader(bytes.NewReader(a.body), params["boundary"])
	for {
		part, err := r.NextPart()
		if err == io.EOF {
			slices.Sort(values)
			return values
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, string(b))
	}
}

func jsonValues(t *testing.T, a answer) ([]string, string) {
	t.Helper()
	var body struct {
		Context  string
		Siblings []struct{ Value []byte }
	}
	if err := json.Unmarshal(a.body, &body); err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, s := range body.Siblings {
		values = append(values, string(s.Value))
	}
	slices.Sort(values)
	return values, body.Context
}

func (c *cluster) testBytes(t *testing.T) {
	random := make([]byte, 1<<20)
	for i := range random {
		random[i] = byte(i * i >> 8)
	}
	for i, key := range []string{"a/b", "..", ".", "\x00", "+", " ", "%", "a//b", "preflist", "?x=1#y", strings.Repeat("é", 2048), "\xff\xfe"} {
		value := random[:[]int{0, 1, 1 << 20}[i%3]]
		path := "/buckets/default/keys/" + strings.ReplaceAll(url.PathEscape(key), ".", "%2E")
		c.do(i%3, "PUT", path, value, "Content-Type", "application/x-test").want(t, 204, "")
		a := c.do((i+1)%3, "GET", path, nil).want(t, 200, "")
		if !bytes.Equal(a.body, value) || a.header.Get("Content-Type") != "application/x-test" {
			t.Errorf("key %.20q: %d bytes of %q came back for %d", key, len(a.body), a.header.Get("Content-Type"), len(value))
		}
	}
}

func (c *cluster) testLimits(t *testing.T) {
	at, over := make([]byte, 1<<20), make([]byte, 1<<20+1)
	c.do(0, "PUT", "/buckets/default/keys/big", at).want(t, 204, "")
	c.do(0, "PUT", "/buckets/default/keys/big", over).want(t, 413, "")
	c.do(0, "PUT", "/buckets/default/keys/"+strings.Repeat("k", 4096), nil).want(t, 204, "")
	c.do(0, "PUT", "/buckets/default/keys/"+strings.Repeat("k", 4097), nil).want(t, 413, "")
	c.do(0, "PUT", "/buckets/"+strings.Repeat("b", 255)+"/keys/k", nil).want(t, 204, "")
	c.do(0, "PUT", "/buckets/"+strings.Repeat("b", 256)+"/keys/k", nil).want(t, 413, "")
}

func (c *cluster) testBadRequests(t *testing.T) {
	c.put(0, "c", "v").want(t, 204, "")
	context := c.get(0, "c").context
	for _, tc := range []struct {
		query, context string
		status         int
	}{
		{"", context[:len(context)-4], 400},
		{"", strings.Map(swapCase, context), 400},
		{"", "!!!", 400},
		{"?r=4", "", 400},
		{"?w=abc", "", 400},
		{"?w=0", "", 400},
		{"?nonsense=1", "", 400},
		{"?timeout=-1", "", 400},
		{"?strict=maybe", "", 400},
	} {
		var headers []string
		if tc.context != "" {
			headers = []string{"X-Ringtail-Context", tc.context}
		}
		a := c.do(1, "PUT", "/buckets/default/keys/c"+tc.query, []byte("w"), headers...).want(t, tc.status, "")
		if f := a.failure(t); f.Error.Applied != "no" {
			t.Errorf("%q: applied %q", tc.query, f.Error.Applied)
		}
	}
	c.get(2, "c").want(t, 200, "v")
}

func swapCase(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z':
		return r - 'a' + 'A'
	case r >= 'A' && r <= 'Z':
		return r - 'A' + 'a'
	}
	return r
}

func (c *cluster) testLWW(t *testing.T) {
	c.do(0, "PUT", "/buckets/sessions/props", []byte(`{"props":{"merge":"lww"}}`)).want(t, 204, "")
	for i := range 3 {
		c.do(i, "PUT", "/buckets/sessions/keys/k", fmt.Appendf(nil, "v%d", i)).want(t, 204, "")
	}
	for i := range 3 {
		c.do(i, "GET", "/buckets/sessions/keys/k", nil).want(t, 200, "v2")
	}
	a := c.do(2, "GET", "/buckets/sessions/props", nil).want(t, 200, "")
	if !bytes.Contains(a.body, []byte(`"lww"`)) {
		t.Errorf("props: %s", a.body)
	}
}

func (c *cluster) testKeys(t *testing.T) {
	for i := range 20 {
		c.do(i%3, "PUT", fmt.Sprintf("/buckets/listed/keys/k%d", i), nil).want(t, 204, "")
	}
	c.do(0, "DELETE", "/buckets/listed/keys/k7", nil).want(t, 204, "")
	a := c.do(1, "GET", "/buckets/listed/keys", nil).want(t, 200, "")
	if lines := bytes.Count(a.body, []byte("\n")); lines != 19 {
		t.Errorf("%d keys, want 19:\n%s", lines, a.body)
	}
}

func (c *cluster) testJoinAndLeave(t *testing.T) {
	c.put(0, "stays", "v").want(t, 204, "")
	late := newProcess(t, "late", freePorts(t, 1))
	late.args = append(late.args, "--seeds", fmt.Sprintf("127.0.0.1:%d", c.nodes[0].port+2))
	late.start()
	late.await("/healthz")
	// A staged node takes requests, and passes them on.
	late.do(http.DefaultClient, "GET", "/buckets/default/keys/stays", nil).want(t, 200, "v")
	late.do(http.DefaultClient, "PUT", "/buckets/default/keys/by-late", []byte("w")).want(t, 204, "")
	c.commit()
	late.await("/readyz")
	c.put(1, "meanwhile", "x").want(t, 204, "")
	if s := late.stats(); s.Keys == 0 {
		t.Error("the node that has joined holds nothing")
	}
	a := c.do(2, "POST", "/cluster/remove", []byte(`{"node":"late"}`))
	if a.status != http.StatusConflict || !strings.Contains(a.failure(t).Error.Message, "is up") {
		t.Errorf("remove of a node that is up: %v", a)
	}
	c.do(2, "POST", "/cluster/leave", []byte(`{"node":"late"}`)).want(t, 200, "")
	c.commit()
	select {
	case <-late.ended:
		if late.err != nil || !strings.Contains(late.log.String(), "has left the cluster and holds nothing any more") {
			t.Errorf("the node that has left ended with %v:\n%s", late.err, tail(late.log.String(), 5))
		}
	case <-time.After(time.Minute):
		t.Fatalf("the node that is to leave goes on:\n%s", tail(late.log.String(), 20))
	}
	for key, value := range map[string]string{"stays": "v", "by-late": "w", "meanwhile": "x"} {
		c.get(0, key).want(t, 200, value)
	}
}

func (c *cluster) testPages(t *testing.T) {
	for _, page := range []string{"/cluster", "/cluster/plan", "/partitions", "/metrics", "/healthz", "/readyz", "/buckets/default/keys/a/preflist"} {
		if a := c.do(1, "GET", page, nil).want(t, 200, ""); len(a.body) == 0 {
			t.Errorf("%s is empty", page)
		}
	}
}

func (c *cluster) testTerm(t *testing.T) {
	for _, p := range c.nodes {
		p.signal(term)
	}
	for _, p := range c.nodes {
		if code := p.wait(); code != 0 {
			t.Errorf("%s: exit status %d after SIGTERM", p.name, code)
		}
	}
	for _, p := range c.nodes {
		p.start()
	}
	for _, p := range c.nodes {
		p.await("/readyz")
	}
	c.get(1, "a").want(t, 200, "hello")
}
