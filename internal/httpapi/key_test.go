package httpapi

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
)

const pathA = "/buckets/default/keys/a"

func TestLifeOfAKey(t *testing.T) {
	d := newDoor(t)
	never := d.do("GET", pathA, "")
	d.wantError(never, 404, kv.KindNotFound)
	if never.context() != "" {
		t.Error("a key that was never put has a context")
	}

	put := d.want(d.do("PUT", pathA, "hello", "Content-Type: text/plain; charset=utf-8"), 204)
	if put.context() == "" || len(put.body) > 0 {
		t.Errorf("a put that left one value answers with context %q, body %q", put.context(), put.body)
	}
	got := d.want(d.do("GET", pathA, ""), 200)
	if string(got.body) != "hello" || got.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Errorf("got %q of type %q", got.body, got.header.Get("Content-Type"))
	}
	if want := written(1).Wall().Format(http.TimeFormat); got.header.Get("Last-Modified") != want {
		t.Errorf("Last-Modified: %s, want %s", got.header.Get("Last-Modified"), want)
	}

	d.want(d.do("POST", pathA, "again", headerContext+": "+got.context()), 204)
	got = d.want(d.do("GET", pathA, ""), 200)
	if string(got.body) != "again" {
		t.Errorf("after a put with the context: %q", got.body)
	}

	deleted := d.want(d.do("DELETE", pathA, "", headerContext+": "+got.context()), 204)
	gone := d.do("GET", pathA, "")
	d.wantError(gone, 404, kv.KindNotFound)
	if deleted.context() == "" || gone.context() == "" {
		t.Errorf("a tombstone's contexts: %q, %q", deleted.context(), gone.context())
	}
	d.want(d.do("PUT", pathA, "back", headerContext+": "+gone.context()), 204)
	if got := d.want(d.do("GET", pathA, ""), 200); string(got.body) != "back" {
		t.Errorf("after the delete: %q", got.body)
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	d := newDoor(t)
	d.want(d.do("HEAD", pathA, ""), 404)
	d.want(d.do("PUT", pathA, "hello", "Content-Type: text/plain"), 204)
	get, head := d.do("GET", pathA, ""), d.want(d.do("HEAD", pathA, ""), 200)
	if len(head.body) > 0 {
		t.Errorf("body %q", head.body)
	}
	for _, name := range []string{"Content-Type", "Content-Length", "Last-Modified", headerContext} {
		if head.header.Get(name) != get.header.Get(name) || get.header.Get(name) == "" {
			t.Errorf("%s: %q, a get has %q", name, head.header.Get(name), get.header.Get(name))
		}
	}
	d.want(d.do("PUT", pathA, "other"), 204)
	if head := d.want(d.do("HEAD", pathA, ""), 300); len(head.body) > 0 || head.context() == "" {
		t.Errorf("of siblings: body %q, context %q", head.body, head.context())
	}
}

func TestKeysOfAnyBytes(t *testing.T) {
	d := newDoor(t)
	keys := []string{
		"a/b", "..", ".", "../..", "/", "//", "\x00", "+", " ", "%", "%2F", "a?b#c", "\xff\xfe\x80", "preflist", "a/preflist",
		"keys", "ünï/çødé", strings.Repeat("ß", kv.MaxKey/2), strings.Repeat("\xff", kv.MaxKey),
	}
	for i, key := range keys {
		d.want(d.do("PUT", "/buckets/b/keys/"+url.PathEscape(key), string(rune('A'+i))), 204)
	}
	if len(d.records) != len(keys) {
		t.Errorf("%d keys became %d", len(keys), len(d.records))
	}
	for i, key := range keys {
		got := d.want(d.do("GET", "/buckets/b/keys/"+url.PathEscape(key), ""), 200)
		if string(got.body) != string(rune('A'+i)) {
			t.Errorf("%.20q has %q", key, got.body)
		}
	}
	for alias, key := range map[string]string{"a/b": "a/b", "a+b": "a+b", "x//y": "x//y", "%61": "a"} {
		d.want(d.do("PUT", "/buckets/alias/keys/"+alias, "v"), 204)
		d.want(d.do("GET", "/buckets/alias/keys/"+url.PathEscape(key), ""), 200)
	}
}

