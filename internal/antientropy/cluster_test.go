package antientropy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/pace"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// cluster is several nodes' Keepers and Stores in one goroutine. A message waits
// in the network until deliver or run hands it on, so a test decides the order of
// everything.
type cluster struct {
	t   testing.TB
	now time.Time
	cfg Config
	// identity is the rule that a wiped node is a new one.
	identity bool
	// omit are rules that the Stores leave out.
	omit  replica.Omit
	nodes []*node
	// members are the nodes that may hold or write anything, removed those that
	// were declared dead for good.
	members []kv.NodeID
	// lazy leaves upkeep to the test.
	lazy bool
	// gossips has news of the ring spread; turn counts the rounds.
	gossips bool
	turn    int
	removed []kv.NodeID
	// pending are the messages under way, calls those without an answer.
	pending []*message
	calls   []*call
	// hold, if set, tells which messages run does not deliver.
	hold func(m *message) bool
	// messages and bytes count what was sent: payloads, requests and answers.
	messages, bytes int
	// trace, if set, is told of each message that is delivered.
	trace func(m *message)
}

// message is a request or an answer under way.
type message struct {
	from, to *node
	typ      wire.Type
	gossip   bool
	answer   bool
	payload  []byte
	run      func()
}

func (m *message) String() string {
	what := "exchange"
	switch {
	case m.gossip:
		what = "gossip"
	case m.typ == wire.TypeSweep:
		what = step(m.payload[0]).String()
	}
	if m.answer {
		what += " answer"
	}
	return fmt.Sprintf("%d→%d %s", m.from.id, m.to.id, what)
}

// node is one member: it implements the Keeper's Peers, Cluster and Background,
// and the Store's Source and Rings.
type node struct {
	*cluster
	id kv.NodeID
	// ring is the settled one that the node knows of, cur where it believes the
	// ring to be beyond that.
	ring  *ring.Ring
	cur   *ring.Current
	boot  uint64
	seq   uint64
	alias []kv.NodeID
	// down nodes answer nothing, and the others know.
	down      bool
	disk      *disk
	engine    *engine
	store     *replica.Store
	keeper    *Keeper
	tasks     []func()
	refreshed int
	// load is how clients' requests fare.
	load pace.Load
	// stuck nodes cannot raise stages.
	stuck bool
	// ahead is how far the node's wall clock is.
	ahead time.Duration
}

