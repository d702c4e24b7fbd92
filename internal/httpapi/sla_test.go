package httpapi

import (
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

const pathSLA = "/cluster/sla"

func TestClusterSLA(t *testing.T) {
	d := newDoor(t)
	for _, c := range []struct{ put, want string }{
		{"", `{"sla":{"get":"99.9% < 300ms","put":"99.9% < 300ms"},"buckets":{}}`},
		{`{"sla":"99% of puts < 50ms"}`, `{"sla":{"get":"99.9% < 300ms","put":"99% < 50ms"},"buckets":{}}`},
		{`{"sla":{"get":"100% < 1s"}}`, `{"sla":{"get":"100% < 1s","put":"99% < 50ms"},"buckets":{}}`},
		{`{"sla":{"put":null}}`, `{"sla":{"get":"100% < 1s","put":"99.9% < 300ms"},"buckets":{}}`},
		{`{"sla":{}}`, `{"sla":{"get":"100% < 1s","put":"99.9% < 300ms"},"buckets":{}}`},
		{`{"sla":"95% < 7ms"}`, `{"sla":{"get":"95% < 7ms","put":"95% < 7ms"},"buckets":{}}`},
		{`{"sla":null}`, `{"sla":{"get":"99.9% < 300ms","put":"99.9% < 300ms"},"buckets":{}}`},
	} {
		if c.put != "" {
			d.want(d.do("PUT", pathSLA, c.put), 204)
		}
		if got := d.want(d.do("GET", pathSLA, ""), 200); string(got.body) != c.want+"\n" {
			t.Errorf("after %s: %s, want %s", c.put, got.body, c.want)
		}
	}
	d.want(d.do("PUT", pathProps, `{"props":{"sla":"99.9% of puts < 20ms"}}`), 204)
	d.want(d.do("PUT", "/buckets/other/props", `{"props":{"sla":null}}`), 204)
	want := `{"sla":{"get":"99.9% < 300ms","put":"99.9% < 300ms"},"buckets":{"b":{"get":null,"put":"99.9% < 20ms"}}}`
	if got := d.want(d.do("GET", pathSLA, ""), 200); string(got.body) != want+"\n" {
		t.Errorf("%s, want %s", got.body, want)
	}
}

func TestSLARefuses(t *testing.T) {
	d := newDoor(t)
	for _, body := range []string{
		"", "{}", "null", `{"sla":1}`, `{"sla":[]}`, `{"sla":""}`, `{"sla":"fast"}`, `{"sla":"99.9% of deletes < 1s"}`, `{"sla":{"delete":"99% < 1s"}}`,
		`{"sla":{"get":5}}`, `{"sla":{"get":"99.9% of puts < 1s"}}`, `{"sla":{"put":"101% < 1s"}}`, `{"sla":{"put":"99% < 2m"}}`, `{"sla":{"put":""}}`, `{"sla":null,"more":1}`,
	} {
		d.wantError(d.do("PUT", pathSLA, body), 400, kv.KindInvalid)
	}
	d.wantError(d.do("PUT", pathProps, `{"props":{"sla":"fast"}}`), 400, kv.KindInvalid)
	if d.sla != (kv.SLA{}) || len(d.props) > 0 {
		t.Errorf("set: %v, %v", d.sla, d.props)
	}
	d.wantError(d.do("GET", pathSLA+"?n=1", ""), 400, kv.KindInvalid)
	d.wantError(d.do("PUT", pathSLA+"?n=1", `{"sla":null}`), 400, kv.KindInvalid)
}

func TestSLAOfABucket(t *testing.T) {
	d := newDoor(t)
	for _, c := range []struct{ put, want string }{
		{`"99.9% of puts < 300ms"`, `{"get":null,"put":"99.9% < 300ms"}`},
		{`{"get":"99% < 5ms"}`, `{"get":"99% < 5ms","put":"99.9% < 300ms"}`},
		{`{"get":"99% < 5ms","put":null}`, `{"get":"99% < 5ms","put":null}`},
		{`null`, `null`},
	} {
		d.want(d.do("PUT", pathProps, `{"props":{"sla":`+c.put+`}}`), 204)
		want := `{"props":{"r":2,"w":2,"dw":null,"merge":"siblings","ttl":0,"sla":` + c.want + `}}`
		got := d.want(d.do("GET", pathProps, ""), 200)
		if ours(t, got.body) != want {
			t.Errorf("after %s: %s, want %s", c.put, got.body, want)
		}
		// What a GET shows may be sent back, and changes nothing.
		d.want(d.do("PUT", pathProps, string(got.body)), 204)
		if again := d.want(d.do("GET", pathProps, ""), 200); string(again.body) != string(got.body) {
			t.Errorf("sent back: %s, want %s", again.body, got.body)
		}
	}
}
