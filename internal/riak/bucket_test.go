package riak

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

func TestBucketProperties(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	shown := func(f m) reply {
		return reply{body: c.want(pb.GetBucketResp, pb.GetBucketReq, f).all(1)[0]}
	}
	if p := shown(m{1: "b"}); p.number(1) != 3 || p.number(2) != 1 || p.number(3) != 0 || p.number(20) != 0 || p.number(21) != 1 {
		t.Errorf("of a new bucket: %x", p.body)
	}
	c.want(pb.SetBucketResp, pb.SetBucketReq, m{1: "b", 2: m{3: true, 15: 4294967292, 16: 1, 20: true, 21: false, 30: 60}})
	if p := shown(m{1: "b"}); p.number(2) != 0 || p.number(3) != 1 || p.number(15) != 4294967292 || p.number(16) != 1 || p.number(30) != 60 {
		t.Errorf("as they were set: %x", p.body)
	}
	if p := d.Props("b"); p.Merge != kv.MergeLWW || p.R != 3 || p.W != 1 || p.TTL != 60_000 {
		t.Errorf("in the store: %+v", p)
	}
	c.want(pb.ResetBucketResp, pb.ResetBucketReq, m{1: "b"})
	if p := shown(m{1: "b"}); p.number(2) != 0 || p.number(3) != 0 || p.number(15) != 4294967293 || p.number(21) != 1 {
		t.Errorf("after a reset: %x", p.body)
	}
	for text, f := range map[string]m{
		"Invalid bucket properties: n_val=5": {1: "b", 2: m{1: 5}},
		"datatype: Ringtail does not have":   {1: "b", 2: m{26: "map"}},
		"it has no props":                    {1: "b"},
		"No bucket-type named 'nix'":         {1: "b", 2: m{2: true}, 3: "nix"},
	} {
		if got := c.fails(pb.SetBucketReq, f); !strings.Contains(got, text) {
			t.Errorf("%q, want %q in it", got, text)
		}
	}
}

func TestBucketTypes(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	if got := c.fails(pb.GetBucketTypeReq, m{1: "t"}); got != "Invalid bucket type: t" {
		t.Errorf("%q", got)
	}
	if got := c.fails(pb.SetBucketTypeReq, m{1: "t", 2: m{2: true}}); got != "Invalid bucket properties: not_active" {
		t.Errorf("%q", got)
	}
	if got := c.fails(pb.SetBucketTypeReq, m{1: "default", 2: m{2: true}}); !strings.Contains(got, "the cluster's") {
		t.Errorf("%q", got)
	}
	c.want(pb.GetBucketResp, pb.GetBucketTypeReq, m{1: "default"})
	d.props[kv.TypedBucket("t", "")] = d.Props("")
	c.want(pb.SetBucketResp, pb.SetBucketTypeReq, m{1: "t", 2: m{15: 1, 3: true}})
	p := reply{body: c.want(pb.GetBucketResp, pb.GetBucketReq, m{1: "b", 2: "t"}).all(1)[0]}
	if p.number(15) != 1 || p.number(3) != 1 {
		t.Errorf("a bucket of the type: %x", p.body)
	}
	c.want(pb.PutResp, pb.PutReq, put("k", "of t", m{16: "t"}))
	c.want(pb.PutResp, pb.PutReq, put("k", "of none", m{16: "default"}))
	same(t, "in the type", c.want(pb.GetResp, pb.GetReq, m{1: "b", 2: "k", 13: "t"}).values(), "of t")
	same(t, "without", c.want(pb.GetResp, pb.GetReq, get("k")).values(), "of none")
	for typ, want := range map[string]string{"t": "b", "default": "b", "": "b"} {
		if r := c.want(pb.ListBucketsResp, pb.ListBucketsReq, m{3: typ}); len(r.all(1)) != 1 || r.text(1) != want {
			t.Errorf("buckets of %q: %q", typ, r.all(1))
		}
	}
	c.want(pb.SetBucketResp, pb.SetBucketReq, m{1: "b", 3: "t", 2: m{15: 3}})
	c.want(pb.ResetBucketResp, pb.ResetBucketReq, m{1: "b", 2: "t"})
	if p := d.Props(kv.TypedBucket("t", "b")); p.R != 1 {
		t.Errorf("a reset gives a bucket of a type %+v", p)
	}
	for _, f := range []m{{1: strings.Repeat("b", 250), 2: "k", 13: "type t"}, {1: "b", 2: "k", 13: strings.Repeat("t", 300)}} {
		c.fails(pb.GetReq, f)
	}
}

func TestListings(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	const keys = 3000
	for i := range keys {
		c.want(pb.PutResp, pb.PutReq, put(fmt.Sprintf("key %08d", i), "v", nil))
	}
	read := func(code pb.Code, fields m) (names, parts int) {
		c.send(frame(code, fields.bytes()))
		for parts = 1; ; parts++ {
			r := c.read()
			if names += len(r.all(1)); r.number(2) == 1 {
				return names, parts
			}
		}
	}
	if names, parts := read(pb.ListKeysReq, m{1: "b"}); names != keys || parts < 3 {
		t.Errorf("%d keys in %d messages", names, parts)
	}
	if names, parts := read(pb.ListKeysReq, m{1: "empty"}); names != 0 || parts != 1 {
		t.Errorf("%d keys in %d messages of a bucket without any", names, parts)
	}
	if names, parts := read(pb.ListBucketsReq, m{2: true}); names != 1 || parts != 1 {
		t.Errorf("%d buckets in %d messages", names, parts)
	}
	d.listed, d.listFail = 2000, kv.Errorf(kv.KindUnavailable, "list keys", "too few")
	c.send(frame(pb.ListKeysReq, m{1: "b"}.bytes()))
	r := c.read()
	for r.code == pb.ListKeysResp {
		if r.number(2) == 1 {
			t.Fatal("a listing that fails says that it is done")
		}
		r = c.read()
	}
	if r.code != pb.ErrorResp || !strings.Contains(r.text(1), "too few") {
		t.Errorf("a listing that fails ends with %d, %q", r.code, r.body)
	}
	c.want(pb.PingResp, pb.PingReq, nil)
}

func TestIntroductions(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	info := c.want(pb.GetServerInfoResp, pb.GetServerInfoReq, nil)
	if info.text(1) != "n1" || info.text(2) != Release+" (Ringtail 0.1)" {
		t.Errorf("%q, %q", info.text(1), info.text(2))
	}
	c.want(pb.SetClientIDResp, pb.SetClientIDReq, m{1: "me"})
	if id := c.want(pb.GetClientIDResp, pb.GetClientIDReq, nil).text(1); id != "me" {
		t.Errorf("the client is %q", id)
	}
	c.fails(pb.SetClientIDReq, m{1: strings.Repeat("x", 256)})
	list := c.want(pb.GetPreflistResp, pb.GetPreflistReq, get("k")).all(1)
	if len(list) != 2 || (reply{body: list[1]}).text(2) != "n4" || (reply{body: list[1]}).number(3) != 0 || (reply{body: list[0]}).number(3) != 1 {
		t.Errorf("%x", list)
	}
}
