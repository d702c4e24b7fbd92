package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

var background = context.Background()

// values returns the siblings' values, sorted as they come, in one string.
func values(r client.Result) string {
	var s []string
	for _, sib := range r.Siblings {
		s = append(s, string(sib.Value))
	}
	return strings.Join(s, ",")
}

// wantError fails the test unless err is an Error of that kind and meaning.
func wantError(t *testing.T, err error, kind client.Kind, applied client.Applied) *client.Error {
	t.Helper()
	var e *client.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Applied != applied {
		t.Fatalf("got %#v (%v), want kind %q, applied %v", err, err, kind, applied)
	}
	return e
}

// must fails the test with an error.
func must(t *testing.T) func(client.Result, error) client.Result {
	return func(r client.Result, err error) client.Result {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
}

func TestLifeOfAKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok := must(t)
		b := newCluster(t, 3).dial().Bucket("b")
		if r := ok(b.Get(background, "k")); r.Found() || r.Deleted || len(r.Context) > 0 {
			t.Errorf("before the first put: %+v", r)
		}
		put := ok(b.Put(background, "k", nil, []byte("one"), client.ContentType("text/plain")))
		if put.Found() || len(put.Context) == 0 {
			t.Errorf("put without a body: %+v", put)
		}
		r := ok(b.Get(background, "k"))
		if values(r) != "one" || r.Siblings[0].ContentType != "text/plain" || !r.Siblings[0].Modified.Equal(time.Now()) {
			t.Errorf("after the first put: %+v", r)
		}
		ok(b.Put(background, "k", put.Context, []byte("two")))
		old := ok(b.Put(background, "k", r.Context, []byte("three")))
		if len(old.Context) > 0 {
			t.Error("a put that left two siblings gave a context")
		}
		r = ok(b.Get(background, "k"))
		if values(r) != "two,three" || r.Siblings[0].ContentType != "" {
			t.Errorf("after two concurrent puts: %+v", r)
		}
		r = ok(b.Put(background, "k", r.Context, []byte("four"), client.ReturnBody(true)))
		if values(r) != "four" {
			t.Errorf("after a put that covers both: %+v", r)
		}
		ok(b.Put(background, "k", nil, []byte("five")))
		ok(b.Delete(background, "k", r.Context))
		if r = ok(b.Get(background, "k")); values(r) != "five" || !r.Deleted {
			t.Errorf("after a delete of one of two: %+v", r)
		}
		ok(b.Delete(background, "k", r.Context))
		if r = ok(b.Get(background, "k")); r.Found() || !r.Deleted || len(r.Context) == 0 {
			t.Errorf("after the delete: %+v", r)
		}
	})
}

func TestBytesComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ok := must(t)
		b := newCluster(t, 1).dial().Bucket(strings.Repeat("\xff", kv.MaxBucket))
		for _, key := range []string{"a", "\x00", "a/b", strings.Repeat("k", kv.MaxKey)} {
			for _, size := range []int{0, 1, 1000, wire.MaxChunk, kv.MaxValue} {
				want := bytes.Repeat([]byte{byte(size), 0, 0xff}, size/3+1)[:size]
				seen := ok(b.Get(background, key)).Context
				ok(b.Put(background, key, seen, want))
				r := ok(b.Get(background, key))
				if len(r.Siblings) != 1 || !bytes.Equal(r.Siblings[0].Value, want) {
					t.Errorf("key of %d bytes, value of %d: not what was put", len(key), size)
				}
			}
		}
	})
}

func TestLimits(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	ctx, cancel := context.WithCancel(background)
	cancel()
	for _, c := range []struct {
		name        string
		ctx         context.Context
		bucket, key string
		seen        int
		value       int
		opt         client.Option
		kind        client.Kind
	}{
		{name: "all at their limits", bucket: long(255), key: long(4096), value: 1 << 20, opt: client.ContentType(long(255))},
		{name: "no bucket", key: "k", kind: client.KindInvalid},
		{name: "no key", bucket: "b", kind: client.KindInvalid},
		{name: "bucket", bucket: long(256), key: "k", kind: client.KindTooLarge},
		{name: "key", bucket: "b", key: long(4097), kind: client.KindTooLarge},
		{name: "value", bucket: "b", key: "k", value: 1<<20 + 1, kind: client.KindTooLarge},
		{name: "content type", bucket: "b", key: "k", opt: client.ContentType(long(256)), kind: client.KindTooLarge},
		{name: "forged context", bucket: "b", key: "k", seen: 100, kind: client.KindBadContext},
		{name: "long context", bucket: "b", key: "k", seen: 1 << 18, kind: client.KindBadContext},
		{name: "r=0", bucket: "b", key: "k", opt: client.R(0), kind: client.KindInvalid},
		{name: "r=17", bucket: "b", key: "k", opt: client.R(17), kind: client.KindInvalid},
		{name: "r=16", bucket: "b", key: "k", opt: client.R(16)},
		{name: "w=0", bucket: "b", key: "k", opt: client.W(0), kind: client.KindInvalid},
		{name: "w=257", bucket: "b", key: "k", opt: client.W(257), kind: client.KindInvalid},
		{name: "dw=0", bucket: "b", key: "k", opt: client.DW(0)},
		{name: "dw=-2", bucket: "b", key: "k", opt: client.DW(-2), kind: client.KindInvalid},
		{name: "timeout", bucket: "b", key: "k", opt: client.Timeout(60*time.Second + 1), kind: client.KindInvalid},
		{name: "done context", ctx: ctx, bucket: "b", key: "k", kind: client.KindTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(t, 1)
				if c.ctx == nil {
					c.ctx = background
				}
				var opts []client.Option
				if c.opt != (client.Option{}) {
					opts = append(opts, c.opt)
				}
				_, err := cl.dial().Bucket(c.bucket).Put(c.ctx, c.key, make(client.Context, c.seen), make([]byte, c.value), opts...)
				if c.kind == "" {
					must(t)(client.Result{}, err)
					return
				}
				wantError(t, err, c.kind, client.AppliedNo)
				if cl.writes() > 0 {
					t.Error("it was applied")
				}
			})
		})
	}
}

