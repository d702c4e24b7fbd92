package coordinator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/vclock"
)

// ended is how a request of a client ended, and where its time went.
type ended struct {
	op     metrics.Op
	bucket string
	took   time.Duration
	stage  metrics.Cause
	peer   kv.NodeID
	failed bool
}

func (e ended) String() string {
	text := fmt.Sprintf("%v of %s took %v: %v", e.op, e.bucket, e.took, e.stage)
	if e.peer != 0 {
		text += fmt.Sprintf(" at %d", uint64(e.peer))
	}
	if e.failed {
		text += ", failed"
	}
	return text
}

func (n *node) tell(op metrics.Op, e Ended) {
	if !e.Inner {
		n.ended = append(n.ended, ended{op, string(e.Key.Bucket()), e.Took, e.Stage, e.Peer, e.Err != nil})
		n.sla.Held(op, e.Key.Bucket(), e.Took, e.Err, e.Stage, e.Peer)
	}
}

func (n *node) ForwardDone(op metrics.Op, e Ended) { n.tell(op, e) }

func (n *node) Sampled(owners, had int) {
	n.lags = append(n.lags, fmt.Sprintf("%d of %d", had, owners))
}

func (n *node) Acknowledged(after time.Duration) { n.lags = append(n.lags, after.String()) }

// held checks how the requests of clients have ended at n.
func (n *node) held(want ...string) {
	n.t.Helper()
	var got []string
	for _, e := range n.ended {
		got = append(got, e.String())
	}
	if !slices.Equal(got, want) {
		n.t.Errorf("node %v tells %q, want %q", n.id, got, want)
	}
}

// owner returns the coordinator of key, one of its owners, and the others.
func (c *cluster) ownersOf(key string) (at int, others []*node) {
	r := c.nodes[0].ring
	owners := r.Owners(r.PartitionOf(testKey(c.t, key)))
	for _, id := range owners[1:] {
		others = append(others, c.peer(id))
	}
	return int(owners[0]) - 1, others
}

// missed checks that n missed the SLA of puts by one of ten, for this reason.
func (n *node) missed(stage, peer string) {
	n.t.Helper()
	o := n.sla.SLA(n.now, kv.NodeID.String).Objectives[metrics.OpPut]
	if o.Met || o.Count != 10 || o.Breaches != 1 || o.Stage != stage || len(o.Peers) > 1 || peer == "" != (o.Peers == nil) || peer != "" && o.Peers[peer] != 1 {
		n.t.Errorf("node %v has %+v, want it missed by %s %s", n.id, o, stage, peer)
	}
}

// TestSLAIsMissed is one slow put of ten, at the bound, in three scenarios: it waits
// for the own disk, for another owner, for the owner to which it was passed on.
func TestSLAIsMissed(t *testing.T) {
	bound := kv.DefaultSLA.Put.Bound()
	for _, stage := range []string{"fsync", "replicas", "hop"} {
		t.Run(stage, func(t *testing.T) {
			c := newCluster(t, 5)
			at, others := c.ownersOf("k")
			owners := append([]*node{c.nodes[at]}, others...)
			n, peer := owners[0], ""
			for _, o := range c.nodes {
				if stage == "hop" && !slices.Contains(owners, o) {
					n, at = o, int(o.id)-1
				}
			}
			for i := range 10 {
				put := func() *outcome { return c.put(at, "k", "v", nil, kv.Options{R: 2, W: 3, DW: 3, Strict: true}) }
				if i < 9 {
					put()
					c.run()
					continue
				}
				slow := n
				if stage == "replicas" {
					slow, peer = owners[2], owners[2].id.String()
				} else if stage == "hop" {
					slow = slices.MinFunc(owners, func(a, b *node) int { return int(a.id) - int(b.id) })
					peer = slow.id.String()
				}
				slow.engine.slow = true
				put()
				c.run()
				c.now = c.now.Add(bound)
				slow.engine.sync(nil)
				c.run()
			}
			n.missed(stage, peer)
			c.idle()
		})
	}
}

func TestSlowFsyncIsTold(t *testing.T) {
	c := newCluster(t, 3)
	at, others := c.ownersOf("k")
	n := c.nodes[at]
	// One other owner is dead, so that the own disk is needed.
	others[1].dead = true
	n.engine.slow = true
	put := c.put(at, "k", "v", nil, opts(2, 2, 2))
	c.run()
	c.pass(80 * time.Millisecond)
	c.pass(10 * time.Millisecond)
	if put.done {
		t.Fatal("it was answered without the own disk")
	}
	n.engine.sync(nil)
	n.held("put of default took 90ms: fsync")
}

