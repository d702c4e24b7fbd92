package coordinator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/quorum"
	"github.com/ringtaildb/ringtail/internal/wire"
)

func strict(r, w, dw int8) kv.Options {
	o := opts(r, w, dw)
	o.Strict = true
	return o
}

// TestWhoCountsInEachPhase: a put is acknowledged, and a get answered, by the
// quorums of its phase and by nothing less.
func TestWhoCountsInEachPhase(t *testing.T) {
	for _, tc := range []struct {
		phase int
		// with answer the first of those who stay, who coordinates.
		with     string
		put, get bool
	}{
		{0, "stay", true, true}, {0, "gone", true, true}, {0, "gained", false, false},
		{1, "stay", true, true}, {1, "gone", false, true}, {1, "gained", false, false}, {1, "gone gained", true, true},
		{2, "stay", true, true}, {2, "gone", false, false}, {2, "gained", false, true}, {2, "gone gained", true, true},
		{3, "stay", true, true}, {3, "gone", false, false}, {3, "gained", true, true},
	} {
		t.Run(fmt.Sprintf("phase %d, %s", tc.phase, tc.with), func(t *testing.T) {
			c := newChange(t, 5)
			c.know(tc.phase, c.nodes...)
			reach := map[string][]*node{
				"stay": {c.stay[1]}, "gone": {c.gone}, "gained": {c.gained}, "gone gained": {c.gone, c.gained},
			}[tc.with]
			at := c.stay[0]
			p, g := c.put(at.index(), c.k, "v", nil, strict(2, 2, 2)), c.get(at.index(), c.k, strict(2, 2, 2))
			c.runOnly(only(append(reach, at)...))
			if p.done != tc.put || g.done != tc.get {
				t.Errorf("put %v, get %v", p, g)
			}
			c.run()
			want(t, p, "[]")
			if !g.done || g.err != nil {
				t.Errorf("get %v", g)
			}
			c.end()
		})
	}
}

// TestEachNodeCoordinatesInEachPhase, and whoever takes part has the write.
func TestEachNodeCoordinatesInEachPhase(t *testing.T) {
	for phase := range 4 {
		c := newChange(t, 5)
		c.know(phase, c.nodes...)
		members := map[int][]*node{0: append(slices.Clone(c.stay), c.gone), 1: c.owners(), 2: c.owners(), 3: append(slices.Clone(c.stay), c.gained)}[phase]
		var values []string
		for i, n := range c.nodes {
			for _, o := range []kv.Options{kv.Defaults(), strict(2, 2, 2)} {
				v := fmt.Sprintf("%d %v", i, o.Strict)
				values = append(values, v)
				p := c.put(n.index(), c.k, v, nil, o)
				c.run()
				want(t, p, "[]")
				g := c.get(n.index(), c.k, o)
				c.run()
				if slices.Sort(g.values); !slices.Equal(g.values, values) {
					t.Errorf("phase %d, node %v: got %v (%v), want %v", phase, n.id, g, g.err, values)
				}
			}
		}
		c.end()
		c.wantCopies(c.k, values, members...)
		for _, n := range c.nodes {
			if !slices.Contains(members, n) && len(n.copyOf(c.k)) > 0 {
				t.Errorf("phase %d: node %v has a copy", phase, n.id)
			}
		}
	}
}

// TestStaleViews plays every phase that a coordinator knows against every one that
// the others know, and have acted upon. News comes with the refusals.
func TestStaleViews(t *testing.T) {
	for mine := range 4 {
		for others := range 4 {
			for at := range 7 {
				for _, o := range []kv.Options{kv.Defaults(), strict(2, 2, 2), strict(3, 3, 3)} {
					t.Run(fmt.Sprintf("%d against %d at node %d, w=%d", mine, others, at, o.W), func(t *testing.T) {
						c := newChange(t, 6)
						c.know(others, c.nodes...)
						switch {
						case others == 1:
							c.seal(c.stay...)
							c.seal(c.gone)
						case others > 1:
							c.stage2(c.stay...)
							c.stage2(c.gone)
						}
						n := c.nodes[at]
						n.progress = nil
						c.know(mine, n)
						p := c.put(at, c.k, "v", nil, o)
						c.settle(p)
						want(t, p, "[]")
						n.progress = nil
						c.know(mine, n)
						g := c.get(at, c.k, o)
						c.settle(g)
						want(t, g, "[v]")
						c.end()
					})
				}
			}
		}
	}
}

