package coordinator

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// TestWhatAnErrorSaysOfTheWrite: applied is "no" only if no node, owner or
// stand-in, can have it now or later.
func TestWhatAnErrorSaysOfTheWrite(t *testing.T) {
	full := func(nodes ...*node) {
		for _, n := range nodes {
			n.engine.fail = kv.Errorf(kv.KindDiskFull, "apply batch", "no space")
		}
	}
	declining := func(nodes ...*node) {
		for _, n := range nodes {
			n.fillHints()
		}
	}
	for _, tc := range []struct {
		name string
		// faults makes them; l are five nodes in the order of preference.
		faults func(l []*node)
		at     int
		o      kv.Options
		strict bool
		want   string
	}{
		{"too few nodes", func(l []*node) { kill(true, l[1:]...) }, 0, opts(1, 2, 2), false, "unavailable, applied no"},
		{"too few owners", func(l []*node) { kill(true, l[1:3]...) }, 0, opts(1, 2, 2), true, "unavailable, applied no"},
		{"no owner", func(l []*node) { kill(true, l[:3]...) }, 3, opts(1, 1, 1), true, "unavailable, applied no"},
		{"no node can write", func(l []*node) { full(l...) }, 0, opts(1, 1, 1), false, "disk full, applied no"},
		{"no owner can write", func(l []*node) { full(l[:3]...) }, 0, opts(1, 1, 1), true, "disk full, applied no"},
		{"no owner answers, no other can write", func(l []*node) { kill(true, l[:3]...); full(l[3:]...) }, 3, opts(1, 1, 1), false, "disk full, applied no"},
		{"no owner answers, no other takes hints", func(l []*node) { kill(true, l[:3]...); declining(l[3:]...) }, 4, opts(1, 1, 1), false, "hints full, applied no"},
		{"only the coordinator can write", func(l []*node) { full(l[1:]...) }, 0, opts(1, 2, 2), false, "disk full, applied unknown"},
		{"only a hint is written", func(l []*node) { kill(true, l[:3]...); full(l[4]) }, 3, opts(1, 2, 2), false, "unavailable, applied unknown"},
		{"one owner, and nobody takes hints", func(l []*node) { kill(true, l[1:3]...); declining(l[3:]...) }, 0, opts(1, 2, 2), false, "unavailable, applied unknown"},
		{"the owners do not answer", func(l []*node) { kill(false, l[1:3]...) }, 0, opts(1, 2, 2), true, "timeout, applied unknown"},
		{"nobody answers", func(l []*node) { kill(false, l[1:]...) }, 0, opts(1, 2, 2), false, "timeout, applied unknown"},
		{"the owner it is passed on to does not answer", func(l []*node) { kill(false, l[:3]...) }, 4, opts(1, 1, 1), false, "timeout, applied unknown"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCluster(t, 5)
			list := c.prefer("a")
			tc.faults(list)
			tc.o.Strict = tc.strict
			p := c.put(list[tc.at].index(), "a", "v", nil, tc.o)
			for range 5 {
				c.run()
				c.pass(kv.DefaultTimeout / 4)
			}
			c.run()
			want(t, p, tc.want)
			if held := c.holders("a"); held > 0 && kv.AppliedOf(p.err) == kv.AppliedNo {
				t.Errorf("%d nodes have the value", held)
			}
			c.end()
		})
	}
}

// holders tells how many nodes have key, as a copy or a hint.
func (c *cluster) holders(key string) (held int) {
	for _, n := range c.nodes {
		if len(n.copyOf(key))+len(n.hints(key)) > 0 {
			held++
		}
	}
	return held
}

// TestAHintThatDoesNotCountMayBeDelivered: a strict put on a hint record fails
// because every owner refuses, and yet the hint will reach one of them.
func TestAHintThatDoesNotCountMayBeDelivered(t *testing.T) {
	c := newCluster(t, 5)
	list := c.prefer("a")
	for _, n := range list[:3] {
		n.engine.fail = kv.Errorf(kv.KindDiskFull, "apply batch", "no space")
	}
	p := &outcome{t: t}
	o := opts(1, 1, 1)
	o.Strict = true
	list[3].coord.Put(Request{
		Key: testKey(t, "a"), Options: o, Forwarded: true, StandIn: true, Update: object.Update{Value: []byte("v")},
	}, p)
	c.run()
	want(t, p, "disk full, applied unknown")
	if c.holders("a") == 0 {
		t.Error("there is no hint")
	}
	c.end()
}

// TestErrorsNameWhatIsMissing.
func TestErrorsNameWhatIsMissing(t *testing.T) {
	c := newCluster(t, 5)
	list := c.prefer("a")
	down := list[1].id
	kill(true, list[1], list[3], list[4])
	for _, tc := range []struct {
		out  *outcome
		want string
	}{
		{c.put(list[0].index(), "a", "v", nil, opts(3, 3, 3)),
			"put: 2 of 5 nodes can be reached, 3 are needed; owners that cannot: [" + down.String() + "]"},
		{c.get(list[0].index(), "a", kv.Options{R: 3, W: 3, DW: 3, Strict: true}),
			"get: 2 of 3 owners can be reached, 3 are needed; owners that cannot: [" + down.String() + "]"},
	} {
		if tc.out.err == nil || tc.out.err.Error() != tc.want {
			t.Errorf("%v, want %v", tc.out.err, tc.want)
		}
	}
	list[2].dead = true
	p := c.put(list[0].index(), "a", "v", nil, kv.Defaults())
	c.pass(kv.DefaultTimeout + time.Millisecond)
	wanted := "put: 1 of 3 replicas applied it, 2 are needed: ask at " + down.String() + ": unavailable"
	if p.err == nil || p.err.Error() != wanted {
		t.Errorf("%v, want %v", p.err, wanted)
	}
	c.end()
}

// TestStaleRepliesRefresh: a replica that refuses because it has a newer ring is
// asked for it, no stand-in takes its place, and without news the request waits
// until its deadline.
func TestStaleRepliesRefresh(t *testing.T) {
	c := newCluster(t, 5)
	list := c.prefer("a")
	stale := kv.Errorf(kv.KindStaleRing, "serve", "not in epoch 9")
	refuse := func(m message) {
		for _, r := range c.calls {
			if !r.final && r.callee == m.to {
				r.Respond(0, m.typ, wire.FlagResponse|wire.FlagError, wire.Raw(wire.AppendError(nil, stale)))
			}
		}
	}
	p := c.put(list[0].index(), "a", "v", nil, opts(3, 3, 3))
	g := c.get(list[0].index(), "a", opts(3, 3, 3))
	for _, m := range c.pending {
		if m.to == list[2] {
			refuse(m)
			break
		}
	}
	c.runOnly(func(m message) bool { return m.answer || m.to != list[2] })
	c.pending = nil
	want(t, p, "pending")
	want(t, g, "pending")
	if list[0].refreshed != 2 {
		t.Errorf("the ring was asked for %d times", list[0].refreshed)
	}
	c.pass(kv.DefaultTimeout + time.Millisecond)
	c.pending = nil
	want(t, p, "timeout, applied unknown")
	want(t, g, "timeout, applied no")
	for _, n := range list[3:] {
		if len(n.owed()) > 0 {
			t.Errorf("node %v has hints", n.id)
		}
	}
	c.end()
}