func TestValuesComeBackByteForByte(t *testing.T) {
	d := newDoor(t)
	big := bytes.Repeat([]byte{0, 0xff, '\r', '\n'}, kv.MaxValue/4)
	for _, value := range [][]byte{{}, {0}, {'x'}, big[:kv.MaxValue-1], big} {
		got := d.want(d.send("PUT", pathA, bytes.NewReader(value), headerContext+": "+d.do("HEAD", pathA, "").context()), 204)
		got = d.want(d.do("GET", pathA, ""), 200)
		if !bytes.Equal(got.body, value) {
			t.Errorf("%d bytes come back as %d", len(value), len(got.body))
		}
		if ct := got.header.Get("Content-Type"); ct != typeUnknown {
			t.Errorf("a value without a type has type %q", ct)
		}
	}
}

func TestContentTypeIsKeptAsSent(t *testing.T) {
	d := newDoor(t)
	long := "text/" + strings.Repeat("x", kv.MaxContentType-5)
	for _, ct := range []string{"application/x-www-form-urlencoded", "Text/HTML", "no type at all", "text/plain; q=\"ü\"", long} {
		d.want(d.do("PUT", pathA, "v", "Content-Type: "+ct, headerContext+": "+d.do("HEAD", pathA, "").context()), 204)
		got := d.do("GET", pathA, "").header
		if got.Get("Content-Type") != ct || got.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q comes back as %q, %v", ct, got.Get("Content-Type"), got)
		}
	}
	d.wantError(d.do("PUT", pathA, "v", "Content-Type: "+long+"x"), 413, kv.KindTooLarge)
}

func TestReturnBody(t *testing.T) {
	d := newDoor(t)
	got := d.want(d.do("PUT", pathA+"?returnbody=true", "one", "Content-Type: text/plain"), 200)
	if string(got.body) != "one" || got.context() == "" || got.header.Get("Content-Type") != "text/plain" {
		t.Errorf("got %q, %v", got.body, got.header)
	}
	blind := d.want(d.do("PUT", pathA, "two"), 204)
	if blind.context() != "" {
		t.Error("a put that left siblings has a context without showing them")
	}
	both := d.want(d.do("PUT", pathA+"?returnbody=true", "three", "Accept: application/json"), 300)
	if both.context() == "" {
		t.Error("siblings without a context")
	}
	d.want(d.do("DELETE", pathA+"?returnbody=true", "", headerContext+": "+both.context()), 204)
	d.wantError(d.do("GET", pathA, ""), 404, kv.KindNotFound)
}

func TestOptionsReachTheStore(t *testing.T) {
	d := newDoor(t)
	want := kv.Options{R: 1, W: 3, DW: 0, Strict: true, ReturnBody: true, Timeout: 700 * time.Millisecond}
	const query = "?r=1&w=3&dw=0&strict=true&returnbody=true&timeout=700"
	for _, method := range []string{"PUT", "GET", "HEAD", "POST", "DELETE"} {
		d.asked = kv.Options{}
		d.do(method, pathA+query, "v")
		if d.asked != want {
			t.Errorf("%s asks for %+v", method, d.asked)
		}
	}
	if n := d.metrics.Requests[metrics.DoorHTTP].Load(); n != 5 {
		t.Errorf("%d requests were counted, want 5", n)
	}
	d.do("GET", pathA, "")
	if d.asked != kv.Defaults() {
		t.Errorf("without a query: %+v", d.asked)
	}
}

func TestBadOptionsApplyNothing(t *testing.T) {
	d := newDoor(t)
	for _, query := range []string{"?r=4", "?w=abc", "?foo=1", "?w=1&w=1", "?strict=yes", "?timeout=0", "?w=%zz"} {
		for _, method := range []string{"GET", "PUT", "DELETE"} {
			got := d.do(method, pathA+query, "v")
			d.wantError(got, 400, kv.KindInvalid)
			if !bytes.Contains(got.body, []byte(`"applied":"no"`)) {
				t.Errorf("%s %s: %s", method, query, got.body)
			}
		}
	}
	if d.puts > 0 {
		t.Errorf("%d puts were applied", d.puts)
	}
}