// TestAPutKeepsItsAcks: a put that one owner took, and others refused, is sent to
// those alone that have not acknowledged it, at the level that is known by then.
func TestAPutKeepsItsAcks(t *testing.T) {
	c := newChange(t, 5)
	at, other := c.stay[0], c.stay[1]
	c.know(1, other, c.gone, c.gained)
	c.seal(other)
	p := c.put(at.index(), c.k, "v", nil, strict(2, 3, 3))
	c.runOnly(func(m message) bool { return m.level > 0 || m.answer })
	want(t, p, "pending")
	if len(c.pending) != 1 || c.pending[0].from != other {
		t.Fatalf("%d messages, want the news of the one that refused", len(c.pending))
	}
	c.deliver(0)
	to := map[*node]kv.Level{}
	for _, m := range c.pending {
		to[m.to] = m.level
	}
	level := c.Level(0, 1)
	if diff := cmp.Diff(map[kv.NodeID]kv.Level{other.id: level, c.gained.id: level}, ids(to)); diff != "" {
		t.Error(diff)
	}
	c.run()
	want(t, p, "[]")
	c.wantCopies(c.k, []string{"v"}, c.owners()...)
	if len(c.others[0].owed()) > 0 {
		t.Error("there are hints")
	}
	c.end()
}

func ids[V any](m map[*node]V) map[kv.NodeID]V {
	out := map[kv.NodeID]V{}
	for n, v := range m {
		out[n.id] = v
	}
	return out
}

// TestLateAcksCount: what comes in of an attempt that is over counts in the one
// that follows, whoever gave it.
func TestLateAcksCount(t *testing.T) {
	c := newChange(t, 5)
	at, other := c.stay[0], c.stay[1]
	c.know(1, other)
	c.seal(other)
	p := c.put(at.index(), c.k, "v", nil, strict(2, 3, 3))
	c.runOnly(only(at, other)) // learns of the change, and asks all but itself again
	to := c.messagesTo(c.gone)
	if len(to) != 2 {
		t.Fatalf("%d messages to the one that goes, want one of each attempt", len(to))
	}
	c.runOnly(only(at, other, c.gained))
	want(t, p, "pending")
	c.pending = to[:1]
	c.run()
	want(t, p, "[]")
	c.pending = to[1:]
	c.run()
	c.end()
}

// TestALateRefusal: the owner that refused the first attempt says so after it has
// failed in the second. The put waits for news, and has an outcome.
func TestALateRefusal(t *testing.T) {
	c := newChange(t, 5)
	at, other := c.stay[0], c.stay[1]
	c.know(1, other)
	c.seal(other)
	p := c.put(at.index(), c.k, "v", nil, opts(2, 3, 3))
	c.runOnly(only(at, other))
	c.runOnly(only(at, other, c.gained))
	var calls []*responder
	for _, r := range c.calls {
		if r.callee == c.gone {
			calls = append(calls, r)
		}
	}
	if c.pending = nil; len(calls) != 2 {
		t.Fatalf("%d calls to the one that goes, want one of each attempt", len(calls))
	}
	for i, kind := range []kv.Kind{kv.KindOverloaded, kv.KindStaleRing} {
		err := wire.Raw(wire.AppendError(nil, kv.Errorf(kind, "serve", "no")))
		calls[1-i].Respond(0, wire.TypeReplicaPut, wire.FlagResponse|wire.FlagError, err)
		c.run()
		want(t, p, "pending")
	}
	c.pass(DefaultStandInAfter + time.Millisecond) // it is tried again
	c.run()
	want(t, p, "[]")
	c.end()
}

func (c *cluster) messagesTo(n *node) (to []message) {
	for _, m := range c.pending {
		if m.to == n {
			to = append(to, m)
		}
	}
	return to
}

