package coordinator

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// cluster is several nodes' coordinators and replicas in one goroutine. A
// message waits in the network until deliver or run hands it on, so a test
// decides the order of everything.
type cluster struct {
	t     *testing.T
	now   time.Time
	nodes []*node
	// pending are the messages under way, calls those without a final answer.
	pending []message
	// guarded has nodes refuse what is for owners when they are none.
	guarded bool
	calls   []*responder
}

type message struct {
	from, to *node
	answer   bool
	hedge    bool
	// typ and payload are a request's.
	typ     wire.Type
	level   kv.Level
	payload []byte
	run     func()
}

// node is one member: it implements the coordinator's Peers and Cluster, the
// replica's Source and Rings, and counts as Stats.
type node struct {
	*cluster
	id   kv.NodeID
	ring *ring.Ring
	// progress is what the node knows of a change of the ring, nil for none.
	progress *ring.Progress
	cur      *ring.Current
	props    map[string]kv.Props
	skew     time.Duration
	outdated *kv.Error
	seq      uint64
	// far is how far other nodes are; those that it lacks are near.
	far map[kv.NodeID]time.Duration
	// tails are what all but one in a hundred of their answers take.
	tails map[kv.NodeID]time.Duration
	// rings is when the coordinator's alarm does, if it is set.
	rings  time.Time
	hedges [3]int
	// dead nodes answer nothing; down ones are known to be dead.
	dead, down bool
	engine     *slowEngine
	// gates are the lowest levels that copies serve.
	gates map[kv.Partition]gate
	store *replica.Store
	coord *Coordinator

	// ended are the requests of clients that have ended here, lags what was told of
	// puts that were followed.
	ended []ended
	sla   *metrics.Node
	lags  []string

	gets, puts, forwarded, refreshed, standIns, repaired int
}

// slowEngine holds durable acknowledgements back while slow is set.
type slowEngine struct {
	storage.Engine
	slow    bool
	waiting []storage.Waiter
	fail    error
}

type ignore struct{}

func (ignore) Durable(error) {}

func (e *slowEngine) Apply(b *storage.Batch, w storage.Waiter) error {
	if e.fail != nil {
		return e.fail
	}
	if w == nil || !e.slow {
		return e.Engine.Apply(b, w)
	}
	err := e.Engine.Apply(b, ignore{})
	if err == nil {
		e.waiting = append(e.waiting, w)
	}
	return err
}

// sync releases what is waiting, with err.
func (e *slowEngine) sync(err error) {
	for _, w := range e.waiting {
		w.Durable(err)
	}
	e.waiting = nil
}

var testSealer = object.NewSealer([]byte("a key for tests"))

// Latency implements Peers.
func (n *node) Latency(id kv.NodeID) time.Duration {
	if d, ok := n.far[id]; ok {
		return d
	}
	return time.Duration(id)
}

// Tail implements Peers.
func (n *node) Tail(id kv.NodeID) time.Duration { return n.tails[id] }

func newCluster(t *testing.T, n int) *cluster { return newZones(t, n, "") }

// newZones is newCluster with nodes that are in each of zones by turns.
func newZones(t *testing.T, n int, zones ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, now: time.Unix(1_000_000, 0)}
	var members []ring.Node
	for i := range n {
		members = append(members, ring.Node{ID: kv.NodeID(i + 1), Weight: 1, Zone: zones[i%len(zones)]})
	}
	params := ring.DefaultParams()
	params.Q = 64
	r, err := ring.Claim(nil, params, 1, members)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range members {
		c.nodes = append(c.nodes, c.newNode(m.ID, r, DefaultForTest()))
	}
	return c
}

// DefaultForTest is Default with few requests in flight, so that a leak shows, and
// all owners asked by each get.
func DefaultForTest() Config {
	cfg := Default()
	cfg.MaxInFlight, cfg.ReadAll, cfg.ReadFewAt = 64, 1, 0
	return cfg
}

func (c *cluster) newNode(id kv.NodeID, r *ring.Ring, cfg Config) *node {
	e, err := memory.Open(memory.Default())
	if err != nil {
		c.t.Fatal(err)
	}
	n := &node{cluster: c, id: id, ring: r, props: map[string]kv.Props{}, gates: map[kv.Partition]gate{}, engine: &slowEngine{Engine: e}, sla: metrics.NewNode(c.now)}
	n.open(cfg, replica.Default())
	return n
}

