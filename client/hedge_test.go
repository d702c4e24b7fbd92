package client_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// usual is what answers take in these tests, at every node.
const usual = 2 * time.Millisecond

// hedged runs f in a bubble, with a client that has made so many gets of key
// "some" that it knows what they take.
func hedged(t *testing.T, gets int, f func(c *cluster, first *node, b *client.Bucket, cl *client.Client), opts ...client.DialOption) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		ring := ringOf(7, 3, 3, "md5")
		c.setRing(ring)
		for _, n := range c.nodes {
			c.net.Delay("here", n.host, usual, 0)
		}
		cl := c.dial(opts...)
		b := cl.Bucket("b")
		for range gets {
			must(t)(b.Get(background, "some"))
		}
		f(c, c.named(ownersOf(ring, keyOf("some"))[0]), b, cl)
		time.Sleep(time.Minute) // late answers come in
	})
}

// timed returns what f takes.
func timed(f func()) time.Duration {
	began := time.Now()
	f()
	return time.Since(began)
}

// TestAGetIsHedged: once an owner takes longer than it ever did, another is asked,
// and its answer is the get's. A put waits.
func TestAGetIsHedged(t *testing.T) {
	for _, off := range []bool{false, true} {
		var opts []client.DialOption
		if off {
			opts = append(opts, client.Unhedged())
		}
		hedged(t, 200, func(c *cluster, first *node, b *client.Bucket, cl *client.Client) {
			must(t)(b.Put(background, "some", nil, []byte("v")))
			before := cl.Stats()
			first.slow(100 * time.Millisecond)
			took := timed(func() {
				if r := must(t)(b.Get(background, "some")); values(r) != "v" {
					t.Errorf("got %q", values(r))
				}
			})
			after := cl.Stats()
			sent, won := after.Hedged-before.Hedged, after.Won-before.Won
			switch {
			case off && (took != 100*time.Millisecond+usual || sent+won > 0):
				t.Errorf("unhedged it took %v, %d hedges", took, sent)
			case !off && (took < 2*usual || took > 10*usual || sent != 1 || won != 1):
				t.Errorf("it took %v; %d hedges, %d won", took, sent, won)
			}
		}, opts...)
	}
	hedged(t, 200, func(_ *cluster, first *node, b *client.Bucket, cl *client.Client) {
		before := first.model.writes()
		for _, n := range []*node{first} {
			n.slow(100 * time.Millisecond)
		}
		took := timed(func() { must(t)(b.Put(background, "some", nil, []byte("v"))) })
		if took < 100*time.Millisecond || first.model.writes() != before+1 || cl.Stats().Hedged > 0 {
			t.Errorf("a put took %v, and was written %d times", took, first.model.writes()-before)
		}
	})
}

// TestTheSlowAnswerCounts though nobody waits for it: the node is passed over from
// then on. The hedge's does not, so that the trigger stays what it was.
func TestTheSlowAnswerCounts(t *testing.T) {
	hedged(t, 200, func(c *cluster, first *node, b *client.Bucket, cl *client.Client) {
		first.slow(100 * time.Millisecond)
		must(t)(b.Get(background, "some"))
		time.Sleep(time.Second)
		before := cl.Stats().Hedged
		for range 30 {
			if took := timed(func() { must(t)(b.Get(background, "some")) }); took != usual {
				t.Fatalf("a get took %v", took)
			}
		}
		if first.requests() > 202 || cl.Stats().Hedged-before > 1 {
			t.Errorf("the slow node got %d of 231 gets, %d of which were hedged", first.requests(), cl.Stats().Hedged)
		}
	})
}

// TestASlowNodeIsTriedAtNobodysCost: a get that is to find out how it does goes to
// a fast one at the same time. When it is fast again it is used again.
func TestASlowNodeIsTriedAtNobodysCost(t *testing.T) {
	hedged(t, 200, func(c *cluster, first *node, b *client.Bucket, cl *client.Client) {
		first.slow(100 * time.Millisecond)
		must(t)(b.Get(background, "some"))
		time.Sleep(time.Second)
		before := first.requests()
		for range 2000 {
			if took := timed(func() { must(t)(b.Get(background, "some")) }); took != usual {
				t.Fatalf("a get took %v", took)
			}
		}
		if got := first.requests() - before; got < 2000/64/3-2 || got > 2000/64/3+2 {
			t.Errorf("the slow node got %d of 2000 gets", got)
		}
		first.setFault(nil)
		for range 20_000 {
			must(t)(b.Get(background, "some"))
		}
		before = first.requests()
		for range 100 {
			must(t)(b.Get(background, "some"))
		}
		if got := first.requests() - before; got < 90 {
			t.Errorf("once it is fast again, it got %d of 100 gets", got)
		}
	})
}

// TestPutsDoNotTryASlowNode until its pings have long been fast.
func TestPutsDoNotTryASlowNode(t *testing.T) {
	hedged(t, 200, func(c *cluster, first *node, b *client.Bucket, cl *client.Client) {
		first.slow(100 * time.Millisecond)
		must(t)(b.Put(background, "some", nil, nil))
		before := first.requests()
		for range 1000 {
			c.forget()
			if took := timed(func() { must(t)(b.Put(background, "some", nil, nil)) }); took != usual {
				t.Fatalf("a put took %v", took)
			}
		}
		if got := first.requests() - before; got > 0 {
			t.Errorf("the slow node got %d of 1000 puts", got)
		}
		first.setFault(nil)
		for range 40_000 {
			c.forget()
			must(t)(b.Put(background, "some", nil, nil))
		}
		if got := first.requests() - before; got < 1000 {
			t.Errorf("once it was fast again, it got %d of 40000 puts", got)
		}
	})
}