// TestMarksArrive: a request that was refused, by a node that then cannot be
// asked, goes on when it hears from somebody else.
func TestMarksArrive(t *testing.T) {
	for _, w := range []int8{2, 3} {
		c := newChange(t, 5)
		at := c.stay[0]
		rest := c.nodes[:0:0]
		for _, n := range c.nodes {
			if n != at {
				rest = append(rest, n)
			}
		}
		c.know(2, rest...)
		c.stage2(rest...)
		p, g := c.put(at.index(), c.k, "v", nil, strict(w, w, w)), c.get(at.index(), c.k, strict(w, w, w))
		c.runOnly(func(m message) bool { return m.answer || m.typ != 0 })
		want(t, p, "pending")
		want(t, g, "pending")
		c.pending = nil
		c.know(1, at) // not enough for the get
		c.runOnly(func(m message) bool { return m.answer || m.typ != 0 })
		want(t, p, "[]")
		want(t, g, "pending")
		c.know(2, at)
		c.run()
		want(t, g, "[v]")
		c.end()
	}
}

// TestAGetKeepsNothing: a get that starts again counts no answer of before. Here
// it would count that of the coordinator's own copy as it was before it was
// filled, together with that of the new owner, which is not filled yet.
func TestAGetKeepsNothing(t *testing.T) {
	for omit, expect := range map[Omit]string{0: "[v]", OmitRestart: "[]"} {
		c := newChange(t, 5)
		at, other := c.stay[0], c.stay[1]
		at.coord.cfg.Omit = omit
		c.write(c.k, "v", nil, other, c.gone)
		c.know(1, c.nodes...)
		g := c.get(at.index(), c.k, strict(2, 2, 2))
		c.fill(at, other)
		c.know(2, c.nodes...)
		c.stage2(at, other, c.gone)
		c.runOnly(only(at, c.gone)) // is refused, and asks the owners to be
		c.runOnly(only(at, c.gained))
		want(t, g, expect)
		c.run()
		c.end()
	}
}

