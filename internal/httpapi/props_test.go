package httpapi

import (
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

const pathProps = "/buckets/b/props"

// ours returns the properties that are our own, which come first.
func ours(t *testing.T, body []byte) string {
	t.Helper()
	own, _, ok := strings.Cut(string(body), `,"name":`)
	if !ok {
		t.Fatalf("no properties of Riak's follow: %s", body)
	}
	return own + "}}"
}

func TestProps(t *testing.T) {
	d := newDoor(t)
	for _, c := range []struct{ put, want string }{
		{"", `{"props":{"r":2,"w":2,"dw":null,"merge":"siblings","ttl":0,"sla":null}}`},
		{`{"props":{}}`, `{"props":{"r":2,"w":2,"dw":null,"merge":"siblings","ttl":0,"sla":null}}`},
		{`{"props":{"r":1}}`, `{"props":{"r":1,"w":2,"dw":null,"merge":"siblings","ttl":0,"sla":null}}`},
		{`{"props":{"w":3,"dw":0}}`, `{"props":{"r":1,"w":3,"dw":0,"merge":"siblings","ttl":0,"sla":null}}`},
		{` {"props":{"merge":"lww"}} `, `{"props":{"r":1,"w":3,"dw":0,"merge":"lww","ttl":0,"sla":null}}`},
		{`{"props":{"dw":null,"merge":"siblings","ttl":0,"sla":null}}`, `{"props":{"r":1,"w":3,"dw":null,"merge":"siblings","ttl":0,"sla":null}}`},
		{`{"props":{"ttl":3153600000000}}`, `{"props":{"r":1,"w":3,"dw":null,"merge":"siblings","ttl":3153600000000,"sla":null}}`},
		{`{"props":{"r":2,"w":2,"dw":3,"merge":"siblings","ttl":0,"sla":null}}`, `{"props":{"r":2,"w":2,"dw":3,"merge":"siblings","ttl":0,"sla":null}}`},
	} {
		if c.put != "" {
			d.want(d.do("PUT", pathProps, c.put), 204)
		}
		if got := d.want(d.do("GET", pathProps, ""), 200); ours(t, got.body) != c.want {
			t.Errorf("after %s: %s, want %s", c.put, got.body, c.want)
		}
	}
	got := d.want(d.do("GET", "/buckets/other/props", ""), 200)
	if want := `{"props":{"r":2,"w":2,"dw":null,"merge":"siblings","ttl":0,"sla":null}}`; ours(t, got.body) != want {
		t.Errorf("another bucket: %s", got.body)
	}
	riaks := `,"name":"other","n_val":3,"allow_mult":true,"last_write_wins":false,"basic_quorum":false,"notfound_ok":true,"rw":"quorum","pr":0,"pw":0}}`
	if !strings.HasSuffix(string(got.body), riaks+"\n") {
		t.Errorf("Riak's properties: %s, want %s", got.body, riaks)
	}
}

func TestPropsRefuse(t *testing.T) {
	d := newDoor(t)
	for _, body := range []string{
		"", "{}", "null", "[]", `{"props":null}`, `{"props":[]}`, `{"props":{"r":2}} {}`, `{"props":{"r":2}`, `{"r":2}`,
		`{"props":{},"more":1}`, `{"props":{"n":3}}`, `{"props":{"R":1}}`, `{"props":{"r":0}}`, `{"props":{"r":4}}`,
		`{"props":{"r":-1}}`, `{"props":{"r":null}}`, `{"props":{"r":"2"}}`, `{"props":{"r":1.5}}`, `{"props":{"r":258}}`,
		`{"props":{"w":4}}`, `{"props":{"w":0}}`, `{"props":{"dw":4}}`, `{"props":{"dw":-1}}`, `{"props":{"dw":true}}`,
		`{"props":{"ttl":-1}}`, `{"props":{"ttl":3153600000001}}`, `{"props":{"ttl":null}}`, `{"props":{"ttl":"1s"}}`, `{"props":{"ttl":0.5}}`,
		`{"props":{"merge":"newest"}}`, `{"props":{"merge":1}}`, `{"props":{"merge":null}}`,
	} {
		d.wantError(d.do("PUT", pathProps, body), 400, kv.KindInvalid)
	}
	if len(d.props) > 0 {
		t.Errorf("properties were set: %v", d.props)
	}
	d.wantError(d.do("GET", pathProps+"?n=1", ""), 400, kv.KindInvalid)
	d.wantError(d.do("PUT", pathProps+"?n=1", `{"props":{}}`), 400, kv.KindInvalid)
	d.wantError(d.do("PUT", pathProps, string(make([]byte, maxAdminBody+1))), 413, kv.KindTooLarge)
}