func TestSlowPeerIsTold(t *testing.T) {
	c := newCluster(t, 3)
	at, others := c.ownersOf("k")
	slow := others[1]
	others[0].dead = true
	put := c.put(at, "k", "v", nil, opts(2, 2, 2))
	c.runOnly(without(slow))
	c.pass(70 * time.Millisecond)
	c.run()
	get := c.get(at, "k", opts(2, 2, 2))
	c.runOnly(without(slow))
	c.pass(60 * time.Millisecond)
	c.run()
	if !put.done || !get.done {
		t.Fatal(put, get)
	}
	c.nodes[at].held(
		fmt.Sprintf("put of default took 70ms: replicas at %d", uint64(slow.id)),
		fmt.Sprintf("get of default took 60ms: replicas at %d", uint64(slow.id)),
	)
	slow.held()
}

// The time of the slow owner's own disk is the coordinator's wait for that owner.
func TestSlowHopIsTold(t *testing.T) {
	c := newCluster(t, 5)
	at, others := c.ownersOf("k")
	var outside *node
	for _, n := range c.nodes {
		if n.id != c.nodes[at].id && !slices.Contains(others, n) {
			outside = n
		}
	}
	for _, o := range append(others, c.nodes[at]) {
		o.engine.slow = true
	}
	put := c.put(int(outside.id)-1, "k", "v", nil, opts(2, 2, 2))
	c.run()
	c.pass(50 * time.Millisecond)
	var nearest *node
	for _, o := range append(others, c.nodes[at]) {
		o.engine.sync(nil)
		if nearest == nil || o.id < nearest.id {
			nearest = o
		}
	}
	c.run()
	if !put.done || put.err != nil {
		t.Fatal(put)
	}
	outside.held(fmt.Sprintf("put of default took 50ms: hop at %d", uint64(nearest.id)))
	for _, o := range append(others, c.nodes[at]) {
		o.held() // it is counted where the client brought it
	}
}

// slowLocal is a store that takes its time.
type slowLocal struct {
	Local
	n    *node
	wait time.Duration
}

func (s slowLocal) pass() { s.n.now = s.n.now.Add(s.wait) }

func (s slowLocal) ReadUnder(l kv.Level, p kv.Partition, k kv.Key, buf []byte) (object.Object, vclock.Floor, uint64, []byte, error) {
	s.pass()
	return s.Local.ReadUnder(l, p, k, buf)
}

func (s slowLocal) Put(l kv.Level, p kv.Partition, k kv.Key, w object.Write, buf []byte, d storage.Waiter) (object.Object, []byte, int, error) {
	s.pass()
	return s.Local.Put(l, p, k, w, buf, d)
}

func TestSlowStorageIsTold(t *testing.T) {
	c := newCluster(t, 3)
	at, _ := c.ownersOf("k")
	n := c.nodes[at]
	n.coord.Local = slowLocal{n.coord.Local, n, 40 * time.Millisecond}
	c.put(at, "k", "v", nil, opts(2, 2, 2))
	c.run()
	c.get(at, "k", opts(1, 2, 2))
	c.get(at, "k", opts(2, 2, 2))
	c.pass(30 * time.Millisecond)
	c.run()
	n.held("put of default took 40ms: storage", "get of default took 40ms: storage", "get of default took 70ms: storage")
}

// A request that is refused at once is told of, and so is one that fails.
func TestFailuresAreTold(t *testing.T) {
	c := newCluster(t, 3)
	at, others := c.ownersOf("k")
	n := c.nodes[at]
	for _, o := range others {
		o.dead = true
	}
	get, put := c.get(at, "k", kv.Options{R: 2, W: 2, DW: 2, Timeout: time.Second}), c.put(at, "k", "v", nil, kv.Options{R: 2, W: 2, DW: 2, Timeout: time.Second})
	c.run()
	c.pass(1001 * time.Millisecond)
	if get.err == nil || put.err == nil {
		t.Fatal(get, put)
	}
	n.ended = n.ended[:min(len(n.ended), 2)]
	for _, e := range n.ended {
		if e.stage != metrics.CauseReplicas || e.peer == 0 || !e.failed || e.took != 1001*time.Millisecond {
			t.Errorf("a timeout is told as %v", e)
		}
	}
	n.ended = nil
	for _, o := range others {
		o.down = true
	}
	c.get(at, "k", opts(2, 2, 2))
	c.put(at, "k", "v", nil, opts(2, 2, 2))
	n.coord.cfg.MaxInFlight = 0
	c.put(at, "k", "v", nil, opts(2, 2, 2))
	n.held("get of default took 0s: refused, failed", "put of default took 0s: refused, failed", "put of default took 0s: refused, failed")
}

// A delete that reads first is one request, and its read no other.
func TestDeleteIsToldOnce(t *testing.T) {
	c := newCluster(t, 3)
	at, _ := c.ownersOf("k")
	n := c.nodes[at]
	c.put(at, "k", "v", nil, opts(2, 2, 2))
	c.run()
	n.ended = nil
	del := c.del(at, "k", nil, opts(2, 2, 2))
	c.pass(50 * time.Millisecond)
	c.run()
	c.del(at, "nothing there", nil, opts(2, 2, 2))
	c.run()
	if !del.done || del.err != nil {
		t.Fatal(del)
	}
	n.held("put of default took 50ms: replicas", "put of default took 0s: replicas")
}