// fill has a node's copy of the key take over what another's has.
func (c *change) fill(n, from *node) {
	c.t.Helper()
	k := testKey(c.t, c.k)
	o, f, _, _, err := from.store.ReadUnder(c.Level(0, 3), c.p, k, nil)
	if err == nil && o.Bytes() != nil {
		err = n.store.Merge(c.p, k, o, f, nil)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// TestStrictInAStep: less than the cluster's R and W is raised to them.
func TestStrictInAStep(t *testing.T) {
	for phase := range 4 {
		for _, o := range []kv.Options{opts(1, 1, 1), strict(1, 1, 1), strict(1, 1, 0)} {
			c := newChange(t, 5)
			c.know(phase, c.nodes...)
			at := c.stay[0]
			p, g := c.put(at.index(), c.k, "v", nil, o), c.get(at.index(), c.k, o)
			early := !o.Strict || phase == 0 || phase == 3
			if p.done != early || g.done != early {
				t.Errorf("phase %d, %+v: put %v, get %v", phase, o, p, g)
			}
			c.run()
			want(t, p, "[]")
			c.end()
		}
	}
}

// TestStrictWhenAStepBegins: so is that of a put which was planned before the step.
func TestStrictWhenAStepBegins(t *testing.T) {
	c := newChange(t, 5)
	at := c.stay[0]
	c.know(1, at)
	v := at.Current().View(c.p)
	for _, loose := range []bool{false, true} {
		for _, dw := range []int{0, 1} {
			o := newPut(at.coord)
			o.cur, o.w, o.dw, o.loose = at.Current(), 1, dw, loose
			want := quorum.Need{W: 2, DW: 2 * dw}
			if loose {
				want = quorum.Need{W: 1, DW: dw}
			}
			if n := o.needs(&v); n.W != want.W || n.DW != want.DW || n.New == 0 {
				t.Errorf("loose %v, dw %d: %+v", loose, dw, n)
			}
		}
	}
}

// TestStandInsInAStep: a hint counts in each set that its owner is in, and a
// sloppy put finds any W nodes.
func TestStandInsInAStep(t *testing.T) {
	for _, tc := range []struct {
		name string
		dead func(c *change) []*node
		w    int8
		put  string
		// strictly is the outcome of the same put if it is strict.
		strictly string
		hints    int
	}{
		{"none", func(*change) []*node { return nil }, 3, "[]", "[]", 0},
		{"the one that goes", func(c *change) []*node { return []*node{c.gone} }, 3, "[]", "unavailable, applied no", 1},
		{"the one that goes", func(c *change) []*node { return []*node{c.gone} }, 2, "[]", "[]", 1},
		{"the new one", func(c *change) []*node { return []*node{c.gained} }, 3, "[]", "unavailable, applied no", 1},
		{"both", func(c *change) []*node { return []*node{c.gone, c.gained} }, 2, "[]", "[]", 2},
		{"one that stays", func(c *change) []*node { return c.stay[1:] }, 2, "[]", "[]", 1},
		{"all but the coordinator and the stand-ins", func(c *change) []*node { return append(c.stay[1:], c.gone, c.gained) }, 3, "[]", "unavailable, applied no", 2},
		{"all but the coordinator and one stand-in", func(c *change) []*node { return append(c.stay[1:], c.gone, c.gained, c.others[0]) }, 2, "[]", "unavailable, applied no", 1},
		{"all but the coordinator", func(c *change) []*node { return append(c.stay[1:], c.gone, c.gained, c.others[0], c.others[1]) }, 2, "unavailable, applied no", "unavailable, applied no", 0},
	} {
		for _, o := range []kv.Options{opts(2, tc.w, tc.w), strict(2, tc.w, tc.w)} {
			t.Run(fmt.Sprintf("%s dead, w=%d, strict %v", tc.name, tc.w, o.Strict), func(t *testing.T) {
				c := newChange(t, 5)
				c.know(1, c.nodes...)
				kill(true, tc.dead(c)...)
				p := c.put(c.stay[0].index(), c.k, "v", nil, o)
				c.run()
				expect := tc.put
				if o.Strict {
					expect = tc.strictly
				}
				want(t, p, expect)
				hints := 0
				for _, n := range c.others {
					hints += len(n.owed())
				}
				if p.err == nil && hints != tc.hints {
					t.Errorf("%d hints, want %d", hints, tc.hints)
				}
				c.end()
			})
		}
	}
}

// TestTwoOfAStepTakeEveryPut: with W=2 any two nodes do, in a step as well, and
// what they took they give back.
func TestTwoOfAStepTakeEveryPut(t *testing.T) {
	for phase := range 4 {
		for live := range 6 {
			for other := range live {
				c := newChange(t, 5)
				c.know(phase, c.nodes...)
				if both := []*node{c.nodes[live], c.nodes[other]}; phase == 0 && slices.Contains(both, c.gained) || phase == 3 && slices.Contains(both, c.gone) {
					continue // it is no member yet, or takes no part any more
				}
				kill(true, c.nodes...)
				revive(c.nodes[live], c.nodes[other])
				for _, at := range []int{live, other} {
					v := fmt.Sprint(at)
					p := c.put(at, c.k, v, nil, kv.Defaults())
					c.settle(p)
					want(t, p, "[]")
					g := c.get(at, c.k, kv.Defaults())
					c.settle(g)
					if !slices.Contains(g.values, v) {
						t.Errorf("phase %d, nodes %d and %d live: %v (%v)", phase, live, other, g, g.err)
					}
				}
				c.end()
			}
		}
	}
}

// TestADeadlineWhileStale: an error says what may have become of the write.
func TestADeadlineWhileStale(t *testing.T) {
	c := newChange(t, 5)
	at := c.stay[0]
	c.know(1, c.stay[1], c.gone, c.gained)
	c.seal(c.stay[1], c.gone)
	p := c.put(at.index(), c.k, "v", nil, strict(2, 2, 2))
	c.runOnly(func(m message) bool { return m.answer || m.typ != 0 })
	c.pending = nil
	c.pass(kv.DefaultTimeout + time.Millisecond)
	c.pending = nil
	want(t, p, "timeout, applied unknown")

	// Its own copy refuses, though the node does not know why yet.
	c.seal(at)
	p = c.put(at.index(), c.k, "w", nil, strict(2, 2, 2))
	q := c.put(at.index(), c.k, "x", nil, strict(2, 2, 2))
	want(t, p, "pending")
	c.pending = nil
	c.pass(kv.DefaultTimeout / 2)
	c.pending = nil
	c.pass(kv.DefaultTimeout/2 + time.Millisecond)
	want(t, p, "timeout, applied no")
	want(t, q, "timeout, applied no")
	c.pending = nil
	q = c.put(at.index(), c.k, "y", nil, strict(2, 2, 2))
	c.know(1, at)
	c.run()
	want(t, q, "[]")
	c.end()
	if got := c.gained.copyOf(c.k); !slices.Equal(got, []string{"v", "y"}) && !slices.Equal(got, []string{"y", "v"}) {
		t.Errorf("the new owner has %v", got)
	}
}