func TestBadContexts(t *testing.T) {
	d := newDoor(t)
	good := d.want(d.do("PUT", pathA, "v"), 204).context()
	forged := []byte(good)
	forged[len(forged)/2] ^= 1
	for name, bad := range map[string]string{
		"cut": good[:len(good)-4], "forged": string(forged), "no base64": "???", "long": good + "AAAA",
		"huge": strings.Repeat("A", 50<<10),
	} {
		for _, method := range []string{"PUT", "DELETE"} {
			d.wantError(d.do(method, pathA, "w", headerContext+": "+bad), 400, kv.KindBadContext)
		}
		if d.puts != 1 {
			t.Fatalf("a context that is %s was taken", name)
		}
	}
	d.wantError(d.do("PUT", pathA, "w", headerContext+": "+good, headerContext+": "+good), 400, kv.KindBadContext)
	d.want(d.do("PUT", pathA, "w", headerContext+": "), 204)
}

func TestContextOfManyEntriesFits(t *testing.T) {
	d := newDoor(t)
	d.want(d.do("PUT", pathA, "w", headerContext+": "), 204)
	var seen object.Context
	for i := range object.MaxClock {
		seen.Clock = append(seen.Clock, entry(uint64(i+1))...)
	}
	sealed, err := d.sealer.AppendSealed(nil, seen)
	if err != nil {
		t.Fatal(err)
	}
	d.want(d.do("PUT", pathA, "w", headerContext+": "+object.EncodeContext(sealed)), 204)
	if got := len(d.update.Context); got != len(sealed) {
		t.Errorf("%d bytes of context arrive as %d", len(sealed), got)
	}
}

func TestStoreErrorsAreShown(t *testing.T) {
	d := newDoor(t)
	for _, c := range []struct {
		method string
		err    error
		status int
		body   string
	}{
		{"PUT", &kv.Error{Op: "put", Kind: kv.KindUnavailable, Applied: kv.AppliedUnknown}, 503,
			`{"error":{"kind":"unavailable","message":"put: unavailable","applied":"unknown"}}`},
		{"PUT", kv.Errorf(kv.KindTimeout, "put", "1 of 2 acks"), 504,
			`{"error":{"kind":"timeout","message":"put: 1 of 2 acks","applied":"no"}}`},
		{"DELETE", kv.Errorf(kv.KindTooManySiblings, "put", "100"), 412,
			`{"error":{"kind":"too many siblings","message":"put: 100","applied":"no"}}`},
		{"GET", &kv.Error{Op: "get", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown}, 504,
			`{"error":{"kind":"timeout","message":"get: timeout","applied":"no"}}`},
		{"PUT", http.ErrAbortHandler, 500,
			`{"error":{"kind":"internal","message":"net/http: abort Handler","applied":"unknown"}}`},
	} {
		d.fail = c.err
		got := d.want(d.do(c.method, pathA, "v"), c.status)
		if string(got.body) != c.body+"\n" || got.header.Get("Content-Type") != typeJSON {
			t.Errorf("%s: %s of type %s, want %s", c.method, got.body, got.header.Get("Content-Type"), c.body)
		}
	}
}

func TestAnswersAreNotCached(t *testing.T) {
	d := newDoor(t)
	d.do("PUT", pathA, "v")
	for _, path := range []string{pathA, "/cluster", "/nowhere"} {
		if got := d.do("GET", path, "").header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control: %q", path, got)
		}
	}
}

func TestLWWBucketKeepsOneValue(t *testing.T) {
	d := newDoor(t)
	d.want(d.do("PUT", "/buckets/l/props", `{"props":{"merge":"lww"}}`), 204)
	d.want(d.do("PUT", "/buckets/l/keys/k", "one"), 204)
	d.want(d.do("PUT", "/buckets/l/keys/k", "two"), 204)
	if got := d.want(d.do("GET", "/buckets/l/keys/k", ""), 200); string(got.body) != "two" {
		t.Errorf("got %q", got.body)
	}
}
