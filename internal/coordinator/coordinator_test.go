package coordinator

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

func want(t *testing.T, o *outcome, s string) {
	t.Helper()
	if o.String() != s {
		t.Errorf("got %v (%v), want %v", o, o.err, s)
	}
}

func TestPutIsReadAtEveryNode(t *testing.T) {
	c := newCluster(t, 3)
	p := c.put(0, "a", "hello", nil, kv.Defaults())
	c.run()
	want(t, p, "[]")
	for i := range c.nodes {
		g := c.get(i, "a", kv.Defaults())
		c.run()
		want(t, g, "[hello]")
	}
	c.idle()
}

func TestConcurrentPutsAreSiblingsUntilAContextCoversThem(t *testing.T) {
	c := newCluster(t, 3)
	one, two := c.put(0, "a", "one", nil, kv.Defaults()), c.put(1, "a", "two", nil, kv.Defaults())
	c.run()
	if len(one.context) == 0 || len(two.context) == 0 {
		t.Error("each put saw only its own value, and gives a context for it")
	}
	g := c.get(2, "a", kv.Defaults())
	c.run()
	want(t, g, "[one two]")

	merged := c.put(2, "a", "both", g.context, kv.Defaults())
	c.run()
	want(t, merged, "[]")
	g2 := c.get(0, "a", kv.Defaults())
	c.run()
	want(t, g2, "[both]")

	// An old context makes a sibling and loses nothing.
	c.put(1, "a", "late", g.context, kv.Defaults())
	c.run()
	g3 := c.get(2, "a", kv.Defaults())
	c.run()
	if len(g3.values) != 2 {
		t.Errorf("an old context gave %v", g3)
	}
	c.idle()
}

func TestAPutWithSiblingsLeftGivesNoContext(t *testing.T) {
	c := newCluster(t, 3)
	c.put(0, "a", "one", nil, kv.Defaults())
	c.run()
	p := c.put(0, "a", "two", nil, kv.Defaults())
	c.run()
	if len(p.context) != 0 {
		t.Error("a context for a sibling that the client has not seen")
	}
	o := kv.Defaults()
	o.ReturnBody = true
	p = c.put(0, "a", "three", nil, o)
	c.run()
	want(t, p, "[one two three]")
	if len(p.context) == 0 {
		t.Error("returnbody showed all siblings, and gave no context")
	}
	c.put(1, "a", "all", p.context, kv.Defaults())
	c.run()
	g := c.get(1, "a", kv.Defaults())
	c.run()
	want(t, g, "[all]")
}

func TestDelete(t *testing.T) {
	c := newCluster(t, 3)
	c.put(0, "a", "one", nil, kv.Defaults())
	c.put(1, "a", "two", nil, kv.Defaults())
	c.run()
	d := c.del(2, "a", nil, kv.Defaults())
	c.run()
	want(t, d, "[]")
	g := c.get(0, "a", kv.Defaults())
	c.run()
	want(t, g, "[<deleted>]")
	if len(g.context) == 0 {
		t.Error("a tombstone was seen, and there is no context")
	}

	// Where nothing is, nothing is written.
	for _, key := range []string{"a", "never"} {
		before := c.nodes[0].seq + c.nodes[1].seq + c.nodes[2].seq
		d = c.del(1, key, nil, kv.Defaults())
		c.run()
		want(t, d, "[]")
		if after := c.nodes[0].seq + c.nodes[1].seq + c.nodes[2].seq; after != before {
			t.Errorf("deleting %q, which has no value, wrote a tombstone", key)
		}
	}

	// A put that the delete had not seen survives it.
	c.put(0, "b", "old", nil, kv.Defaults())
	c.run()
	old := c.get(0, "b", kv.Defaults())
	c.run()
	c.put(1, "b", "new", nil, kv.Defaults())
	c.run()
	c.del(2, "b", old.context, kv.Defaults())
	c.run()
	g = c.get(2, "b", kv.Defaults())
	c.run()
	if diff := cmp.Diff([]string{"new", "<deleted>"}, sorted(g.values)); diff != "" {
		t.Error(diff)
	}
	c.idle()
}

// sorted puts tombstones last.
func sorted(v []string) []string {
	if len(v) == 2 && v[0] == "<deleted>" {
		v[0], v[1] = v[1], v[0]
	}
	return v
}

