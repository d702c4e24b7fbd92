package httpapi

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/content"
)

func TestRiakHeadersAreKept(t *testing.T) {
	d := newDoor(t)
	headers := []string{
		"Content-Type: text/plain", "Content-Encoding: identity", "X-Riak-Meta-Colour: red", "x-riak-meta-Size: 3", "x-riak-index-age_int: 8, 7",
		`Link: </buckets/b/keys/a%2Fb>; riaktag="t", </riak/c/k>; riaktag="u"`, `Link: </buckets/b>; rel="up"`,
	}
	d.want(d.do("PUT", pathA, "one", headers...), 204)
	want := map[string]string{
		"Content-Type": "text/plain", "Content-Encoding": "identity", "X-Riak-Meta-Colour": "red", "X-Riak-Meta-Size": "3",
		"X-Riak-Index-Age_int": "8, 7", "Link": `</buckets/b/keys/a%2Fb>; riaktag="t"`,
	}
	got := d.want(d.do("GET", pathA, ""), 200)
	for name, v := range want {
		if got.header.Get(name) != v {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), v)
		}
	}
	if links := got.header.Values("Link"); len(links) != 2 || links[1] != `</buckets/c/keys/k>; riaktag="u"` {
		t.Errorf("Link: %q", links)
	}
	if vclock := got.header.Get(headerVClock); vclock == "" || vclock != got.context() || got.header.Get("ETag") == "" {
		t.Errorf("vclock %q, ETag %q", vclock, got.header.Get("ETag"))
	}
	d.want(d.do("PUT", pathA, "two", headerVClock+": "+got.context()), 204)
	if again := d.want(d.do("GET", pathA, ""), 200); again.header.Get("Link") != "" || again.header.Get("X-Riak-Meta-Colour") != "" {
		t.Errorf("a new value has what stood beside the old one: %v", again.header)
	}
	d.wantError(d.do("PUT", pathA, "x", headerVClock+": "+got.context(), headerContext+": "+d.do("HEAD", pathA, "").context()), 400, kv.KindBadContext)
	d.want(d.do("DELETE", pathA, "", headerVClock+": "+d.do("HEAD", pathA, "").context()), 204)
	if gone := d.want(d.do("GET", pathA, ""), 404); gone.header.Get(headerRiakDeleted) != "true" || gone.header.Get(headerVClock) == "" {
		t.Errorf("a deleted key: %v", gone.header)
	}
}

// TestMetaThatIsNoHeader: what has come through the other door and can stand in no
// header ends no header either.
func TestMetaThatIsNoHeader(t *testing.T) {
	d := newDoor(t)
	d.want(d.do("PUT", pathA, "v", "Content-Type: text/plain"), 204)
	m := content.Meta{
		Charset: []byte("utf-8"), Encoding: []byte("a\r\nSet-Cookie: b"),
		User:  []content.Pair{pair("a\r\nb", "v"), pair("ok", "x\ny"), pair("good", "v")},
		Links: []content.Link{{Bucket: []byte("b\r\n"), Key: []byte("\""), Tag: []byte(">\"")}},
	}
	u := d.update
	u.Context, u.Meta = nil, m.Encode()
	key, _ := kv.NewKey("default", "b")
	if _, err := d.model.Put(t.Context(), key, u, kv.Defaults()); err != nil {
		t.Fatal(err)
	}
	got := d.want(d.do("GET", "/buckets/default/keys/b", ""), 200)
	if got.header.Get("Content-Encoding") != "" || got.header.Get("X-Riak-Meta-Ok") != "" || got.header.Get("X-Riak-Meta-Good") != "v" {
		t.Errorf("%v", got.header)
	}
	if ct := got.header.Get("Content-Type"); ct != "text/plain; charset=utf-8" {
		t.Errorf("Content-Type: %s", ct)
	}
	if l := got.header.Get("Link"); l != `</buckets/b%0D%0A/keys/%22>; riaktag="%3E%22"` {
		t.Errorf("Link: %s", l)
	}
}

