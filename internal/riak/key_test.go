package riak

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

func value(v string) m { return m{1: v} }

func get(key string) m { return m{1: "b", 2: key} }

func put(key, v string, more m) m {
	f := m{1: "b", 2: key, 4: value(v)}
	for num, x := range more {
		f[num] = x
	}
	return f
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestLifeOfAKey(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	if r := c.want(pb.GetResp, pb.GetReq, get("k")); len(r.body) > 0 {
		t.Errorf("a key that was never put: %x", r.body)
	}
	if r := c.want(pb.PutResp, pb.PutReq, put("k", "one", nil)); len(r.body) > 0 {
		t.Errorf("a put answers %x", r.body)
	}
	c.want(pb.PutResp, pb.PutReq, put("k", "two", nil))
	both := c.want(pb.GetResp, pb.GetReq, get("k"))
	same(t, "put twice, blindly", both.values(), "one", "two")
	r := c.want(pb.PutResp, pb.PutReq, put("k", "three", m{3: both.text(2), 7: true}))
	same(t, "resolved", r.values(), "three")
	c.want(pb.PutResp, pb.PutReq, put("k", "late", m{3: both.text(2)}))
	r = c.want(pb.GetResp, pb.GetReq, get("k"))
	same(t, "an old context loses nothing", r.values(), "three", "late")
	stale := r.text(2)
	c.want(pb.PutResp, pb.PutReq, put("k", "unseen", nil))
	c.want(pb.DelResp, pb.DelReq, m{1: "b", 2: "k", 4: stale})
	same(t, "what a delete has not seen stays", c.want(pb.GetResp, pb.GetReq, get("k")).values(), "unseen", "(deleted)")
	c.want(pb.DelResp, pb.DelReq, get("k"))
	if r := c.want(pb.GetResp, pb.GetReq, get("k")); len(r.body) > 0 {
		t.Errorf("a deleted key: %x", r.body)
	}
	gone := c.want(pb.GetResp, pb.GetReq, m{1: "b", 2: "k", 9: true})
	if gone.text(2) == "" || len(gone.all(1)) > 0 {
		t.Errorf("the context of a deleted key: %x", gone.body)
	}
	c.want(pb.PutResp, pb.PutReq, put("k", "back", m{3: gone.text(2)}))
	same(t, "put again", c.want(pb.GetResp, pb.GetReq, get("k")).values(), "back")
	if n := d.metrics.Requests[metrics.DoorRiak].Load(); n != 15 {
		t.Errorf("%d requests were counted, want 15", n)
	}
}

func TestHeadsAndBodies(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	r := c.want(pb.PutResp, pb.PutReq, put("k", "v", m{11: true}))
	same(t, "a put that returns the head", r.values(), "")
	if r.text(2) == "" {
		t.Error("it has no context")
	}
	head := c.want(pb.GetResp, pb.GetReq, m{1: "b", 2: "k", 8: true})
	same(t, "a get of the head", head.values(), "")
	one := reply{body: head.all(1)[0]}
	if one.text(5) == "" || one.number(7) != 1 || one.number(8) != 0 {
		t.Errorf("vtag %q, last modified %d %d", one.text(5), one.number(7), one.number(8))
	}
	same(t, "both", c.want(pb.PutResp, pb.PutReq, put("k", "w", m{3: r.text(2), 7: true, 11: true})).values(), "w")
}

func TestKeysThatTheServerMakes(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	a := c.want(pb.PutResp, pb.PutReq, m{1: "b", 4: value("v")})
	b := c.want(pb.PutResp, pb.PutReq, m{1: "b", 2: "", 4: value("v"), 7: true})
	if a.text(3) == "" || a.text(3) == b.text(3) || len(a.all(1)) > 0 || len(b.all(1)) != 1 {
		t.Errorf("keys %q and %q, %x", a.text(3), b.text(3), a.body)
	}
	same(t, "it can be read", c.want(pb.GetResp, pb.GetReq, get(a.text(3))).values(), "v")
}

func TestConditions(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	none, unmodified := m{10: true}, func(seen string) m { return m{3: seen, 9: true} }
	if got := c.fails(pb.PutReq, put("k", "v", unmodified("x"))); got != "notfound" {
		t.Errorf("if_not_modified of nothing: %q", got)
	}
	c.want(pb.PutResp, pb.PutReq, put("k", "one", none))
	if got := c.fails(pb.PutReq, put("k", "two", none)); got != "match_found" {
		t.Errorf("if_none_match: %q", got)
	}
	seen := c.want(pb.GetResp, pb.GetReq, get("k")).text(2)
	if r := c.want(pb.GetResp, pb.GetReq, m{1: "b", 2: "k", 7: seen}); r.number(3) != 1 || len(r.all(1)) > 0 {
		t.Errorf("if_modified: %x", r.body)
	}
	c.want(pb.PutResp, pb.PutReq, put("k", "two", unmodified(seen)))
	if got := c.fails(pb.PutReq, put("k", "three", unmodified(seen))); got != "modified" {
		t.Errorf("if_not_modified: %q", got)
	}
	same(t, "if_modified, of what was", c.want(pb.GetResp, pb.GetReq, m{1: "b", 2: "k", 7: seen}).values(), "two")
	c.want(pb.DelResp, pb.DelReq, get("k"))
	c.want(pb.PutResp, pb.PutReq, put("k", "anew", none))
	if d.puts != 4 {
		t.Errorf("%d puts were applied, want 4", d.puts)
	}
	d.fail = &kv.Error{Op: "get", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown, Err: errors.New("late")}
	if r := c.want(pb.ErrorResp, pb.PutReq, put("k", "v", none)); r.number(2) != codeNotApplied {
		t.Error("a read before a put that fails leaves it open whether that was applied")
	}
}

func TestMetaIsKept(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	content := m{
		1: "v", 2: "text/plain", 3: "utf-8", 4: "gzip", 6: []any{m{1: "b", 2: "k", 3: "t"}},
		9: []any{m{1: "u", 2: "w"}, m{1: "x"}}, 10: []any{m{1: "i_int", 2: "7"}}, 12: 60,
	}
	c.want(pb.PutResp, pb.PutReq, m{1: "b", 2: "k", 4: content})
	got := reply{body: c.want(pb.GetResp, pb.GetReq, get("k")).all(1)[0]}
	for num, want := range map[int]string{1: "v", 2: "text/plain", 3: "utf-8", 4: "gzip"} {
		if got.text(num) != want {
			t.Errorf("field %d is %q, want %q", num, got.text(num), want)
		}
	}
	for num, want := range map[int]int{6: 1, 9: 2, 10: 1} {
		if n := len(got.all(num)); n != want {
			t.Errorf("field %d comes %d times, want %d", num, n, want)
		}
	}
	if got.number(12) != 60 {
		t.Errorf("it lives for %d s", got.number(12))
	}
}

func TestQuorumsReachTheStore(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	d.props["strict"] = kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: 1}, Meta: "\x01\x00\x00\x00\x00\x00\x01\xfc"}
	const one, quorum, all, usual = 4294967294, 4294967293, 4294967292, 4294967291
	options := func(change func(*kv.Options)) kv.Options {
		o := kv.Defaults()
		change(&o)
		return o
	}
	for _, x := range []struct {
		name string
		code pb.Code
		f    m
		want kv.Options
	}{
		{"nothing", pb.GetReq, m{}, kv.Defaults()},
		{"default", pb.GetReq, m{3: usual, 4: usual}, kv.Defaults()},
		{"one", pb.GetReq, m{3: one}, options(func(o *kv.Options) { o.R = 1 })},
		{"quorum", pb.GetReq, m{3: quorum}, options(func(o *kv.Options) { o.R = 2 })},
		{"all", pb.GetReq, m{3: all}, options(func(o *kv.Options) { o.R = 3 })},
		{"a number and a timeout", pb.GetReq, m{3: 2, 10: 50}, options(func(o *kv.Options) { o.R, o.Timeout = 2, 50*time.Millisecond })},
		{"a timeout past ours", pb.GetReq, m{10: 4294967295}, options(func(o *kv.Options) { o.Timeout = kv.MaxTimeout })},
		{"pr", pb.GetReq, m{3: 1, 4: 2}, options(func(o *kv.Options) { o.R, o.Strict = 2, true })},
		{"pr below r", pb.GetReq, m{4: one}, options(func(o *kv.Options) { o.R, o.Strict = 2, true })},
		{"no pr", pb.GetReq, m{4: 0}, kv.Defaults()},
		{"no stand-ins", pb.GetReq, m{11: false}, options(func(o *kv.Options) { o.Strict = true })},
		{"the bucket's pr", pb.GetReq, m{1: "strict"}, options(func(o *kv.Options) { o.R, o.Strict = 2, true })},
		{"the bucket's pw", pb.PutReq, m{1: "strict"}, options(func(o *kv.Options) { o.W, o.Strict = 3, true })},
		{"w and dw", pb.PutReq, m{5: all, 6: 0}, options(func(o *kv.Options) { o.W, o.DW = 3, 0 })},
		{"pw", pb.PutReq, m{5: 1, 8: quorum}, options(func(o *kv.Options) { o.W, o.Strict = 2, true })},
		{"rw", pb.DelReq, m{3: all}, options(func(o *kv.Options) { o.R, o.W = 3, 3 })},
		{"w before rw", pb.DelReq, m{3: all, 6: 1, 5: one}, options(func(o *kv.Options) { o.R, o.W = 1, 1 })},
	} {
		f := m{1: "b", 2: "k"}
		if x.code == pb.PutReq {
			f[4] = value("v")
		}
		for num, v := range x.f {
			f[num] = v
		}
		if r := c.ask(x.code, f); r.code == pb.ErrorResp {
			t.Errorf("%s: %s", x.name, r.text(1))
			continue
		}
		if diff := cmp.Diff(x.want, d.last()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", x.name, diff)
		}
	}
}

