package membership

import (
	"context"
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestSetProps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFabric()
		nodes := cluster(t, f, 3)
		ctx := context.Background()
		f.isolate(true, host(3), append(host(1), host(2)...))
		lww := kv.Props{Quorums: kv.Quorums{R: 1, W: 3, DW: 0}, Merge: kv.MergeLWW, TTL: kv.MaxTTL, Meta: strings.Repeat("m", kv.MaxPropsMeta)}
		if err := nodes[0].SetProps(ctx, "b", lww); err != nil {
			t.Fatal(err)
		}
		if got := nodes[1].Props([]byte("b")); got != lww {
			t.Errorf("a node that can be reached has %+v when SetProps returns", got)
		}
		f.isolate(false, host(3), append(host(1), host(2)...))
		eventually(t, "the third node hears of it", func() bool { return nodes[2].Props([]byte("b")) == lww })
		nodes[1].restart()
		if got := nodes[1].Props([]byte("b")); got != lww {
			t.Errorf("after a crash: %+v", got)
		}
		for _, c := range []struct {
			name, bucket string
			props        kv.Props
			kind         kv.Kind
		}{
			{"r past N", "b", kv.Props{Quorums: kv.Quorums{R: 4, W: 1, DW: 1}}, kv.KindInvalid},
			{"w of 0", "b", kv.Props{Quorums: kv.Quorums{R: 1, W: 0, DW: 1}}, kv.KindInvalid},
			{"a ttl past the limit", "b", kv.Props{Quorums: anyProps.Quorums, TTL: kv.MaxTTL + 1}, kv.KindInvalid},
			{"a ttl below 0", "b", kv.Props{Quorums: anyProps.Quorums, TTL: kv.Forever}, kv.KindInvalid},
			{"too much beside them", "b", kv.Props{Quorums: anyProps.Quorums, Meta: strings.Repeat("m", kv.MaxPropsMeta+1)}, kv.KindInvalid},
			{"unknown merge", "b", kv.Props{Quorums: anyProps.Quorums, Merge: 9}, kv.KindInvalid},
			{"no name", "", anyProps, kv.KindInvalid},
			{"long name", strings.Repeat("b", kv.MaxBucket+1), anyProps, kv.KindTooLarge},
		} {
			if err := nodes[0].SetProps(ctx, c.bucket, c.props); kv.KindOf(err) != c.kind {
				t.Errorf("%s: got %v, want %v", c.name, err, c.kind)
			}
		}
		stopAll(t, nodes...)
	})
}

func TestBucketLimit(t *testing.T) {
	n := newNode(t, newFabric(), 1, creating)
	if err := n.open(); err != nil {
		t.Fatal(err)
	}
	buckets := make(map[string]Bucket)
	for i := range kv.MaxBuckets - 1 {
		buckets[string([]byte{byte('a' + i>>8), byte(i)})] = Bucket{Props: anyProps}
	}
	n.state.Store(n.State().withBuckets(buckets))
	ctx := context.Background()
	if err := n.SetProps(ctx, "last", anyProps); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	if err := n.SetProps(ctx, "one more", anyProps); kv.KindOf(err) != kv.KindTooLarge {
		t.Errorf("one past the limit: got %v, want too large", err)
	}
	if err := n.SetProps(ctx, "last", kv.Props{Quorums: anyProps.Quorums, Merge: kv.MergeLWW}); err != nil {
		t.Errorf("a change at the limit: %v", err)
	}
}

// TestPropsOfRedis: at every node, from the start, until they are set.
func TestPropsOfRedis(t *testing.T) {
	bubble(t, func(t *testing.T) {
		nodes := cluster(t, newFabric(), 2)
		bucket := []byte(kv.BucketRedis)
		want := nodes[0].Props([]byte("other"))
		if want.Merge != kv.MergeSiblings {
			t.Errorf("other buckets: %v", want.Merge)
		}
		want.Merge = kv.MergeLWW
		for _, n := range nodes {
			if got := n.Props(bucket); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
		want.Merge, want.W = kv.MergeSiblings, 1
		if err := nodes[0].SetProps(context.Background(), kv.BucketRedis, want); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the other node hears of it", func() bool { return nodes[1].Props(bucket) == want })
		stopAll(t, nodes...)
	})
}