func TestOptionsTravel(t *testing.T) {
	type sent struct {
		R, W, DW int8
		Flags    wire.RequestFlags
	}
	for _, c := range []struct {
		name                  string
		dial, bucket, request []client.Option
		want                  sent
	}{
		{name: "none", want: sent{-1, -1, -1, 0}},
		{
			name: "request", request: []client.Option{client.R(1), client.W(2), client.DW(0), client.Strict(true), client.ReturnBody(true)},
			want: sent{1, 2, 0, wire.FlagStrict | wire.FlagReturnBody},
		},
		{
			name: "the nearest counts", dial: []client.Option{client.R(1), client.W(1), client.DW(1), client.Strict(true)},
			bucket: []client.Option{client.W(2), client.DW(2)}, request: []client.Option{client.DW(client.Default), client.Strict(false)},
			want: sent{1, 2, -1, 0},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(t, 1)
				var dial []client.DialOption
				for _, o := range c.dial {
					dial = append(dial, o)
				}
				b := cl.dial(dial...).Bucket("b", c.bucket...)
				must(t)(b.Get(background, "k", c.request...))
				must(t)(b.Put(background, "k", nil, nil, c.request...))
				must(t)(b.Delete(background, "k", nil, c.request...))
				n := cl.nodes[0]
				for i, g := range []wire.Get{n.mu.gets[0], n.mu.puts[0].Get, n.mu.puts[1].Get} {
					want := c.want
					if i == 2 {
						want.Flags |= wire.FlagDeleted
					}
					if got := (sent{g.R, g.W, g.DW, g.Flags}); got != want {
						t.Errorf("request %d: %+v, want %+v", i, got, want)
					}
				}
			})
		})
	}
}

func TestRequestsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		b := c.dial(client.Conns(2)).Bucket("b")
		synctest.Wait() // until all nodes are connected
		for range 60 {
			must(t)(b.Get(background, "k"))
		}
		for _, n := range c.nodes {
			if got := n.requests(); got != 20 {
				t.Errorf("%s got %d of 60 requests, want 20", n.host, got)
			}
		}
	})
}

func TestManyCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newCluster(t, 3).dial().Bucket("b")
		var callers sync.WaitGroup
		for i := range 32 {
			callers.Go(func() {
				key, seen := fmt.Sprint(i), client.Context(nil)
				for j := range 20 {
					want := fmt.Sprintf("%d/%d", i, j)
					put, err := b.Put(background, key, seen, []byte(want))
					if err != nil {
						t.Error(err)
						return
					}
					seen = put.Context
					if r, err := b.Get(background, key); err != nil || values(r) != want {
						t.Errorf("key %s: %q, %v, want %q", key, values(r), err, want)
					}
				}
			})
		}
		callers.Wait()
	})
}

func TestContextAsText(t *testing.T) {
	want := client.Context{0, 1, 0xfe, 0xff}
	if got, err := client.ParseContext(want.String()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	text, err := json.Marshal(map[string]client.Context{"seen": want})
	if err != nil || string(text) != `{"seen":"AAH-_w"}` {
		t.Errorf("as JSON: %s, %v", text, err)
	}
	var back map[string]client.Context
	if err := json.Unmarshal(text, &back); err != nil || !bytes.Equal(back["seen"], want) {
		t.Errorf("from JSON: %v, %v", back, err)
	}
	for _, text := range []string{"*", "AAH-_w==", strings.Repeat("A", 1<<20)} {
		_, err := client.ParseContext(text)
		wantError(t, err, client.KindBadContext, client.AppliedNo)
	}
}

func TestKinds(t *testing.T) {
	kinds := []client.Kind{
		client.KindInternal, client.KindInvalid, client.KindBadContext, client.KindTooLarge, client.KindTooManySiblings,
		client.KindUnavailable, client.KindTimeout, client.KindOverloaded, client.KindDiskFull, client.KindStorage,
		client.KindCorrupt, client.KindStaleRing, client.KindSkew, client.KindWrongCluster, client.KindWrongVersion,
		client.KindOldCopy, client.KindRefused, client.KindNotFound, client.KindClosed,
		client.KindHintsFull,
	}
	if len(kinds) != int(kv.NumKinds) {
		t.Fatalf("%d kinds, the nodes know %d", len(kinds), kv.NumKinds)
	}
	for i, k := range kinds {
		if want := kv.Kind(i).String(); string(k) != want {
			t.Errorf("kind %d is %q, the nodes say %q", i, k, want)
		}
	}
}