func TestSiblingsAsRiakListsThem(t *testing.T) {
	d := newDoor(t)
	d.want(d.do("PUT", pathA, "one", "X-Riak-Meta-N: 1"), 204)
	d.want(d.do("PUT", pathA, "two", "X-Riak-Meta-N: 2"), 204)
	list := d.want(d.do("GET", pathA, "", "Accept: text/plain"), 300)
	lines := strings.Split(strings.TrimSpace(string(list.body)), "\n")
	if len(lines) != 3 || lines[0] != "Siblings:" || list.context() == "" {
		t.Fatalf("%q", list.body)
	}
	for i, want := range []string{"one", "two"} {
		got := d.want(d.do("GET", pathA+"?vtag="+lines[i+1], ""), 200)
		if string(got.body) != want || got.header.Get("ETag") != `"`+lines[i+1]+`"` || got.header.Get("X-Riak-Meta-N") != string('1'+rune(i)) {
			t.Errorf("%s: %q, %v", lines[i+1], got.body, got.header)
		}
	}
	d.wantError(d.do("GET", pathA+"?vtag=nix", ""), 404, kv.KindNotFound)
	for _, accept := range []string{"*/*", "text/html", "multipart/mixed, text/plain", "text/plain;q=0.5, multipart/*"} {
		if got := d.want(d.do("GET", pathA, "", "Accept: "+accept), 300); !strings.HasPrefix(got.header.Get("Content-Type"), typeMultipart) {
			t.Errorf("Accept: %s is answered %s", accept, got.header.Get("Content-Type"))
		} else if !strings.Contains(string(got.body), "X-Riak-Meta-N: 2") || !strings.Contains(string(got.body), `Etag: "`+lines[1]+`"`) {
			t.Errorf("parts lack headers: %s", got.body)
		}
	}
}

func TestConditions(t *testing.T) {
	d := newDoor(t)
	d.wantError(d.do("PUT", pathA, "v", "If-Match: *"), 412, kv.KindRefused)
	d.want(d.do("PUT", pathA, "v", "If-None-Match: *"), 204)
	d.wantError(d.do("PUT", pathA, "w", "If-None-Match: *"), 412, kv.KindRefused)
	got := d.do("GET", pathA, "")
	tag, at := got.header.Get("ETag"), written(1).Wall()
	before, after := at.Add(-1e9).Format(http.TimeFormat), at.Add(1e9).Format(http.TimeFormat)
	for _, c := range []struct {
		method, header string
		want           int
	}{
		{"GET", "If-None-Match: " + tag, 304},
		{"HEAD", "If-None-Match: \"x\", W/" + tag, 304},
		{"GET", "If-None-Match: \"x\"", 200},
		{"GET", "If-Match: " + tag, 200},
		{"GET", "If-Match: \"x\"", 412},
		{"GET", "If-Modified-Since: " + at.Format(http.TimeFormat), 304},
		{"GET", "If-Modified-Since: " + before, 200},
		{"GET", "If-Modified-Since: yesterday", 200},
		{"GET", "If-Unmodified-Since: " + before, 412},
		{"GET", "If-Unmodified-Since: " + after, 200},
		{"DELETE", "If-Match: \"x\"", 412},
		{"DELETE", "If-Unmodified-Since: " + before, 412},
	} {
		r := d.do(c.method, pathA, "", c.header)
		if r.status != c.want || r.status == 304 && (len(r.body) > 0 || r.context() == "") {
			t.Errorf("%s, %s: %d, %q", c.method, c.header, r.status, r.body)
		}
	}
	if d.puts != 1 {
		t.Errorf("%d puts were applied, want 1", d.puts)
	}
	d.want(d.do("PUT", pathA, "w", "If-Match: "+tag, headerContext+": "+got.context()), 204)
	d.want(d.do("PUT", pathA, "x"), 204)
	both := d.want(d.do("GET", pathA, ""), 300)
	if r := d.do("GET", pathA, "", "If-None-Match: "+both.header.Get("ETag")); r.status != 304 {
		t.Errorf("siblings that have not changed: %d", r.status)
	}
}

func TestKeysThatTheServerMakes(t *testing.T) {
	d := newDoor(t)
	for base, back := range map[string]string{"/buckets/b%2Fc/keys": "/buckets/b%2Fc/keys/", "/riak/b": "/buckets/b/keys/", "/types/default/buckets/b/keys": "/types/default/buckets/b/keys/"} {
		made := d.want(d.do("POST", base, "v"), 201)
		at := made.header.Get("Location")
		if !strings.HasPrefix(at, back) || len(at) < len(back)+20 {
			t.Fatalf("%s: Location: %s", base, at)
		}
		if got := d.want(d.do("GET", at, ""), 200); string(got.body) != "v" {
			t.Errorf("%s holds %q", at, got.body)
		}
	}
	if made := d.want(d.do("POST", "/buckets/b/keys?returnbody=true", "v"), 201); string(made.body) != "v" {
		t.Errorf("%q", made.body)
	}
	if bad := d.do("POST", "/buckets/b/keys?w=9", "v"); bad.status != 400 || bad.header.Get("Location") != "" {
		t.Errorf("%d, Location %q", bad.status, bad.header.Get("Location"))
	}
}

