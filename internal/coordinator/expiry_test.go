package coordinator

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

// putFor puts a value with a lifetime at node i and lets it reach everybody.
func (c *cluster) putFor(i int, key, value string, life kv.Lifetime, ctx []byte, body bool) *outcome {
	o := kv.Defaults()
	o.ReturnBody = body
	out := &outcome{t: c.t}
	c.nodes[i].coord.Put(Request{
		Key: testKey(c.t, key), Options: o,
		Update: object.Update{Context: ctx, Value: []byte(value), Life: life, Meta: []byte("meta of " + value)},
	}, out)
	c.run()
	return out
}

// read gets a key at node i.
func (c *cluster) read(i int, key string) *outcome {
	out := c.get(i, key, kv.Defaults())
	c.run()
	return out
}

// TestExpiry: a value is shown until it expires, wherever it is read, and stays
// stored; the context of what is hidden covers it.
func TestExpiry(t *testing.T) {
	c := newCluster(t, 5)
	for i := range c.nodes { // owners and others: some pass it on
		k := string(rune('a' + i))
		want(t, c.putFor(i, k, "short", kv.Lifetime{TTL: 1000}, nil, false), "[]")
		want(t, c.putFor(i, k+"2", "at", kv.Lifetime{At: kv.ExpiryOf(kv.TimeOf(c.now.Add(time.Second)))}, nil, false), "[]")
	}
	c.now = c.now.Add(999 * time.Millisecond)
	for i := range c.nodes {
		want(t, c.read(i, "a"), "[short]")
		want(t, c.read(i, "a2"), "[at]")
	}
	c.now = c.now.Add(time.Millisecond)
	repaired := c.repaired()
	for i := range c.nodes {
		k := string(rune('a' + i))
		g := c.read(i, k)
		want(t, g, "[]")
		if len(g.context) == 0 {
			t.Errorf("%s: what has expired has no context", k)
		}
		want(t, c.read((i+1)%5, k+"2"), "[]")
		// A delete without a context sees nothing to delete.
		d := c.del(i, k, nil, kv.Defaults())
		c.run()
		want(t, d, "[]")
		o, _, err := c.prefer(k)[0].store.Read(c.nodes[0].ring.PartitionOf(testKey(t, k)), testKey(t, k), nil)
		if err != nil || o.Live() != 1 {
			t.Errorf("%s: the stored object has %d values, %v", k, o.Live(), err)
		}
		want(t, c.putFor(i, k, "next", kv.Lifetime{}, g.context, true), "[next]")
	}
	if n := c.repaired(); n != repaired {
		t.Errorf("%d copies were repaired because something expired", n-repaired)
	}
	c.idle()
}

// TestExpiryOfSiblings: siblings that live stay, also in the answer to a put.
func TestExpiryOfSiblings(t *testing.T) {
	c := newCluster(t, 3)
	c.putFor(0, "k", "short", kv.Lifetime{TTL: 1000}, nil, false)
	c.putFor(1, "k", "ever", kv.Lifetime{}, nil, false)
	want(t, c.read(2, "k"), "[short ever]")
	c.now = c.now.Add(time.Second)
	want(t, c.read(2, "k"), "[ever]")
	g := c.putFor(0, "k", "more", kv.Lifetime{}, nil, true)
	if len(g.values) != 2 {
		t.Errorf("a put shows %v", g.values)
	}
	want(t, c.putFor(1, "k", "all", kv.Lifetime{}, g.context, true), "[all]")
	c.idle()
}