// TestQuorums plays each number of dead owners against each option, with the
// failure known beforehand and not.
func TestQuorums(t *testing.T) {
	for _, tc := range []struct {
		dead  int
		known bool
		o     kv.Options
		put   string
		get   string
	}{
		{0, true, opts(3, 3, 3), "[]", "[v]"},
		{1, true, opts(2, 2, 2), "[]", "[v]"},
		{1, false, opts(2, 2, 2), "[]", "[v]"},
		{1, true, opts(3, 3, 3), "unavailable, applied no", "unavailable, applied no"},
		{1, false, opts(3, 3, 3), "timeout, applied unknown", "timeout, applied no"},
		{1, true, opts(2, 2, 3), "unavailable, applied no", "[v]"},
		{2, true, opts(2, 2, 2), "unavailable, applied no", "unavailable, applied no"},
		{2, false, opts(2, 2, 2), "timeout, applied unknown", "timeout, applied no"},
		{2, true, opts(1, 1, 1), "[]", "[v]"},
		{2, false, opts(1, 1, 0), "[]", "[v]"},
	} {
		t.Run(fmt.Sprintf("%d dead, known %v, r=%d w=%d dw=%d", tc.dead, tc.known, tc.o.R, tc.o.W, tc.o.DW), func(t *testing.T) {
			c := newCluster(t, 3)
			c.put(0, "a", "v", nil, opts(3, 3, 3))
			c.run()
			for _, n := range c.nodes[3-tc.dead:] {
				n.dead, n.down = true, tc.known
			}
			p := c.put(0, "b", "v", nil, tc.o)
			g := c.get(0, "a", tc.o)
			c.run()
			c.pass(kv.DefaultTimeout + time.Millisecond)
			want(t, p, tc.put)
			want(t, g, tc.get)
			c.idle()
		})
	}
}

// TestDurableAcks holds the disks back and looks at what dw waits for.
func TestDurableAcks(t *testing.T) {
	for _, tc := range []struct {
		o                     kv.Options
		beforeSync, oneSynced string
	}{
		{opts(2, 2, kv.Unset), "pending", "pending"},
		{opts(2, 2, 1), "pending", "[]"},
		{opts(2, 2, 0), "[]", "[]"},
		{opts(2, 1, kv.Unset), "pending", "[]"},
	} {
		c := newCluster(t, 3)
		for _, n := range c.nodes {
			n.engine.slow = true
		}
		p := c.put(0, "a", "v", nil, tc.o)
		c.run()
		want(t, p, tc.beforeSync)
		c.nodes[1].engine.sync(nil)
		c.run()
		want(t, p, tc.oneSynced)
		for _, n := range c.nodes {
			n.engine.sync(nil)
		}
		c.run()
		want(t, p, "[]")
		c.idle()
	}
}

// TestABufferedPutIsSoonDurableAtOne: nobody waits for that, and of a put that has
// waited for a disk it is not asked.
func TestABufferedPutIsSoonDurableAtOne(t *testing.T) {
	for dw, want1 := range []int{1, 0} {
		c := newCluster(t, 3)
		soon := 0
		for _, n := range c.nodes {
			n.engine.slow = dw == 0
			n.coord.Soon = func() { soon++ }
		}
		want(t, c.put(0, "a", "v", nil, opts(2, 1, int8(dw))), "[]")
		c.run()
		if soon != want1 {
			t.Errorf("dw=%d: %d nodes are to flush soon, want %d", dw, soon, want1)
		}
		for _, n := range c.nodes {
			if len(n.engine.waiting) > 0 {
				t.Errorf("dw=%d: somebody waits for a disk", dw)
			}
		}
		c.idle()
	}
}

func TestAFailedFsyncCountsForNothing(t *testing.T) {
	c := newCluster(t, 3)
	for _, n := range c.nodes {
		n.engine.slow = true
	}
	failed := &kv.Error{Op: "fsync", Kind: kv.KindStorage, Applied: kv.AppliedUnknown}
	p := c.put(0, "a", "v", nil, kv.Defaults())
	c.run()
	c.nodes[0].engine.sync(failed)
	c.nodes[1].engine.sync(failed)
	c.run()
	want(t, p, "storage, applied unknown")
	c.nodes[2].engine.sync(nil)
	c.run()
	c.idle()
}