// TestHedgesAreCapped: when all nodes are slow at once, no more than 5 % of the
// requests are sent twice.
func TestHedgesAreCapped(t *testing.T) {
	hedged(t, 100, func(c *cluster, first *node, b *client.Bucket, cl *client.Client) {
		for range 50 {
			for _, n := range c.nodes { // each get finds all slower than ever
				c.net.Delay("here", n.host, usual, 0)
			}
			for range 5 {
				must(t)(b.Get(background, "some"))
			}
			for _, n := range c.nodes {
				c.net.Delay("here", n.host, 20*usual, 0)
			}
			for range 5 {
				must(t)(b.Get(background, "some"))
			}
			time.Sleep(time.Second)
		}
		s := cl.Stats()
		if requests := uint64(s.Straight + s.Around); s.Hedged > requests/hedge.Every || s.Refused == 0 {
			t.Errorf("%d hedges of %d requests, %d refused", s.Hedged, requests, s.Refused)
		}
	})
}

// TestAHedgeAfterAFailure and one that fails itself: the good answer counts, and of
// two bad ones the first node's.
func TestAHedgeAfterAFailure(t *testing.T) {
	for _, tc := range []struct {
		what          string
		first, others func(*node)
		kind          kv.Kind
		ok            bool
	}{
		{"the hedge fails", func(n *node) { n.slow(50 * time.Millisecond) }, func(n *node) { n.setFault(refuse(kv.Errorf(kv.KindCorrupt, "read", "damaged"))) }, 0, true},
		{"both fail", func(n *node) { n.refuseLate(50*time.Millisecond, kv.KindInvalid) }, func(n *node) { n.setFault(refuse(kv.Errorf(kv.KindInvalid, "read", "other"))) }, kv.KindInvalid, false},
		{"the first fails late", func(n *node) { n.refuseLate(usual*7/2, kv.KindInvalid) }, func(n *node) { n.slow(usual) }, 0, true},
		{"nobody answers", func(n *node) { n.setFault(hang) }, func(n *node) { n.setFault(hang) }, kv.KindTimeout, false},
	} {
		hedged(t, 200, func(c *cluster, first *node, b *client.Bucket, _ *client.Client) {
			for _, n := range c.nodes {
				if n != first {
					tc.others(n)
				}
			}
			tc.first(first)
			_, err := b.Get(background, "some")
			if (err == nil) != tc.ok || err != nil && kv.KindOf(err) != tc.kind {
				t.Errorf("%s: %v", tc.what, err)
			}
		})
	}
}

// refuseLate is a fault: after a while an error of that kind is the answer.
func (n *node) refuseLate(after time.Duration, kind kv.Kind) {
	n.setFault(func(rq wire.Request) bool {
		if rq.Type == wire.TypeRing {
			return false
		}
		time.AfterFunc(after, func() { rq.Reply.Fail(kv.Errorf(kind, "serve", "a test")) })
		return true
	})
}

// TestTheCallerLeaves while two nodes are asked.
func TestTheCallerLeaves(t *testing.T) {
	hedged(t, 200, func(c *cluster, first *node, b *client.Bucket, cl *client.Client) {
		for _, n := range c.nodes {
			n.slow(100 * time.Millisecond)
		}
		ctx, cancel := context.WithTimeout(background, 50*time.Millisecond)
		defer cancel()
		took := timed(func() {
			if _, err := b.Get(ctx, "some"); err == nil {
				t.Error("a get of 50ms is answered after 100ms")
			}
		})
		if took != 50*time.Millisecond || cl.Stats().Hedged != 1 {
			t.Errorf("it took %v, %d hedges", took, cl.Stats().Hedged)
		}
		time.Sleep(time.Second)
		for _, n := range c.nodes {
			n.setFault(nil)
		}
		for range 100 {
			must(t)(b.Get(background, "some"))
		}
	})
}

// TestServerDrivenAvoidsASlowNode: whoever finds the owners, requests are taken in
// by nodes that are fast.
func TestServerDrivenAvoidsASlowNode(t *testing.T) {
	hedged(t, 200, func(c *cluster, first *node, b *client.Bucket, cl *client.Client) {
		first.slow(100 * time.Millisecond)
		for range 4 {
			must(t)(b.Get(background, "some"))
		}
		time.Sleep(time.Second)
		before := first.requests()
		for range 1000 {
			if took := timed(func() { must(t)(b.Get(background, "some")) }); took != usual {
				t.Fatalf("a get took %v", took)
			}
		}
		if got := first.requests() - before; got > 1000/64+1 {
			t.Errorf("the slow node got %d of 1000 gets", got)
		}
	}, client.ServerDriven())
}

// TestOthersGoRoundWhoIsLate: of many gets at the moment at which a node stalls, all
// that come after the first late one go elsewhere at once.
func TestOthersGoRoundWhoIsLate(t *testing.T) {
	hedged(t, 200, func(c *cluster, first *node, b *client.Bucket, cl *client.Client) {
		first.slow(300 * time.Millisecond)
		before, sent := cl.Stats().Hedged, first.requests()
		must(t)(b.Get(background, "some"))
		for range 50 {
			if took := timed(func() { must(t)(b.Get(background, "some")) }); took != usual {
				t.Fatalf("a get took %v", took)
			}
		}
		if hedges, sent := cl.Stats().Hedged-before, first.requests()-sent; hedges > 2 || sent > 2 {
			t.Errorf("the stalled node got %d gets, %d were hedged", sent, hedges)
		}
	})
}
