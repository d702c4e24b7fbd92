package coordinator

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
)

// TestSiblingsInAnLWWBucket: a put that asks for it keeps what its context has not
// seen, whichever node takes it; one that does not supersedes all that is there.
func TestSiblingsInAnLWWBucket(t *testing.T) {
	c := newCluster(t, 5)
	for _, n := range c.nodes {
		n.props["default"] = kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: kv.Unset}, Merge: kv.MergeLWW}
	}
	do := func(i int, u object.Update) {
		t.Helper()
		out := &outcome{t: t}
		c.nodes[i].coord.Put(Request{Key: testKey(t, "a"), Options: kv.Defaults(), Update: u}, out)
		c.run()
		if !out.done || out.err != nil {
			t.Fatal(out)
		}
		c.now = c.now.Add(time.Millisecond)
	}
	get := func() *outcome {
		g := c.get(2, "a", kv.Defaults())
		c.run()
		return g
	}
	do(0, object.Update{Value: []byte("plain")})
	plain := get()
	for i := range 5 {
		do(i, object.Update{Value: []byte{byte('1' + i)}, Siblings: true})
	}
	if g := get(); len(g.values) != 6 {
		t.Errorf("%v: not all siblings of five nodes", g)
	}
	do(3, object.Update{Value: []byte("instead of plain"), Context: plain.context, Siblings: true})
	g := get()
	if len(g.values) != 6 {
		t.Errorf("%v: a context that has seen one of them supersedes that", g)
	}
	for i := range 5 {
		do(i, object.Update{Value: []byte("more"), Context: g.context, Siblings: true})
	}
	if g = get(); len(g.values) != 5 {
		t.Errorf("%v: the context covers all but what the others put with it", g)
	}
	do(1, object.Update{Deleted: true, Siblings: true})
	want(t, get(), "[<deleted>]")
	do(4, object.Update{Value: []byte("again"), Siblings: true})
	do(4, object.Update{Value: []byte("last")})
	want(t, get(), "[last]")
	c.idle()
}

// TestNoContext: who asks for no context gets none, and all else.
func TestNoContext(t *testing.T) {
	c := newCluster(t, 3)
	o := kv.Defaults()
	o.NoContext = true
	p := c.put(0, "a", "v", nil, o)
	c.run()
	g := c.get(1, "a", o)
	c.run()
	want(t, g, "[v]")
	if len(p.context)+len(g.context) > 0 {
		t.Error("there is a context")
	}
	c.idle()
}
