package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// lines reads a stream of keys, which ends with an error or without.
func lines(t *testing.T, body []byte) (keys map[string]bool, failed string) {
	t.Helper()
	keys = map[string]bool{}
	for _, l := range strings.SplitAfter(string(body), "\n") {
		if l == "" {
			return keys, failed
		}
		var v struct {
			Key   *string `json:"key"`
			Raw   []byte  `json:"key_base64"`
			Error *struct {
				Kind string `json:"kind"`
			} `json:"error"`
		}
		if err := json.Unmarshal([]byte(l), &v); err != nil || failed != "" {
			t.Fatalf("line %q: %v", l, err)
		}
		switch {
		case v.Error != nil:
			failed = v.Error.Kind
		case v.Key != nil:
			keys[*v.Key] = true
		default:
			keys[string(v.Raw)] = true
		}
	}
	t.Fatal("the last line is cut")
	return nil, ""
}

func TestKeys(t *testing.T) {
	d := newDoor(t)
	want := map[string]bool{}
	for _, k := range []string{"a", "a/b", "\x00", "\xff\xfe", "é<&>\u2028", "\"\\\n", "\ufffd", strings.Repeat("\xfe", kv.MaxKey)} {
		d.want(d.do("PUT", "/buckets/b/keys/"+url.PathEscape(k), "v"), 204)
		want[k] = true
	}
	for i := range 3000 {
		k := fmt.Sprintf("key %d", i)
		d.want(d.do("PUT", "/buckets/b/keys/"+url.PathEscape(k), ""), 204)
		want[k] = true
	}
	d.want(d.do("PUT", "/buckets/other/keys/x", "v"), 204)
	d.want(d.do("DELETE", "/buckets/b/keys/deleted", ""), 204)
	r := d.want(d.do("GET", "/buckets/b/keys", ""), 200)
	got, failed := lines(t, r.body)
	if diff := cmp.Diff(want, got); diff != "" || failed != "" {
		t.Errorf("failed %q, keys (-want +got):\n%.1000s", failed, diff)
	}
	if ct := r.header.Get("Content-Type"); ct != typeNDJSON {
		t.Errorf("type %q", ct)
	}
	if r := d.want(d.do("GET", "/buckets/empty/keys", ""), 200); len(r.body) > 0 {
		t.Errorf("an empty bucket has %q", r.body)
	}
	if r := d.want(d.do("HEAD", "/buckets/b/keys", ""), 200); r.header.Get("Content-Type") != typeNDJSON {
		t.Errorf("HEAD: %v", r.header)
	}
	d.wantError(d.do("GET", "/buckets/b/keys?stream=true", ""), 400, kv.KindInvalid)
}

func TestKeysThatFail(t *testing.T) {
	d := newDoor(t)
	d.listFail = kv.Errorf(kv.KindUnavailable, "list keys", "a partition is away")
	d.wantError(d.do("GET", "/buckets/b/keys", ""), 503, kv.KindUnavailable)
	d.want(d.do("PUT", "/buckets/b/keys/k", "v"), 204)
	keys, failed := lines(t, d.want(d.do("GET", "/buckets/b/keys", ""), 200).body)
	if len(keys) != 1 || failed != "unavailable" {
		t.Errorf("%d keys, failed %q", len(keys), failed)
	}
}

// pausing is a store whose Keys goes on after its first key only when told.
type pausing struct {
	*model
	resume chan struct{}
}

func (p pausing) Keys(ctx context.Context, _ string, fn func([]byte) error) error {
	if err := fn([]byte("first")); err != nil {
		return err
	}
	select {
	case <-p.resume:
		return fn([]byte("second"))
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestKeysAreFlushedAsTheyCome(t *testing.T) {
	d := newDoor(t)
	p := pausing{d.model, make(chan struct{})}
	d.server.parts.Store = p
	resp, err := d.client.Get(d.url + "/buckets/b/keys")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	if !in.Scan() || in.Text() != `{"key":"first"}` {
		t.Fatalf("first line %q: %v", in.Text(), in.Err())
	}
	close(p.resume)
	if !in.Scan() || in.Text() != `{"key":"second"}` {
		t.Fatalf("second line %q: %v", in.Text(), in.Err())
	}
}

func TestKeysStopWhenTheClientLeaves(t *testing.T) {
	d := newDoor(t)
	stopped := make(chan struct{})
	d.server.parts.Store = leaving{d.model, stopped}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", d.url+"/buckets/b/keys", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := d.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	cancel()
	<-stopped
}

// leaving is a store with keys without end, until fn fails or ctx ends.
type leaving struct {
	*model
	stopped chan struct{}
}

func (l leaving) Keys(ctx context.Context, _ string, fn func([]byte) error) error {
	defer close(l.stopped)
	for ctx.Err() == nil {
		if err := fn([]byte("again")); err != nil {
			return err
		}
	}
	return ctx.Err()
}