func TestRefusals(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	long := strings.Repeat("x", kv.MaxKey+1)
	for text, x := range map[string]struct {
		code pb.Code
		f    m
	}{
		"Bucket cannot be zero-length":        {pb.GetReq, m{2: "k"}},
		"Key cannot be zero-length":           {pb.GetReq, m{1: "b"}},
		"No bucket-type named 'nix'":          {pb.PutReq, put("k", "v", m{16: "nix"})},
		"the key has 4097 bytes":              {pb.DelReq, get(long)},
		"the bucket has 256 bytes":            {pb.GetReq, m{1: long[:256], 2: "k"}},
		"n_val=5: it belongs to the cluster":  {pb.GetReq, m{1: "b", 2: "k", 12: 5}},
		"r=4: {n_val_violation,3}":            {pb.GetReq, m{1: "b", 2: "k", 3: 4}},
		"pw=4: {n_val_violation,3}":           {pb.PutReq, put("k", "v", m{8: 4})},
		"asis:":                               {pb.PutReq, put("k", "v", m{13: true})},
		"it has no content":                   {pb.PutReq, m{1: "b", 2: "k"}},
		"bad context":                         {pb.PutReq, put("k", "v", m{3: "forged"})},
		"the content type has 256 bytes":      {pb.PutReq, m{1: "b", 2: "k", 4: m{1: "v", 2: long[:256]}}},
		"the value has 1048577 bytes":         {pb.PutReq, put("k", strings.Repeat("v", kv.MaxValue+1), nil)},
		"Ringtail has no data types":          {pb.DtFetchReq, m{1: "b"}},
		"Ringtail has no secondary indexes":   {pb.IndexReq, m{1: "b"}},
		"Ringtail has no map-reduce":          {pb.MapRedReq, m{1: "b"}},
		"Ringtail has no search":              {pb.YZSchemaGetReq, m{1: "b"}},
		"Unknown message code: 77":            {77, nil},
		"Security not enabled; STARTTLS not ": {pb.StartTLS, nil},
		"Security not enabled; auth":          {pb.AuthReq, m{1: "u", 2: "p"}},
		"field 1 is no bytes":                 {pb.GetReq, m{1: 7}},
	} {
		if got := c.fails(x.code, x.f); !strings.Contains(got, text) {
			t.Errorf("%q, want %q in it", got, text)
		}
		c.want(pb.PingResp, pb.PingReq, nil)
	}
	if d.puts > 0 {
		t.Errorf("%d puts were applied", d.puts)
	}
}