// TestAFailedLocalWriteIsNotSent: a write that failed here goes to no replica;
// another owner may coordinate the put, if it can write.
func TestAFailedLocalWriteIsNotSent(t *testing.T) {
	c := newCluster(t, 3)
	for _, n := range c.nodes {
		n.engine.fail = kv.Errorf(kv.KindDiskFull, "apply batch", "no space")
	}
	p := c.put(0, "a", "v", nil, kv.Defaults())
	for len(c.pending) > 0 {
		if c.pending[0].typ == wire.TypeReplicaPut {
			t.Error("a write that failed here was sent to the others")
		}
		c.deliver(0)
	}
	want(t, p, "disk full, applied no")
	c.idle()
}

// TestNonOwnersForward has a node outside of the key's owners take requests.
func TestNonOwnersForward(t *testing.T) {
	c := newCluster(t, 5)
	k := testKey(t, "a")
	owners := c.nodes[0].ring.Owners(c.nodes[0].ring.PartitionOf(k))
	var outside *node
	for _, n := range c.nodes {
		if !n.ring.Owns(n.ring.PartitionOf(k), n.id) {
			outside = n
		}
	}
	at := int(outside.id) - 1
	o := kv.Defaults()
	o.ReturnBody = true
	p := c.put(at, "a", "v", nil, o)
	c.run()
	want(t, p, "[v]")
	g := c.get(at, "a", kv.Defaults())
	c.run()
	want(t, g, "[v]")
	if outside.forwarded != 2 {
		t.Errorf("%d requests forwarded, want 2", outside.forwarded)
	}

	// A get goes to the next owner when the first is lost, a put only if the
	// first certainly did nothing.
	c.peer(owners[0]).down = true
	p, g = c.put(at, "a", "w", p.context, kv.Defaults()), c.get(at, "a", kv.Defaults())
	c.run()
	want(t, p, "[]")
	if !g.done || g.err != nil {
		t.Errorf("get: %v", g)
	}
	c.peer(owners[1]).dead = true
	for _, id := range owners[1:] {
		c.peer(id).down = true
	}
	o.Strict = true
	want(t, c.put(at, "a", "x", nil, o), "unavailable, applied no")
	want(t, c.get(at, "a", o), "unavailable, applied no")
	c.pass(kv.DefaultTimeout + time.Millisecond)
	c.idle()
}

func TestAForwardedPutThatIsLostIsUnknown(t *testing.T) {
	c := newCluster(t, 5)
	for _, n := range c.nodes {
		n.dead = n.ring.Owns(n.ring.PartitionOf(testKey(t, "a")), n.id) // and nobody knows
	}
	for i, n := range c.nodes {
		if n.dead {
			continue
		}
		p := c.put(i, "a", "v", nil, kv.Defaults())
		c.run()
		c.pass(kv.DefaultTimeout + time.Millisecond)
		want(t, p, "timeout, applied unknown")
	}
	c.run()
	c.idle()
}

// TestTheFastestReplicaCoordinates: the context of a get names the replica that
// the next put prefers.
func TestTheFastestReplicaCoordinates(t *testing.T) {
	c := newCluster(t, 5)
	r := c.nodes[0].ring
	p := r.PartitionOf(testKey(t, "a"))
	owners := r.Owners(p)
	last := owners[0]
	for _, id := range owners {
		last = max(last, id) // the slowest, by Latency
	}
	c.put(int(last)-1, "a", "v", nil, kv.Defaults())
	c.run()
	g := c.get(int(last)-1, "a", kv.Defaults())
	c.run()
	for i, n := range c.nodes {
		if r.Owns(p, n.id) {
			continue
		}
		before := c.peer(last).seq
		c.put(i, "a", "w", g.context, kv.Defaults())
		c.run()
		if c.peer(last).seq != before+1 {
			t.Errorf("node %v did not pass the put to %v", n.id, last)
		}
		return
	}
}