// TestBucketTTL: it is for puts that say nothing, and for no delete.
func TestBucketTTL(t *testing.T) {
	c := newCluster(t, 3)
	for _, n := range c.nodes {
		n.props["default"] = kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: kv.Unset}, TTL: 1000}
	}
	c.putFor(0, "bucket", "v", kv.Lifetime{}, nil, false)
	c.putFor(0, "own", "v", kv.Lifetime{TTL: 5000}, nil, false)
	c.putFor(0, "none", "v", kv.Lifetime{TTL: kv.Forever}, nil, false)
	g := c.putFor(0, "deleted", "v", kv.Lifetime{TTL: kv.Forever}, nil, true)
	c.del(1, "deleted", g.context, kv.Defaults())
	c.run()
	for after, shown := range map[time.Duration][3]string{
		0: {"[v]", "[v]", "[v]"}, 1000: {"[]", "[v]", "[v]"}, 5000: {"[]", "[]", "[v]"},
	} {
		at := c.now
		c.now = c.now.Add(after * time.Millisecond)
		for i, k := range []string{"bucket", "own", "none"} {
			want(t, c.read(1, k), shown[i])
		}
		want(t, c.read(2, "deleted"), "[<deleted>]")
		c.now = at
	}
}

// TestUntrustedClock: a node whose clock is too far off goes by its peers', and
// takes puts all the same; one that is off by less goes by its own.
func TestUntrustedClock(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour, 1001 * time.Millisecond} {
		c := newCluster(t, 3)
		right := c.now
		c.nodes[0].skew = skew
		c.now = right.Add(skew)
		want(t, c.putFor(0, "k", "v", kv.Lifetime{TTL: 2000}, nil, false), "[]")
		for after, shown := range map[time.Duration]string{1999: "[v]", 2000: "[]"} {
			c.now = right.Add(after * time.Millisecond)
			want(t, c.read(1, "k"), shown)
			c.now = c.now.Add(skew)
			want(t, c.read(0, "k"), shown)
		}
	}
	c := newCluster(t, 3)
	c.putFor(1, "k", "v", kv.Lifetime{TTL: 2000}, nil, false)
	c.nodes[0].skew = time.Second
	c.now = c.now.Add(2 * time.Second)
	want(t, c.read(0, "k"), "[]")
}

// TestLifetimeLimits: at the limit and one past it.
func TestLifetimeLimits(t *testing.T) {
	c := newCluster(t, 3)
	for _, l := range []struct {
		u    object.Update
		want string
	}{
		{object.Update{Life: kv.Lifetime{TTL: kv.MaxTTL}}, "[]"},
		{object.Update{Life: kv.Lifetime{TTL: kv.MaxTTL + 1}}, "invalid, applied no"},
		{object.Update{Life: kv.Lifetime{At: kv.MaxExpiry}}, "[]"},
		{object.Update{Life: kv.Lifetime{At: kv.MaxExpiry + 1}}, "invalid, applied no"},
		{object.Update{Meta: make([]byte, kv.MaxMeta)}, "[]"},
		{object.Update{Meta: make([]byte, kv.MaxMeta+1)}, "too large, applied no"},
		{object.Update{Deleted: true, Life: kv.Lifetime{TTL: 1}}, "invalid, applied no"},
		{object.Update{Deleted: true, Meta: []byte("m")}, "invalid, applied no"},
	} {
		out := &outcome{t: t}
		c.nodes[0].coord.Put(Request{Key: testKey(t, "k"), Options: kv.Defaults(), Update: l.u}, out)
		c.run()
		want(t, out, l.want)
	}
}

// TestNothingNewForOldNodes: while a node of the ring cannot read what expires or
// has something beside it, nobody begins with that; all else is taken.
func TestNothingNewForOldNodes(t *testing.T) {
	c := newCluster(t, 3)
	c.nodes[0].outdated = kv.Errorf(kv.KindWrongVersion, "write", "node n2 speaks protocol version 1")
	for _, l := range []struct {
		u    object.Update
		want string
	}{
		{object.Update{Value: []byte("v")}, "[]"},
		{object.Update{Value: []byte("v"), Life: kv.Lifetime{TTL: 1}}, "wrong version, applied no"},
		{object.Update{Value: []byte("v"), Life: kv.Lifetime{At: 1}}, "wrong version, applied no"},
		{object.Update{Value: []byte("v"), Meta: []byte("m")}, "wrong version, applied no"},
		{object.Update{Deleted: true}, "[]"},
	} {
		out := &outcome{t: t}
		c.nodes[0].coord.Put(Request{Key: testKey(t, "k"), Options: kv.Defaults(), Update: l.u}, out)
		c.run()
		want(t, out, l.want)
	}
}