// testRing returns a ring of epoch e, with q partitions, of which the nodes are
// the owners: of each partition, if there are at most three.
func testRing(t testing.TB, e uint64, q int, ids ...kv.NodeID) *ring.Ring {
	t.Helper()
	var nodes []ring.Node
	for _, id := range ids {
		nodes = append(nodes, ring.Node{ID: id, Weight: 1})
	}
	params := ring.DefaultParams()
	params.Q = q
	r, err := ring.Claim(nil, params, e, nodes)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// testConfig has everything happen when a test asks for it.
func testConfig() Config {
	cfg := Default()
	cfg.ReapAt = 1
	cfg.ReapPause = 5 * time.Second
	return cfg
}

// newCluster makes n nodes, all of them members, of which r's own the partitions.
func newCluster(t testing.TB, n int, r *ring.Ring, cfg Config) *cluster {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return newClusterOn(t, n, r, cfg, func() *disk { return &disk{} })
}

func newClusterOn(t testing.TB, n int, r *ring.Ring, cfg Config, newDisk func() *disk) *cluster {
	t.Helper()
	c := &cluster{t: t, now: time.Unix(1_000_000, 0), cfg: cfg}
	for i := range n {
		x := &node{cluster: c, id: kv.NodeID(i + 1), ring: r, disk: newDisk()}
		c.nodes = append(c.nodes, x)
		c.members = append(c.members, x.id)
	}
	for _, x := range c.nodes {
		x.start()
	}
	return c
}

// start starts a process on the node's disk.
func (n *node) start() {
	n.t.Helper()
	n.engine = n.disk.open(n.t)
	n.boot++
	n.seq++
	cfg := replica.Default()
	cfg.Omit = n.omit
	var err error
	if n.store, err = replica.Open(cfg, n.id, n.engine, n, n, n.seq); err != nil {
		n.t.Fatal(err)
	}
	n.tasks = nil
	boot := n.boot
	n.keeper = New(n.cfg, Deps{
		Self: n.id, Boot: func() uint64 { return boot },
		Wall:  func() kv.Time { return kv.TimeOf(n.now.Add(n.ahead)) },
		Trees: n.store, Copies: n.store, Floors: n.store, Damage: n.store, Stages: stages{n.store, n}, Disk: n.engine,
		Peers: n, Cluster: n, Background: n, Now: func() time.Time { return n.now },
		Load: func() pace.Load { return n.load },
	})
	n.forget()
	n.upkeep()
}

// crash ends the node's process, with all that was not synced, and starts a new
// one.
func (n *node) crash() {
	n.disk = n.disk.crashed()
	n.start()
}

// upkeep does all that the Store has to do besides.
func (n *node) upkeep() {
	n.t.Helper()
	for {
		did, err := n.store.Upkeep(1 << 20)
		if err != nil {
			n.t.Fatal(err)
		}
		if did == 0 {
			return
		}
	}
}

func (n *node) Next() (kv.NodeID, uint64, error) { n.seq++; return n.id, n.seq, nil }
func (n *node) Up(id kv.NodeID) bool             { return !n.node(id).down }
func (n *node) Removed() []kv.NodeID             { return n.removed }
func (n *node) Go(task func()) bool              { n.tasks = append(n.tasks, task); return true }

func (n *node) Members() []Member {
	var out []Member
	for _, id := range n.members {
		out = append(out, Member{ID: id, Aliases: n.node(id).alias})
	}
	return out
}

func (c *cluster) node(id kv.NodeID) *node { return c.nodes[id-1] }

// Call implements Peers: the request waits in the network.
func (n *node) Call(to kv.NodeID, w wire.Call, m wire.Appender, done wire.Completion, tag uint32) {
	payload := m.AppendTo(nil)
	peer := n.node(to)
	if peer.down {
		done.Complete(tag, wire.Response{}, kv.Errorf(kv.KindUnavailable, "ask", "the node is down"))
		return
	}
	back := &call{caller: n, callee: peer, boot: n.boot, done: done, tag: tag, deadline: w.Deadline}
	n.calls = append(n.calls, back)
	n.send(&message{from: n, to: peer, typ: w.Type, payload: payload, run: func() {
		borrowed := slices.Clone(payload)
		peer.keeper.Handle(wire.Request{
			Type: w.Type, From: n.id, Deadline: w.Deadline, Level: w.Level, Payload: borrowed,
			Reply: wire.Reply{To: back, Type: w.Type},
		})
		for i := range borrowed {
			borrowed[i] = 0xdb // what was borrowed is gone
		}
	}})
}

func (c *cluster) send(m *message) {
	c.pending = append(c.pending, m)
	c.messages++
	c.bytes += len(m.payload)
}

// call carries an answer back through the network, the first that comes.
type call struct {
	caller, callee *node
	boot           uint64
	done           wire.Completion
	tag            uint32
	deadline       time.Time
	over           bool
}

// Respond implements wire.Responder.
func (r *call) Respond(_ uint64, t wire.Type, f wire.Flags, m wire.Appender) {
	payload := m.AppendTo(nil)
	r.caller.send(&message{from: r.callee, to: r.caller, typ: t, answer: true, payload: payload, run: func() {
		switch {
		case r.over || r.boot != r.caller.boot:
			return // late, or for a process that is no more
		case f&wire.FlagError != 0:
			r.end(wire.Response{}, wire.ParseError(payload))
		default:
			borrowed := slices.Clone(payload)
			r.end(wire.Response{Payload: borrowed}, nil)
			for i := range borrowed {
				borrowed[i] = 0xdb
			}
		}
	}})
}

func (r *call) end(resp wire.Response, err error) {
	r.over = true
	r.done.Complete(r.tag, resp, err)
}

// work runs what the Backgrounds have, until they have nothing.
func (c *cluster) work() {
	for busy := true; busy; {
		busy = false
		for _, n := range c.nodes {
			for len(n.tasks) > 0 {
				task := n.tasks[0]
				n.tasks = n.tasks[1:]
				task()
				busy = true
			}
		}
	}
}

// run delivers messages in order, until none is left but those on hold.
func (c *cluster) run() {
	c.work()
	for i := 0; i < len(c.pending); {
		if c.hold != nil && c.hold(c.pending[i]) {
			i++
			continue
		}
		c.deliver(i)
		i = 0
	}
}

// deliver delivers a message; one to or from a node that is down is lost.
func (c *cluster) deliver(i int) {
	m := c.pending[i]
	c.pending = slices.Delete(c.pending, i, i+1)
	if m.from.down || m.to.down {
		return
	}
	if c.trace != nil {
		c.trace(m)
	}
	m.run()
	c.work()
}

// find returns the place of the first message under way that is printed as s.
func (c *cluster) find(s string) int {
	c.t.Helper()
	i := slices.IndexFunc(c.pending, func(m *message) bool { return m.String() == s })
	if i < 0 {
		c.t.Fatalf("no message %q is under way, only %v", s, c.pending)
	}
	return i
}

// pass lets d go by: calls without an answer end, and every node gets a Tick.
// What becomes of that waits in the network.
func (c *cluster) pass(d time.Duration) {
	c.now = c.now.Add(d)
	c.gossip()
	for _, r := range c.calls {
		if !r.over && c.now.After(r.deadline) {
			r.over = true
			if r.boot == r.caller.boot {
				r.done.Complete(r.tag, wire.Response{}, kv.Errorf(kv.KindTimeout, "call", "no answer"))
			}
		}
	}
	c.calls = slices.DeleteFunc(c.calls, func(r *call) bool { return r.over })
	for _, n := range c.nodes {
		if !n.down {
			n.keeper.Tick(c.now)
		}
		if !n.down && !c.lazy {
			n.upkeep()
		}
	}
	c.work()
}

// live lets d go by, a second at a time, with every message delivered that is
// not on hold.
func (c *cluster) live(d time.Duration) {
	for ; d > 0; d -= time.Second {
		c.pass(time.Second)
		c.run()
	}
}

// exchange has every two owners compare their copies, as often as it takes for
// everybody to have everything.
func (c *cluster) exchange() {
	for range 3 {
		for _, n := range c.nodes {
			n.keeper.Repair()
		}
		c.live(2 * time.Second)
	}
}
