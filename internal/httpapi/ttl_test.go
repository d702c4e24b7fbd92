package httpapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// TestTTL: the parameter is passed on, the bucket's TTL holds without one, and
// every form of answer tells when a value expires.
func TestTTL(t *testing.T) {
	d := newDoor(t)
	const k = "/buckets/b/keys/k"
	for _, c := range []struct {
		query string
		want  kv.TTL
	}{
		{"", 0}, {"?ttl=0", 0}, {"?ttl=1", 1}, {"?ttl=none", kv.Forever}, {"?w=2&ttl=3153600000000", kv.MaxTTL},
	} {
		d.want(d.do("PUT", k+c.query, "v"), 204)
		if got := d.update.Life; got != (kv.Lifetime{TTL: c.want}) {
			t.Errorf("%q: %+v", c.query, got)
		}
	}
	puts := d.puts
	for _, v := range []string{"-1", "", "forever", "1.5", "1s", "3153600000001", "99999999999999999999"} {
		d.wantError(d.do("PUT", k+"?ttl="+v, "v"), 400, kv.KindInvalid)
	}
	for _, method := range []string{"GET", "DELETE"} {
		d.wantError(d.do(method, k+"?ttl=5", ""), 400, kv.KindInvalid)
	}
	if d.puts != puts {
		t.Error("something was put")
	}
}

func TestExpiryIsShown(t *testing.T) {
	d := newDoor(t)
	const one, two = "/buckets/b/keys/one", "/buckets/b/keys/two"
	// The model's first writes are at 12:00:01, 12:00:02, …
	d.want(d.do("PUT", one+"?ttl=1500", "v"), 204)
	d.want(d.do("PUT", two, "v"), 204)
	d.want(d.do("PUT", two+"?ttl=10", "w"), 204)
	if got := d.want(d.do("GET", one, ""), 200).header.Get(headerExpires); got != "2026-03-01T12:00:02.500Z" {
		t.Errorf("one value expires at %q", got)
	}
	got := d.want(d.do("GET", two, "", "Accept: application/json"), 300)
	var body struct{ Siblings []map[string]any }
	if err := json.Unmarshal(got.body, &body); err != nil || len(body.Siblings) != 2 {
		t.Fatalf("%s: %v", got.body, err)
	}
	if first, ok := body.Siblings[0]["expires"]; ok || body.Siblings[1]["expires"] != "2026-03-01T12:00:03.010Z" {
		t.Errorf("siblings expire at %v and %v", first, body.Siblings[1]["expires"])
	}
	parts := string(d.want(d.do("GET", two, ""), 300).body)
	if strings.Count(parts, headerExpires) != 1 || !strings.Contains(parts, headerExpires+": 2026-03-01T12:00:03.010Z\r\n") {
		t.Errorf("parts: %s", parts)
	}
	d.want(d.do("PUT", pathProps, `{"props":{"ttl":1000}}`), 204)
	d.want(d.do("PUT", "/buckets/b/keys/three", "v"), 204)
	if got := d.want(d.do("GET", "/buckets/b/keys/three", ""), 200).header.Get(headerExpires); got != "2026-03-01T12:00:05.000Z" {
		t.Errorf("by the bucket's ttl a value expires at %q", got)
	}
}