// open makes the node's parts, on the engine that it has.
func (n *node) open(cfg Config, stored replica.Config) {
	var err error
	if n.store, err = replica.Open(stored, n.id, n.engine, n, n, n.seq+1); err != nil {
		n.t.Fatal(err)
	}
	n.coord = New(cfg, Deps{
		Self: n.id, Local: gated{n.store, n}, Hints: n.store, Peers: n, Cluster: n, Stats: n,
		Now:   func() time.Time { return n.now },
		Alarm: func(d time.Duration) { n.rings = n.now.Add(d) },
	})
}

func (n *node) Next() (kv.NodeID, uint64, error) { n.seq++; return n.id, n.seq, nil }
func (n *node) Ring() *ring.Ring                 { return n.ring }
func (n *node) Current() *ring.Current {
	switch {
	case n.ring == nil:
		return nil
	case n.cur == nil || n.cur.Ring != n.ring || n.cur.Progress != n.progress:
		n.cur = &ring.Current{Ring: n.ring, Progress: n.progress}
	}
	return n.cur
}
func (n *node) Sealer() *object.Sealer     { return testSealer }
func (n *node) Skew() time.Duration        { return n.skew }
func (n *node) Outdated() *kv.Error        { return n.outdated }
func (n *node) StaleRing()                 {}
func (n *node) GetDone(e Ended)            { n.gets++; n.tell(metrics.OpGet, e) }
func (n *node) PutDone(e Ended)            { n.puts++; n.tell(metrics.OpPut, e) }
func (n *node) Forwarded()                 { n.forwarded++ }
func (n *node) Truncated(int)              {}
func (n *node) StandIn()                   { n.standIns++ }
func (n *node) Hedge(e hedge.Event)        { n.hedges[e]++ }
func (n *node) Repaired(copies int)        { n.repaired += copies }
func (n *node) Up(id kv.NodeID) bool       { return !n.peer(id).down }
func (c *cluster) peer(id kv.NodeID) *node { return c.nodes[id-1] }
func (n *node) Props(bucket []byte) kv.Props {
	if p, ok := n.props[string(bucket)]; ok {
		return p
	}
	return kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: kv.Unset}}
}

// Call implements Peers: the request waits in the network.
func (n *node) Call(to kv.NodeID, call wire.Call, m wire.Appender, done wire.Completion, tag uint32) {
	payload := m.AppendTo(nil)
	if len(payload) != m.Size() {
		n.t.Fatalf("%v: Size says %d, AppendTo gave %d", call.Type, m.Size(), len(payload))
	}
	peer := n.peer(to)
	if peer.down {
		done.Complete(tag, wire.Response{}, errDown(to))
		return
	}
	back := &responder{caller: n, callee: peer, done: done, tag: tag, deadline: call.Deadline}
	n.calls = append(n.calls, back)
	n.pending = append(n.pending, message{from: n, to: peer, typ: call.Type, level: call.Level, hedge: call.Hedge, payload: payload, run: func() {
		payload := bytes.Clone(payload) // it may come twice
		req := wire.Request{
			Type: call.Type, From: n.id, Deadline: call.Deadline, Level: call.Level, Payload: payload,
			Reply: wire.Reply{To: back, Type: call.Type},
		}
		peer.handle(req)
		for i := range payload {
			payload[i] = 0xdb // what was borrowed is gone
		}
	}})
}

// responder carries an answer back through the network.
type responder struct {
	caller, callee *node
	done           wire.Completion
	tag            uint32
	deadline       time.Time
	final          bool
}

func (r *responder) Respond(_ uint64, t wire.Type, f wire.Flags, m wire.Appender) {
	payload := m.AppendTo(nil)
	c := r.caller.cluster
	c.pending = append(c.pending, message{from: r.callee, to: r.caller, answer: true, run: func() {
		if r.final {
			return // late, as the transport drops it
		}
		r.final = f&wire.FlagInterim == 0
		if f&wire.FlagError != 0 {
			r.done.Complete(r.tag, wire.Response{}, wire.ParseError(payload))
			return
		}
		payload := bytes.Clone(payload)
		r.done.Complete(r.tag, wire.Response{Interim: !r.final, Payload: payload}, nil)
		for i := range payload {
			payload[i] = 0xdb
		}
	}})
}

