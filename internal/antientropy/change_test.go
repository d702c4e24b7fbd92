package antientropy

import (
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// What a node knows of a change of the ring, which membership would know: news
// spreads by gossip, and marks are lost with a process.

// changeable returns a ring of n partitions with the given parameters and owners.
func changeable(t testing.TB, prev *ring.Ring, params ring.Params, ids ...kv.NodeID) *ring.Ring {
	t.Helper()
	var nodes []ring.Node
	for _, id := range ids {
		nodes = append(nodes, ring.Node{ID: id, Weight: 1})
	}
	epoch := uint64(1)
	if prev != nil {
		epoch = prev.Epoch() + 1
	}
	r, err := ring.Claim(prev, params, epoch, nodes)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// commit has some node know of the change to a ring of these nodes.
func (c *cluster) commit(at kv.NodeID, lost []kv.NodeID, ids ...kv.NodeID) *ring.Transition {
	c.t.Helper()
	n := c.node(at)
	if n.Current().Progress != nil {
		c.t.Fatal("the ring changes already")
	}
	tr, err := ring.NewTransition(n.ring, changeable(c.t, n.ring, n.ring.Params(), ids...), lost)
	if err != nil {
		c.t.Fatal(err)
	}
	n.cur = &ring.Current{Ring: n.ring, Progress: ring.NewProgress(tr)}
	n.settle()
	return tr
}

// Current implements Cluster.
func (n *node) Current() *ring.Current {
	if n.ring == nil {
		return nil
	}
	if n.cur == nil || n.cur.Ring != n.ring {
		n.cur = &ring.Current{Ring: n.ring}
	}
	return n.cur
}

// Mark implements Cluster.
func (n *node) Mark(of *ring.Progress, marks []ring.Mark) error {
	g := n.Current().Progress
	if g == nil || g != of {
		return kv.Errorf(kv.KindStaleRing, "mark", "there is no transition")
	}
	news := false
	for _, m := range marks {
		news = g.Add(m.Step, m.Marks) || news
	}
	if news {
		n.settle()
		for _, o := range n.nodes {
			n.tell(o)
		}
	}
	return nil
}

// settle takes the ring to come when the transition is over, and tells the Keeper
// of what is new.
func (n *node) settle() {
	if g := n.cur.Progress; g != nil && g.Over() {
		n.ring = g.To()
		n.cur = nil
	}
	n.keeper.Moved()
}

// forget has a node that was started anew know the transition, and no marks.
func (n *node) forget() {
	if c := n.Current(); c != nil && c.Progress != nil {
		n.cur = &ring.Current{Ring: n.ring, Progress: ring.NewProgress(c.Progress.Transition)}
	}
}

// tell has another node know what this one knows, once that arrives.
func (n *node) tell(o *node) {
	c := n.Current()
	if o == n || c == nil || o.down || n.down {
		return
	}
	var marks []byte
	if c.Progress != nil {
		marks = c.Progress.AppendTo(nil)
	}
	n.send(&message{from: n, to: o, gossip: true, payload: marks, run: func() { o.learn(c, marks) }})
}

func (n *node) learn(c *ring.Current, marks []byte) {
	if eraOf(n.Current()) > eraOf(c) {
		return
	}
	news := false
	if eraOf(n.Current()) < eraOf(c) || c.Progress != nil && c.Progress.ID() != n.cur.Progress.ID() {
		n.ring, n.cur = c.Ring, nil
		if c.Progress != nil {
			n.cur = &ring.Current{Ring: c.Ring, Progress: ring.NewProgress(c.Progress.Transition)}
		}
		news = true
	}
	if c.Progress != nil {
		more, err := n.cur.Progress.Join(marks)
		if err != nil {
			n.t.Fatal(err)
		}
		news = news || more
	}
	if news && n.Current() != nil {
		n.settle()
	}
}

// Refresh implements Cluster.
func (n *node) Refresh(from kv.NodeID) {
	n.refreshed++
	if n.gossips {
		n.node(from).tell(n)
	}
}

// gossip has every node tell one other what it knows, in turn.
func (c *cluster) gossip() {
	if !c.gossips {
		return
	}
	c.turn++
	for i, n := range c.nodes {
		if !n.down {
			n.tell(c.nodes[(i+1+c.turn%(len(c.nodes)-1))%len(c.nodes)])
		}
	}
}

// newChanging returns a cluster of n nodes, of which the first have a ring, that
// gossips.
func newChanging(t testing.TB, n int, cfg Config, params ring.Params, ids ...kv.NodeID) *cluster {
	t.Helper()
	c := newCluster(t, n, changeable(t, nil, params, ids...), cfg)
	c.gossips = true
	return c
}

// testParams are (3, 2, 2) with q partitions.
func testParams(q int) ring.Params {
	p := ring.DefaultParams()
	p.Q = q
	return p
}

// settled lets time go by until no node knows of a transition, and all that is to
// be dropped is.
func (c *cluster) settled(within time.Duration) {
	c.t.Helper()
	for ; within > 0; within -= 50 * time.Millisecond {
		c.pass(50 * time.Millisecond)
		c.run()
		if !slices.ContainsFunc(c.nodes, func(n *node) bool { return !n.down && n.busyMoving() }) {
			return
		}
	}
	for _, n := range c.nodes {
		cur := n.Current()
		c.t.Logf("node %v: down %v, %v, held %v, %+v", n.id, n.down, eraOf(cur), n.store.Held(), n.keeper.Status().Steps)
		if g := cur.Progress; g != nil {
			for p := range cur.Ring.Params().Q {
				k, phase := g.At(kv.Partition(p))
				if k >= 0 && phase < 3 {
					puts, gets := n.store.Stage(kv.Partition(p))
					c.t.Logf("  partition %d: step %d phase %d, marks %x, %+v; at %v %v, %+v", p, k, phase, g.Marks(g.Index(kv.Partition(p), k)), g.Steps(kv.Partition(p))[k], puts, gets, n.store.Fill(kv.Partition(p)))
				}
			}
		}
	}
	c.t.Fatal("the change does not end")
}

// busyMoving tells whether a node has something left to do of a change.
func (n *node) busyMoving() bool {
	cur := n.Current()
	if cur.Progress != nil {
		return true
	}
	for _, p := range n.store.Held() {
		if !cur.Ring.Owns(p, n.id) {
			return true
		}
	}
	newest := kv.Level(0)
	for _, o := range n.nodes {
		newest = max(newest, eraOf(o.Current()))
	}
	return eraOf(cur) != newest
}

// TestLostIsNoSource: a node that is lost for good fills nobody. What it and one
// more owner acknowledged is with that one, so a copy has to have met it.
func TestLostIsNoSource(t *testing.T) {
	cfg := quiet()
	cfg.Every = time.Hour
	c := newChanging(t, 4, cfg, testParams(1), 1, 2, 3)
	c.live(2 * time.Second)
	if !c.write(1, "k", "v", 1, 3) {
		t.Fatal("the put was refused")
	}
	c.node(1).down = true
	c.hold = cut([2]kv.NodeID{3, 2}, [2]kv.NodeID{3, 4})
	if tr := c.commit(2, []kv.NodeID{1}, 2, 3, 4); len(tr.Lapsed()) > 0 {
		t.Fatal("one lost node makes promises lapse")
	}
	c.live(45 * time.Second)
	if v, refused := c.seen(2, "k", 2, 4); !refused && v != "v" {
		t.Errorf("a get finds %q", v)
	}
	c.hold = nil
	c.live(45 * time.Second)
	if v, refused := c.seen(2, "k", 2, 4); refused || v != "v" {
		t.Errorf("in the end a get finds %q, refused %v", v, refused)
	}
}

// TestLateLeaver: an owner that hears of the change that it leaves by when that is
// over refuses the gets that it once answered before it drops its copy, and goes on
// to do so.
func TestLateLeaver(t *testing.T) {
	cfg := quiet()
	c := newChanging(t, 4, cfg, testParams(1), 1, 2, 3)
	c.live(2 * time.Second)
	if !c.write(1, "k", "v", 1, 2, 3) {
		t.Fatal("the put was refused")
	}
	c.node(3).down = true
	way := c.commit(1, nil, 1, 2, 4)
	c.live(45 * time.Second)
	if c.node(1).ring.Epoch() != 2 {
		t.Fatal("the change is not over")
	}
	c.node(3).down = false
	c.settled(2 * time.Minute)
	for range 2 {
		if held := c.node(3).store.Held(); len(held) > 0 {
			t.Fatalf("it holds %v", held)
		}
		if _, gets := c.node(3).store.Stage(0); gets < way.Level(0, 2) {
			t.Errorf("it serves gets from %v on", gets)
		}
		c.node(3).crash()
	}
}

// TestSourceBehind: an owner that answers, and does not learn of the change, stops
// nobody from being filled from the others.
func TestSourceBehind(t *testing.T) {
	c := newChanging(t, 4, quiet(), testParams(1), 1, 2, 3)
	c.live(2 * time.Second)
	if !c.write(1, "k", "v", 1, 2, 3) {
		t.Fatal("the put was refused")
	}
	c.hold = func(m *message) bool { return m.gossip && m.to.id == 3 }
	c.commit(1, nil, 1, 2, 4)
	c.live(45 * time.Second)
	for _, id := range []kv.NodeID{1, 2, 4} {
		if e := c.node(id).ring.Epoch(); e != 2 {
			t.Errorf("node %v is in epoch %d", id, e)
		}
	}
	c.hold = nil
	c.settled(time.Minute)
	c.want("k", "v", 1, 2, 4)
}

// TestGrowsThoughFull: nodes whose disks are full, to which others are added for
// that, take all steps, give away what is not theirs any more, and drop it.
func TestGrowsThoughFull(t *testing.T) {
	c := newChanging(t, 6, quiet(), testParams(16), 1, 2, 3)
	c.fill(200, "v")
	for _, n := range c.nodes[:3] {
		n.disk.full = true
	}
	c.commit(1, nil, 1, 2, 3, 4, 5, 6)
	c.settled(2 * time.Minute)
	c.whole(200, "v")
	if held := len(c.node(1).store.Held()); held > 9 {
		t.Errorf("node 1 holds %d partitions of 16 still", held)
	}
}
