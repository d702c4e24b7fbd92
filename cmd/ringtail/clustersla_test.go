package main

import (
	"net/http"
	"testing"

	"github.com/ringtaildb/ringtail/internal/httpapi"
)

func TestSLAShowsAndChanges(t *testing.T) {
	page := httpapi.SLAView{
		SLA:     httpapi.SLATexts{Get: new("99.9% < 300ms"), Put: new("99% < 50ms")},
		Buckets: map[string]*httpapi.SLATexts{"carts": {Put: new("99.9% < 20ms")}, "a": {Get: new("50% < 1ms")}},
	}
	n := serveJSON(t, page)
	want := `BUCKET     GETS           PUTS
(cluster)  99.9% < 300ms  99% < 50ms
a          50% < 1ms      -
carts      -              99.9% < 20ms
`
	for _, c := range []struct {
		args       []string
		first      string
		wantMethod string
	}{
		{[]string{"cluster", "sla", "--show"}, "", http.MethodGet},
		{[]string{"cluster", "sla"}, "", http.MethodGet},
		{[]string{"cluster", "sla", "99% of puts < 50ms"}, `{"sla":"99% of puts \u003c 50ms"}`, http.MethodPut},
		{[]string{"cluster", "sla", "default"}, `{"sla":null}`, http.MethodPut},
	} {
		n.first = nil
		got := ringtail(t, "", append(c.args, "--addr", n.addr)...)
		if got.status != exitOK || got.out != want || n.first.method != c.wantMethod || n.first.body != c.first || n.last.path != "/cluster/sla" || n.last.method != http.MethodGet {
			t.Errorf("%v: %+v, asked %+v first", c.args, got, n.first)
		}
	}
	n = serveJSON(t, map[string]any{})
	n.first = nil
	if got := ringtail(t, "", "cluster", "props", "carts", "--sla", "99.9% < 20ms", "--addr", n.addr); got.status != exitOK || n.first.body != `{"props":{"sla":"99.9% of gets and puts \u003c 20ms"}}` {
		t.Errorf("%+v, asked %+v", got, n.first)
	}
}