func TestErrorsSayWhetherAWriteWasApplied(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	for _, x := range []struct {
		err  *kv.Error
		text string
		code int64
	}{
		{&kv.Error{Op: "put", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown}, "timeout", codeUnknown},
		{&kv.Error{Op: "put", Kind: kv.KindTimeout}, "timeout", codeNotApplied},
		{&kv.Error{Op: "put", Kind: kv.KindUnavailable, Err: errors.New("1 of 3")}, "unavailable: put: 1 of 3", codeNotApplied},
	} {
		d.fail = x.err
		if r := c.want(pb.ErrorResp, pb.PutReq, put("k", "v", nil)); r.text(1) != x.text || r.number(2) != x.code {
			t.Errorf("%q, %d; want %q, %d", r.text(1), r.number(2), x.text, x.code)
		}
	}
}

func TestLookFurther(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	for _, x := range []struct {
		name string
		f    m
		want []int8
	}{
		{"notfound is believed", m{3: 1}, []int8{1}},
		{"all are asked", m{3: 1, 6: false}, []int8{1, 3}},
		{"a majority", m{3: 1, 6: false, 5: true}, []int8{1, 2}},
		{"which has been asked", m{3: 2, 6: false, 5: true}, []int8{2}},
	} {
		d.asked = nil
		f := get("nothing")
		for num, v := range x.f {
			f[num] = v
		}
		c.want(pb.GetResp, pb.GetReq, f)
		var asked []int8
		for _, o := range d.asked {
			asked = append(asked, o.R)
		}
		if diff := cmp.Diff(x.want, asked); diff != "" {
			t.Errorf("%s (-want +got):\n%s", x.name, diff)
		}
	}
}
