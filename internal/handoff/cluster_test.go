package handoff

import (
	"bytes"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// cluster is several nodes' Senders and Stores in one goroutine. Messages and
// background tasks wait until a test hands them on, in an order of its choice.
type cluster struct {
	t     testing.TB
	now   time.Time
	ring  *ring.Ring
	nodes []*node
	// pending are the messages and tasks under way, calls those without an
	// answer.
	pending []event
	calls   []*responder
	// sent are the sizes of the handoffs that were sent, by when and where to.
	sent []sending
}

// event is a message between two processes, or a task of one.
type event struct {
	from, to *process
	what     string
	run      func()
}

type sending struct {
	at   time.Time
	to   kv.NodeID
	size int
}

// node is one member: what outlives its processes.
type node struct {
	*cluster
	id     kv.NodeID
	cfg    Config
	engine storage.Engine
	seq    uint64
	boot   uint64
	// down nodes answer nothing, and the others know it.
	down bool
	// ring is the node's own, if it differs from the cluster's.
	ring *ring.Ring
	// cur, if set, is where the node believes the ring to be, in a change of it.
	cur *ring.Current
	*process
	refreshed []kv.NodeID
}

// process is one run of a node.
type process struct {
	*node
	boot   uint64
	store  *replica.Store
	sender *Sender
	slow   *slowEngine
	gone   bool
	// refuse are the keys that it takes no hints of.
	refuse map[string]error
	// onPage is called with each page of hints that is read, and may fail it.
	onPage func(p kv.Partition) error
	// full is set while the Background takes no task.
	full bool
}

// slowEngine holds durable acknowledgements back while slow is set, and can be
// full.
type slowEngine struct {
	storage.Engine
	slow    bool
	waiting []storage.Waiter
	fail    error
}

func (e *slowEngine) Apply(b *storage.Batch, w storage.Waiter) error {
	if e.fail != nil {
		return e.fail
	}
	if w == nil || !e.slow {
		return e.Engine.Apply(b, w)
	}
	err := e.Engine.Apply(b, nil)
	if err == nil {
		e.waiting = append(e.waiting, w)
	}
	return err
}

func (e *slowEngine) sync() {
	for _, w := range e.waiting {
		w.Durable(nil)
	}
	e.waiting = nil
}

// partitions is Q in these tests.
const partitions = 16

func claim(t testing.TB, epoch uint64, ids ...kv.NodeID) *ring.Ring {
	t.Helper()
	params := ring.DefaultParams()
	params.Q = partitions
	var members []ring.Node
	for _, id := range ids {
		members = append(members, ring.Node{ID: id, Weight: 1})
	}
	r, err := ring.Claim(nil, params, epoch, members)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// newCluster returns n nodes with ids from 1.
func newCluster(t testing.TB, n int, cfg Config) *cluster {
	t.Helper()
	c := &cluster{t: t, now: time.Unix(1_000_000, 0)}
	var ids []kv.NodeID
	for i := range n {
		ids = append(ids, kv.NodeID(i+1))
	}
	c.ring = claim(t, 1, ids...)
	for _, id := range ids {
		c.nodes = append(c.nodes, &node{cluster: c, id: id, cfg: cfg, engine: newMemory(t)})
		c.nodes[id-1].start()
	}
	return c
}

func newMemory(t testing.TB) storage.Engine {
	t.Helper()
	e, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// start starts a new process on the node's engine. What the last one had under
// way is gone.
func (n *node) start() {
	n.stop()
	n.boot++
	p := &process{node: n, boot: n.boot, slow: &slowEngine{Engine: n.engine}}
	var err error
	if p.store, err = replica.Open(replica.Default(), n.id, p.slow, n, n, n.seq+1); err != nil {
		n.t.Fatal(err)
	}
	p.sender = New(n.cfg, Deps{
		Self: n.id, Boot: func() uint64 { return p.boot }, Hints: hints{p}, Local: local{p}, Peers: p, Cluster: n,
		Background: p, Now: func() time.Time { return n.now },
	})
	n.process = p
}

// stop kills the process: calls to it fail, its own are forgotten.
func (n *node) stop() {
	if n.process == nil {
		return
	}
	n.process.gone = true
	for _, r := range n.calls {
		if r.callee == n.process {
			r.finish(wire.Response{}, &kv.Error{Op: "call", Kind: kv.KindUnavailable, Applied: kv.AppliedUnknown})
		}
	}
}

func (n *node) Current() *ring.Current {
	if n.cur != nil {
		return n.cur
	}
	if r := n.Ring(); r != nil {
		return &ring.Current{Ring: r}
	}
	return nil
}
func (n *node) Next() (kv.NodeID, uint64, error) { n.seq++; return n.id, n.seq, nil }
func (n *node) Refresh(from kv.NodeID)           { n.refreshed = append(n.refreshed, from) }
func (n *node) Ring() *ring.Ring {
	if n.ring != nil {
		return n.ring
	}
	return n.cluster.ring
}

func (c *cluster) node(id kv.NodeID) *node { return c.nodes[id-1] }

// Up and Boot implement Peers.
func (p *process) Up(id kv.NodeID) bool     { return !p.cluster.node(id).down }
func (p *process) Boot(id kv.NodeID) uint64 { return p.cluster.node(id).boot }

// Go implements Background.
func (p *process) Go(task func()) bool {
	if p.full {
		return false
	}
	p.pending = append(p.pending, event{from: p, to: p, what: "task", run: task})
	return true
}

// Call implements Peers: the request waits in the network.
func (p *process) Call(to kv.NodeID, call wire.Call, m wire.Appender, done wire.Completion, tag uint32) {
	payload := m.AppendTo(nil)
	if len(payload) != m.Size() || call.Type != wire.TypeHandoff {
		p.t.Fatalf("%v: Size says %d, AppendTo gave %d", call.Type, m.Size(), len(payload))
	}
	peer := p.cluster.node(to)
	if peer.down {
		done.Complete(tag, wire.Response{}, &kv.Error{Op: "call", Kind: kv.KindUnavailable, Node: to})
		return
	}
	p.sent = append(p.sent, sending{p.now, to, len(payload) - 2})
	back := &responder{caller: p, callee: peer.process, done: done, tag: tag, deadline: call.Deadline}
	p.calls = append(p.calls, back)
	request := func() {
		payload := bytes.Clone(payload)
		back.callee.sender.Handle(wire.Request{
			Type: call.Type, From: p.id, Deadline: call.Deadline, Level: call.Level, Payload: payload,
			Reply: wire.Reply{To: back, Type: call.Type},
		})
		for i := range payload {
			payload[i] = 0xdb // what was borrowed is gone
		}
	}
	p.pending = append(p.pending, event{from: p, to: peer.process, what: "handoff", run: request})
}

// responder carries an answer back through the network.
type responder struct {
	caller, callee *process
	done           wire.Completion
	tag            uint32
	deadline       time.Time
	final          bool
}

func (r *responder) Respond(_ uint64, _ wire.Type, f wire.Flags, m wire.Appender) {
	payload := m.AppendTo(nil)
	what, answer := "ack", func() { r.finish(wire.Response{Payload: payload}, nil) }
	if f&wire.FlagError != 0 {
		what, answer = "refusal", func() { r.finish(wire.Response{}, wire.ParseError(payload)) }
	}
	// An answer under way outlives the process that gave it.
	r.caller.pending = append(r.caller.pending, event{from: r.caller, to: r.caller, what: what, run: answer})
}

// finish ends the call, once, unless its caller is gone.
func (r *responder) finish(resp wire.Response, err error) {
	if r.final || r.caller.gone {
		return
	}
	r.final = true
	r.done.Complete(r.tag, resp, err)
	for i := range resp.Payload {
		resp.Payload[i] = 0xdb
	}
}

// deliver hands the i-th pending event on; one to or from a process that is gone
// is lost.
func (c *cluster) deliver(i int) {
	e := c.pending[i]
	c.pending = append(c.pending[:i:i], c.pending[i+1:]...)
	if !e.from.gone && !e.to.gone {
		e.run()
	}
}

// run delivers in order until nothing is left.
func (c *cluster) run() {
	for n := 0; len(c.pending) > 0; n++ {
		if n > 1_000_000 {
			c.t.Fatal("it does not come to rest")
		}
		c.deliver(0)
	}
}

// runTo delivers in order until the next event is what, and returns whether one
// is.
func (c *cluster) runTo(what string) bool {
	for len(c.pending) > 0 {
		if c.pending[0].what == what {
			return true
		}
		c.deliver(0)
	}
	return false
}

// drop loses the pending messages of a kind and tells how many.
func (c *cluster) drop(what string) (n int) {
	var left []event
	for _, e := range c.pending {
		if e.what == what {
			n++
		} else {
			left = append(left, e)
		}
	}
	c.pending = left
	return n
}

// pass lets d go by in one step: calls without an answer in time end, as the
// transport sees to, and every node ticks.
func (c *cluster) pass(d time.Duration) {
	c.now = c.now.Add(d)
	for _, r := range c.calls {
		if !r.final && c.now.After(r.deadline) {
			r.finish(wire.Response{}, &kv.Error{Op: "call", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown})
		}
	}
	for _, n := range c.nodes {
		if !n.process.gone {
			n.sender.Tick(c.now)
		}
	}
}

// settle lets time pass, in steps of 50 ms, until no hint is left, and fails
// after d.
func (c *cluster) settle(d time.Duration) {
	c.t.Helper()
	for until := c.now.Add(d); ; {
		c.run()
		if c.hints() == 0 {
			return
		}
		if c.now.After(until) {
			c.t.Fatalf("%d hints are left after %v", c.hints(), d)
		}
		c.pass(50 * time.Millisecond)
	}
}

func (c *cluster) hints() (n int) {
	for _, n2 := range c.nodes {
		if n2.process.gone {
			continue
		}
		for _, st := range n2.store.Hints() {
			n += int(st.Keys)
		}
	}
	return n
}

// goDown and comeUp are what the transport tells of a node.
func (c *cluster) goDown(id kv.NodeID) { c.node(id).down = true }

func (c *cluster) comeUp(id kv.NodeID) {
	c.node(id).down = false
	for _, n := range c.nodes {
		n.sender.PeerUp(id)
	}
}

// keys yields the keys whose owners include all of with and none of without.
func (c *cluster) keys(with, without []kv.NodeID) iter.Seq[kv.Key] {
	return func(yield func(kv.Key) bool) {
		for n := range 100_000 {
			k := kv.AppendKey(nil, "b", fmt.Appendf(nil, "key%05d", n))
			p, ok := c.ring.PartitionOf(k), true
			for _, id := range with {
				ok = ok && c.ring.Owns(p, id)
			}
			for _, id := range without {
				ok = ok && !c.ring.Owns(p, id)
			}
			if ok && !yield(k) {
				return
			}
		}
		c.t.Fatal("there is no such key")
	}
}

// keyOf returns the i-th of keys.
func (c *cluster) keyOf(i int, with, without []kv.NodeID) kv.Key {
	c.t.Helper()
	for k := range c.keys(with, without) {
		if i == 0 {
			return k
		}
		i--
	}
	return nil
}

// hint has node n keep a write of k for owner.
func (n *node) hint(owner kv.NodeID, k kv.Key, value string) object.Object {
	n.t.Helper()
	r := n.Ring()
	w := object.Write{Value: []byte(value), Now: kv.TimeOf(n.now)}
	o, _, _, err := n.store.PutHint(n.Current().View(n.Ring().PartitionOf(k)).Level, owner, r.PartitionOf(k), k, w, nil, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return o
}

// has tells whether node n's copy of k has all that o has.
func (n *node) has(k kv.Key, o object.Object) bool {
	n.t.Helper()
	got, _, err := n.store.Read(n.Ring().PartitionOf(k), k, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	_, _, outcome, err := object.Merge(nil, got, o)
	return err == nil && outcome == object.First
}

// rested checks that nothing is left under way.
func (c *cluster) rested() {
	c.t.Helper()
	for _, n := range c.nodes {
		if n.sender.inbound.Load() != 0 {
			c.t.Errorf("node %v still takes %d hints", n.id, n.sender.inbound.Load())
		}
		for _, s := range n.sender.mu.sessions {
			if s.busy || s.calls != 0 || s.bytes != 0 || len(s.acked) != 0 {
				c.t.Errorf("node %v has a session under way with %v: %+v", n.id, s.to, s)
			}
		}
	}
}

// hints is a process's Store, with onPage.
type hints struct{ *process }

func (h hints) Hints() []replica.HintStats                    { return h.store.Hints() }
func (h hints) HintPartitions(owner kv.NodeID) []kv.Partition { return h.store.HintPartitions(owner) }
func (h hints) DeleteHint(owner kv.NodeID, p kv.Partition, k kv.Key, version uint64) (bool, error) {
	return h.store.DeleteHint(owner, p, k, version)
}
func (h hints) ReaddressHint(to kv.NodeID, p kv.Partition, k kv.Key, in object.Object, w storage.Waiter) error {
	return h.store.ReaddressHint(to, p, k, in, w)
}
func (h hints) HintPage(owner kv.NodeID, p kv.Partition, after kv.Key, maxKeys, maxBytes int) ([]replica.Hint, bool, error) {
	if h.onPage != nil {
		if err := h.onPage(p); err != nil {
			return nil, false, err
		}
	}
	return h.store.HintPage(owner, p, after, maxKeys, maxBytes)
}

// local is a process's Store, but for the keys that it refuses.
type local struct{ *process }

func (l local) Merge(p kv.Partition, k kv.Key, in object.Object, f vclock.Floor, w storage.Waiter) error {
	if err := l.refuse[string(k)]; err != nil {
		return err
	}
	return l.store.Merge(p, k, in, f, w)
}