// run delivers messages in order until none is left; those to or from a dead
// node are lost.
func (c *cluster) run() {
	for len(c.pending) > 0 {
		c.deliver(0)
	}
}

func (c *cluster) deliver(i int) {
	m := c.pending[i]
	c.pending = append(c.pending[:i:i], c.pending[i+1:]...)
	if !m.from.dead && !m.to.dead {
		m.run()
	}
}

// runOnly delivers the messages that ok picks, and those that follow, until none
// is left but others.
func (c *cluster) runOnly(ok func(m message) bool) {
	for i := 0; i < len(c.pending); {
		if ok(c.pending[i]) {
			c.deliver(i)
			i = 0
			continue
		}
		i++
	}
}

// without picks the messages that neither come from nor go to any of nodes.
func without(nodes ...*node) func(message) bool {
	return func(m message) bool { return !slices.Contains(nodes, m.from) && !slices.Contains(nodes, m.to) }
}

// pass lets d go by, ends the calls that had no answer in time, as the
// transport does, and has every node look at its deadlines.
func (c *cluster) pass(d time.Duration) {
	c.now = c.now.Add(d)
	for _, r := range c.calls {
		if !r.final && c.now.After(r.deadline) {
			r.final = true
			r.done.Complete(r.tag, wire.Response{}, &kv.Error{Op: "call", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown})
		}
	}
	for _, n := range c.nodes {
		n.coord.Expire(c.now)
	}
}

// outcome is a Receiver that remembers.
type outcome struct {
	t       *testing.T
	done    bool
	err     error
	values  []string
	context []byte
}

func (o *outcome) Receive(a wire.Answer, err error) {
	if o.done {
		o.t.Error("an outcome was told twice")
	}
	o.done, o.err = true, err
	o.context = append([]byte(nil), a.Context...)
	if len(a.Object) == 0 {
		return
	}
	obj, err := object.Parse(append([]byte(nil), a.Object...))
	if err != nil {
		o.t.Fatal(err)
	}
	for s := obj.Siblings(); s.Next(); {
		if s.Deleted {
			o.values = append(o.values, "<deleted>")
		} else {
			o.values = append(o.values, string(s.Value))
		}
	}
}

func (o *outcome) String() string {
	switch {
	case !o.done:
		return "pending"
	case o.err != nil:
		return fmt.Sprintf("%v, applied %v", kv.KindOf(o.err), kv.AppliedOf(o.err))
	}
	return fmt.Sprint(o.values)
}

func testKey(t *testing.T, key string) kv.Key {
	t.Helper()
	k, err := kv.NewKey("default", key)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// put starts a put at node i.
func (c *cluster) put(i int, key, value string, ctx []byte, o kv.Options) *outcome {
	out := &outcome{t: c.t}
	c.nodes[i].coord.Put(Request{
		Key: testKey(c.t, key), Options: o,
		Update: object.Update{Context: ctx, Value: []byte(value)},
	}, out)
	return out
}

func (c *cluster) del(i int, key string, ctx []byte, o kv.Options) *outcome {
	out := &outcome{t: c.t}
	c.nodes[i].coord.Put(Request{Key: testKey(c.t, key), Options: o, Update: object.Update{Context: ctx, Deleted: true}}, out)
	return out
}

// get starts a get at node i.
func (c *cluster) get(i int, key string, o kv.Options) *outcome {
	out := &outcome{t: c.t}
	c.nodes[i].coord.Get(Request{Key: testKey(c.t, key), Options: o}, out)
	return out
}

// idle checks that nothing is left in flight.
func (c *cluster) idle() {
	c.t.Helper()
	for _, n := range c.nodes {
		if w := n.coord.waiting.Load(); w != 0 {
			c.t.Errorf("node %v: %d requests wait", n.id, w)
		}
		for i := range n.coord.flights {
			if n.coord.flights[i].head != nil {
				c.t.Errorf("node %v: a request is still held", n.id)
			}
		}
	}
}

func opts(r, w, dw int8) kv.Options { return kv.Options{R: r, W: w, DW: dw} }