// What a client that knows the ring sends is not to be passed on, and is counted all the
// same; what a node passes on is counted there.
func TestClientsThatKnowTheRingAreTold(t *testing.T) {
	c := newCluster(t, 3)
	at, others := c.ownersOf("k")
	n := c.nodes[at]
	for _, from := range []kv.NodeID{0, others[0].id} {
		req := Request{Key: testKey(t, "k"), Options: opts(2, 2, 2), Forwarded: true, From: from}
		n.coord.Put(req, &outcome{t: t})
		c.run()
		n.coord.Get(req, &outcome{t: t})
		c.run()
	}
	if len(n.ended) != 2 {
		t.Errorf("%d requests of clients, want 2", len(n.ended))
	}
}

// A stand-in that carries a request out itself counts it once.
func TestOwnForwardIsToldOnce(t *testing.T) {
	c := newCluster(t, 5)
	at, others := c.ownersOf("k")
	owners := append([]*node{c.nodes[at]}, others...)
	for _, o := range owners {
		o.dead = true
	}
	for _, n := range c.nodes {
		if slices.Contains(owners, n) {
			continue
		}
		put := c.put(int(n.id)-1, "k", "v", nil, kv.Options{R: 1, W: 1, DW: 1, Timeout: time.Second})
		c.run()
		for range 12 {
			c.pass(100 * time.Millisecond)
			c.run()
		}
		if !put.done || len(n.ended) != 1 {
			t.Errorf("%v was told %d times", put, len(n.ended))
		}
	}
}

// What waits for news of the ring was not the disk's doing.
func TestWaitForTheRingIsTold(t *testing.T) {
	c := newCluster(t, 3)
	at, _ := c.ownersOf("k")
	n := c.nodes[at]
	p := n.ring.PartitionOf(testKey(t, "k"))
	n.gates[p] = gate{gets: kv.LevelOf(2), puts: kv.LevelOf(2)}
	put := c.put(at, "k", "v", nil, opts(2, 2, 2))
	get := c.get(at, "k", opts(1, 2, 2))
	c.runOnly(func(message) bool { return false })
	c.pass(30 * time.Millisecond)
	r, err := ring.Claim(n.ring, n.ring.Params(), 2, n.ring.Nodes())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range c.nodes {
		o.ring = r
		o.coord.Moved()
	}
	c.run()
	if !put.done || put.err != nil || !get.done || get.err != nil {
		t.Fatal(put, get)
	}
	for _, e := range n.ended {
		if e.stage != metrics.CauseOwn || e.took != 30*time.Millisecond {
			t.Errorf("told as %v", e)
		}
	}
	if len(n.ended) != 2 {
		t.Errorf("%d were told of", len(n.ended))
	}
}

// Of the puts one in a hundred is followed until its owners have it.
func TestPutsAreFollowed(t *testing.T) {
	c := newCluster(t, 3)
	at, others := c.ownersOf("k")
	n := c.nodes[at]
	for _, o := range c.nodes {
		o.props["default"] = kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: kv.Unset}, Merge: kv.MergeLWW}
	}
	for i := 0; len(n.lags) == 0 && i < 1000; i++ {
		c.put(at, "k", "v", nil, kv.Options{R: 1, W: 2, DW: 0})
		c.runOnly(without(others[1]))
		c.pass(7 * time.Millisecond)
		c.run()
	}
	if want := []string{"2 of 3", "7ms"}; !slices.Equal(n.lags, want) {
		t.Errorf("told %q, want %q", n.lags, want)
	}
	// A put at W=1 is answered by the own copy; an owner that does not answer is never told of.
	n.lags, others[1].dead = nil, true
	for i := 0; len(n.lags) == 0 && i < 1000; i++ {
		c.put(at, "k", "v", nil, kv.Options{R: 1, W: 1, DW: 0})
		c.pass(3 * time.Millisecond)
		c.run()
		c.pass(3 * time.Second)
	}
	if want := []string{"1 of 3", "3ms"}; !slices.Equal(n.lags, want) {
		t.Errorf("told %q, want %q", n.lags, want)
	}
}

// One in sampleEvery is followed, also of those that take turns with others.
func TestSampleIsOneInAHundred(t *testing.T) {
	for _, step := range []uint32{1, 2, 3, 10, 100} {
		got := 0
		for i := range uint32(100_000) {
			if i*step*spread <= (1<<32-1)/sampleEvery {
				got++
			}
		}
		if got < 900 || got > 1100 {
			t.Errorf("every %d: %d of 100,000", step, got)
		}
	}
}