func TestRefusals(t *testing.T) {
	c := newCluster(t, 3)
	sealed, err := testSealer.AppendSealed(nil, object.Context{Time: 5})
	if err != nil {
		t.Fatal(err)
	}
	forged := append([]byte(nil), sealed...)
	forged[3] ^= 1
	put := func(u object.Update, o kv.Options) *outcome {
		out := &outcome{t: t}
		c.nodes[0].coord.Put(Request{Key: testKey(t, "a"), Options: o, Update: u}, out)
		c.run()
		return out
	}
	want(t, put(object.Update{Context: forged}, kv.Defaults()), "bad context, applied no")
	want(t, put(object.Update{Context: sealed[:len(sealed)-1]}, kv.Defaults()), "bad context, applied no")
	want(t, put(object.Update{}, opts(4, kv.Unset, kv.Unset)), "invalid, applied no")
	want(t, put(object.Update{}, opts(kv.Unset, 0, kv.Unset)), "invalid, applied no")
	want(t, put(object.Update{Value: make([]byte, kv.MaxValue)}, kv.Defaults()), "[]")
	want(t, put(object.Update{Value: make([]byte, kv.MaxValue+1)}, kv.Defaults()), "too large, applied no")
	want(t, put(object.Update{ContentType: bytes.Repeat([]byte("x"), kv.MaxContentType+1)}, kv.Defaults()), "too large, applied no")
	want(t, put(object.Update{Deleted: true, Value: []byte("v")}, kv.Defaults()), "invalid, applied no")
	c.nodes[0].ring = nil
	want(t, put(object.Update{}, kv.Defaults()), "unavailable, applied no")
	c.idle()
}

func TestOverload(t *testing.T) {
	c := newCluster(t, 3)
	var waiting []*outcome
	for range DefaultForTest().MaxInFlight {
		waiting = append(waiting, c.get(0, "a", kv.Defaults()))
	}
	want(t, c.get(0, "a", kv.Defaults()), "overloaded, applied no")
	want(t, c.put(0, "a", "v", nil, kv.Defaults()), "overloaded, applied no")
	c.run()
	for _, g := range waiting {
		want(t, g, "[]")
	}
	want(t, c.get(0, "a", opts(1, 1, 1)), "[]")
	c.idle()
}

func TestLWW(t *testing.T) {
	c := newCluster(t, 3)
	for _, n := range c.nodes {
		n.props["default"] = kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: kv.Unset}, Merge: kv.MergeLWW}
	}
	c.put(0, "a", "first", nil, kv.Defaults())
	c.run()
	c.now = c.now.Add(time.Millisecond)
	c.put(1, "a", "second", nil, kv.Defaults())
	c.run()
	g := c.get(2, "a", kv.Defaults())
	c.run()
	want(t, g, "[second]")

	// A put after a read is later than it, even where the clock is behind.
	c.now = c.now.Add(-500 * time.Millisecond)
	c.put(0, "a", "third", g.context, kv.Defaults())
	c.run()
	g = c.get(1, "a", kv.Defaults())
	c.run()
	want(t, g, "[third]")

	// A node whose clock is off does not coordinate, and no context pushes
	// others into the future.
	c.nodes[0].skew = 2 * time.Second
	want(t, c.put(0, "a", "fourth", nil, kv.Defaults()), "clock skew, applied no")
	ahead, err := testSealer.AppendSealed(nil, object.Context{Time: kv.TimeOf(c.now.Add(time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	want(t, c.put(1, "a", "fourth", ahead, kv.Defaults()), "clock skew, applied no")
	c.idle()
}

func TestBlocking(t *testing.T) {
	c := newCluster(t, 3)
	c.nodes[0].coord.Peers = eager{c.nodes[0]}
	b := Blocking{c.nodes[0].coord}
	k := testKey(t, "a")
	if _, err := b.Put(t.Context(), k, object.Update{Value: []byte("v")}, kv.Defaults()); err != nil {
		t.Fatal(err)
	}
	a, err := b.Get(t.Context(), k, kv.Defaults())
	if err != nil || a.Object.Len() != 1 || len(a.Context) == 0 {
		t.Fatalf("get: %v, %d siblings", err, a.Object.Len())
	}
	a, err = b.Get(t.Context(), testKey(t, "none"), kv.Defaults())
	if err != nil || a.Object.Len() != 0 || len(a.Context) != 0 {
		t.Fatalf("get of nothing: %v, %d siblings", err, a.Object.Len())
	}
}