func TestRiakOptions(t *testing.T) {
	d := newDoor(t)
	const u = kv.Unset
	for query, want := range map[string]kv.Options{
		"r=quorum&w=all&dw=one":       {R: 2, W: 3, DW: 1},
		"r=default":                   {R: u, W: u, DW: u},
		"pr=1":                        {R: 2, W: u, DW: u, Strict: true},
		"pr=0&pw=0":                   {R: u, W: u, DW: u},
		"r=1&pr=all":                  {R: 3, W: u, DW: u, Strict: true},
		"pw=quorum&w=1":               {R: u, W: 2, DW: u, Strict: true},
		"rw=all":                      {R: 3, W: 3, DW: u},
		"rw=all&r=1":                  {R: 1, W: 3, DW: u},
		"sloppy_quorum=false&n_val=3": {R: u, W: u, DW: u, Strict: true},
		"basic_quorum=true&notfound_ok=true&asis=false": {R: u, W: u, DW: u},
	} {
		d.do("PUT", pathA+"?"+query, "v")
		if diff := cmp.Diff(want, d.asked); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	puts := d.puts
	for _, query := range []string{"r=some", "pr=4", "pw=x", "rw=4", "n_val=5", "asis=true", "notfound_ok=1", "sloppy_quorum=no"} {
		d.wantError(d.do("PUT", pathA+"?"+query, "v"), 400, kv.KindInvalid)
	}
	if d.puts != puts {
		t.Error("a put with a bad option was applied")
	}
	d.do("GET", "/buckets/b/keys/none?r=1&notfound_ok=false", "")
	if d.asked.R != 3 {
		t.Errorf("a key that is not found is asked of %d", d.asked.R)
	}
}

func TestBucketTypes(t *testing.T) {
	d := newDoor(t)
	d.wantError(d.do("PUT", "/types/t/buckets/b/keys/k", "v"), 404, kv.KindNotFound)
	d.wantError(d.do("PUT", "/types/t/props", `{"props":{}}`), 404, kv.KindNotFound)
	d.wantError(d.do("GET", "/types/t/props", ""), 404, kv.KindNotFound)
	d.want(d.do("PUT", "/types/t/props?create=true", `{"props":{"allow_mult":false,"r":1}}`), 204)
	d.wantError(d.do("PUT", "/types/t/props?create=true", `{"props":{}}`), 409, kv.KindRefused)
	d.wantError(d.do("PUT", "/types/default/props", `{"props":{}}`), 400, kv.KindInvalid)
	d.want(d.do("PUT", "/types/t/buckets/b/keys/k", "of t"), 204)
	d.want(d.do("PUT", "/types/default/buckets/b/keys/k", "of none"), 204)
	for path, want := range map[string]string{"/types/t/buckets/b/keys/k": "of t", "/buckets/b/keys/k": "of none", "/riak/b/k": "of none"} {
		if got := d.want(d.do("GET", path, ""), 200); string(got.body) != want {
			t.Errorf("%s holds %q", path, got.body)
		}
	}
	for path, want := range map[string]string{
		"/types":                              `{"types":["default","t"]}`,
		"/buckets?buckets=true":               `{"buckets":["b"]}`,
		"/types/t/buckets?buckets=stream":     `{"buckets":["b"]}`,
		"/types/t/buckets/b/keys?keys=true":   `{"keys":["k"]}`,
		"/types/t/buckets/b/keys":             `{"key":"k"}`,
		"/buckets/b/keys?keys=stream":         `{"keys":["k"]}`,
		"/buckets/b/keys?keys=false":          `{"keys":[]}`,
		"/buckets/none/keys?keys=true":        `{"keys":[]}`,
		"/types/t/props":                      `{"props":{"name":"t","n_val":3,"allow_mult":false,"last_write_wins":false,"basic_quorum":false,"notfound_ok":true,"rw":"quorum","pr":0,"pw":0,"r":1,"w":"quorum","dw":"quorum"}}`,
		"/types/default/buckets/b%2Fc/props":  `{"props":{"name":"b/c","n_val":3,"allow_mult":true,"last_write_wins":false,"basic_quorum":false,"notfound_ok":true,"rw":"quorum","pr":0,"pw":0,"r":"quorum","w":"quorum","dw":"quorum"}}`,
		"/types/t/buckets/b/keys/k/preflist":  `{"partition":1,"owners":[{"node":"n1","id":"0000000000000007","http":"127.0.0.1:7400","zone":"a","up":true}],"stand_ins":[]}`,
		"/types/t/buckets/b/keys?keys=stream": `{"keys":["k"]}`,
	} {
		if got := d.want(d.do("GET", path, ""), 200); strings.TrimSpace(string(got.body)) != want {
			t.Errorf("%s: %s, want %s", path, got.body, want)
		}
	}
	for _, path := range []string{"/types/", "/types/t", "/types/t/cluster", "/types/t/buckets", "/types/t/buckets/b", "/riak", "/types//buckets/b/keys/k"} {
		if got := d.do("GET", path, ""); got.status != 404 && got.status != 400 {
			t.Errorf("%s: %d, %s", path, got.status, got.body)
		}
	}
	d.wantError(d.do("GET", "/types/t/buckets/"+strings.Repeat("b", kv.MaxBucket-2)+"/keys/k", ""), 413, kv.KindTooLarge)
}

func TestRiakProps(t *testing.T) {
	d := newDoor(t)
	d.want(d.do("PUT", pathProps, `{"props":{"allow_mult":false,"n_val":3,"pr":1,"w":"all","name":"b","young_vclock":20,"precommit":[],"search":false}}`), 204)
	if p := d.Props("b"); p.Merge != kv.MergeLWW || p.W != 3 {
		t.Errorf("%+v", p)
	}
	if got := d.want(d.do("GET", "/types/default"+pathProps, ""), 200); !strings.Contains(string(got.body), `"w":"all"`) || !strings.Contains(string(got.body), `"pr":1`) {
		t.Errorf("%s", got.body)
	}
	d.want(d.do("PUT", pathProps, `{"props":{"w":1,"merge":"siblings"}}`), 204)
	if got := d.want(d.do("GET", "/types/default"+pathProps, ""), 200); !strings.Contains(string(got.body), `"w":1`) || !strings.Contains(string(got.body), `"allow_mult":true`) {
		t.Errorf("%s", got.body)
	}
	d.want(d.do("PUT", "/types/default"+pathProps, `{"props":{"ttl":60,"r":1}}`), 204)
	if p := d.Props("b"); p.TTL != 60_000 || p.R != 1 {
		t.Errorf("%+v", p)
	}
	d.want(d.do("DELETE", pathProps, ""), 204)
	if p := d.Props("b"); p.Merge != kv.MergeLWW || p.TTL != 0 || p.Meta != "" {
		t.Errorf("after a reset: %+v", p)
	}
	for _, body := range []string{
		`{"props":{"n_val":5}}`, `{"props":{"n_val":null}}`, `{"props":{"allow_mult":1}}`, `{"props":{"pr":"some"}}`, `{"props":{"pr":4}}`, `{"props":{"r":"most"}}`,
		`{"props":{"datatype":"map"}}`, `{"props":{"precommit":[{}]}}`, `{"props":{"basic_quorum":null}}`,
	} {
		d.wantError(d.do("PUT", "/buckets/other/props", body), 400, kv.KindInvalid)
	}
	if d.Known("other") {
		t.Error("properties that were refused were set")
	}
}

// TestPropsThatAreSentBack, with one of them changed, change that one, whichever
// names it goes by.
func TestPropsThatAreSentBack(t *testing.T) {
	d := newDoor(t)
	for _, path := range []string{pathProps, "/types/default" + pathProps} {
		for _, c := range []struct {
			from, to string
			want     kv.Merge
		}{
			{`"merge":"siblings"`, `"merge":"lww"`, kv.MergeLWW},
			{`"merge":"lww"`, `"merge":"siblings"`, kv.MergeSiblings},
			{`"allow_mult":true`, `"allow_mult":false`, kv.MergeLWW},
			{`"allow_mult":false`, `"allow_mult":true`, kv.MergeSiblings},
			{`"last_write_wins":false`, `"last_write_wins":true`, kv.MergeLWW},
			{`"allow_mult":false`, `"allow_mult":true`, kv.MergeSiblings},
		} {
			shown := string(d.want(d.do("GET", path, ""), 200).body)
			if !strings.Contains(shown, c.from) {
				continue // Riak's own form has no merge
			}
			d.want(d.do("PUT", path, strings.Replace(shown, c.from, c.to, 1)), 204)
			if got := d.Props("b").Merge; got != c.want {
				t.Errorf("%s, %s: %v", path, c.to, got)
			}
		}
	}
}

func TestListingsInRiaksForm(t *testing.T) {
	d := newDoor(t)
	for i := range riakBatch + 1 {
		d.want(d.do("PUT", "/buckets/b/keys/"+strings.Repeat("k", i+1), "v"), 204)
	}
	total, parts := 0, 0
	for dec := json.NewDecoder(strings.NewReader(string(d.want(d.do("GET", "/buckets/b/keys?keys=stream", ""), 200).body))); dec.More(); parts++ {
		var part struct{ Keys []string }
		if err := dec.Decode(&part); err != nil {
			t.Fatal(err)
		}
		total += len(part.Keys)
	}
	if total != riakBatch+1 || parts != 2 {
		t.Errorf("%d keys in %d parts", total, parts)
	}
	d.want(d.do("PUT", "/buckets/c/keys/%ff", "v"), 204)
	d.wantError(d.do("GET", "/buckets/c/keys?keys=true", ""), 400, kv.KindInvalid)
	d.wantError(d.do("GET", "/buckets/c/keys?keys=all", ""), 400, kv.KindInvalid)
	d.wantError(d.do("GET", "/buckets/c/keys?timeout=1", ""), 400, kv.KindInvalid)
	d.wantError(d.do("GET", "/buckets?buckets=1", ""), 400, kv.KindInvalid)
	d.listFail = kv.Errorf(kv.KindUnavailable, "list keys", "too few")
	d.wantError(d.do("GET", "/buckets/b/keys?keys=true", ""), 503, kv.KindUnavailable)
}

func TestWhatRiaksClientsAskAtFirst(t *testing.T) {
	d := newDoor(t)
	if got := d.want(d.do("GET", "/ping", ""), 200); string(got.body) != "OK" {
		t.Errorf("ping: %q", got.body)
	}
	var stats, root map[string]any
	if err := json.Unmarshal(d.want(d.do("GET", "/stats", ""), 200).body, &stats); err != nil || stats["riak_kv_version"] != riakVersion {
		t.Errorf("stats: %v, %v", stats, err)
	}
	got := d.want(d.do("GET", "/", ""), 200)
	if err := json.Unmarshal(got.body, &root); err != nil || root["riak_kv_wm_object"] != "/buckets" {
		t.Errorf("root: %v, %v", root, err)
	}
	if !strings.Contains(got.header.Get("Link"), `</buckets>; rel="riak_kv_wm_buckets"`) {
		t.Errorf("Link: %s", got.header.Get("Link"))
	}
}

// FuzzLink: a link is read as it is written.
func FuzzLink(f *testing.F) {
	f.Add(`</buckets/b/keys/k>; riaktag="t"`)
	f.Add(`</riak/b/k>; riaktag=t`)
	f.Fuzz(func(t *testing.T, s string) {
		l, ok := parseLink(s)
		if !ok {
			return
		}
		if kv.CheckKey(string(l.Bucket), string(l.Key)) != nil {
			t.Errorf("%q leads to %q, %q", s, l.Bucket, l.Key)
		}
	})
}

// FuzzFind: what a path of any form names is within the limits.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{"/types/t/buckets/b/keys/k", "/riak/b/a/b", "/types/%00/props", "/buckets", "/types/default/buckets"} {
		f.Add(seed)
	}
	d := newServer(f, Default(), io.Discard)
	d.props[kv.TypedBucket("t", "")] = kv.Props{}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := d.server.find(raw)
		if err != nil || got.bucket == "" {
			return
		}
		if got.key != "" {
			err = kv.CheckKey(got.bucket, got.key)
		} else {
			err = kv.CheckBucket(got.bucket)
		}
		if err != nil {
			t.Errorf("%q: %+v, %v", raw, got, err)
		}
	})
}

// FuzzKeyQuery: a query that is taken asks for what can be had.
func FuzzKeyQuery(f *testing.F) {
	for _, seed := range []string{"r=quorum&pr=1", "rw=all&notfound_ok=false", "w=one&pw=3&ttl=1", "n_val=3&vtag=x"} {
		f.Add(seed)
	}
	d := newServer(f, Default(), io.Discard)
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := d.server.keyQuery(raw, "b", true)
		if err == nil {
			err = q.Validate(3)
		} else if kv.KindOf(err) == kv.KindInvalid {
			return
		}
		if err != nil {
			t.Errorf("%q: %+v, %v", raw, q, err)
		}
	})
}
