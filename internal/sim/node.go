package sim

import (
	"math/rand/v2"
	"time"

	"github.com/ringtaildb/ringtail/internal/antientropy"
	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/handoff"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/membership"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// tickEvery is how often a node looks at its deadlines.
	tickEvery = 20 * time.Millisecond
	// flushSoon is which part of Scenario.FlushEvery the one of the buffered writes
	// waits that is to be durable soon.
	flushSoon = 25
	// workEvery is how often hand-off and anti-entropy look what there is to do.
	workEvery = 50 * time.Millisecond
	// upkeepEvery is how often it looks after its copies.
	upkeepEvery = 100 * time.Millisecond
	// sequenceBlock is how many sequence numbers are reserved at once.
	sequenceBlock = 16
)

// node is one process: production code on a machine, connected as package node
// connects it.
type node struct {
	*machine
	id   kv.NodeID
	boot uint64
	rng  *rand.Rand
	// dead processes do nothing any more; paused ones do it later.
	dead, paused bool
	held         []held
	conns        []*conn
	course
	// election is the node's proposal that is put to the vote, nil for none.
	election *election
	// leads tells that a step asks for a sweep that this node leads.
	leads bool
	// begun are the puts that were asked of this node.
	begun []begun
	// sequence is the last sequence number that was handed out.
	sequence uint64

	engine *engine
	store  *replica.Store
	coord  *coordinator.Coordinator
	sender *handoff.Sender
	keeper *antientropy.Keeper
	tasks  int
	rings  int
	scrub  scrub
	// flushing tells that flush is to be called soon.
	flushing bool
}

// begun is a put, and when it came by the node's clock.
type begun struct {
	op *Op
	at kv.Time
}

// held is what a paused process is still to do.
type held struct {
	cause *Op
	run   func()
}

func newNode(m *machine) (*node, error) {
	w, f := m.world, &m.disk.files
	if t := m.disk.twin; t != nil {
		if err := t.start(); err != nil {
			return nil, err
		}
	}
	f.boot++
	if w.broken.ForgetVotes {
		f.vote = membership.Acceptor{}
	}
	n := &node{machine: m, id: f.id, boot: f.boot, rng: w.random("node %v %d", f.id, f.boot), sequence: f.reserved}
	n.asked = map[*machine]time.Duration{}
	n.steer()
	w.say(nil, "%v starts, boot %d", m, n.boot)
	n.engine = openEngine(m.disk, n.after, n.failed)
	// What is put where there is damage goes with it.
	n.engine.cut = func(drop func()) { w.lost(m, drop) }
	var err error
	n.store, err = replica.Open(w.broken.replica(n.trusted), n.id, n.engine, n, n, n.sequence+1)
	if err == nil && f.ruined {
		err = n.store.MarkLost(errDamage)
		f.ruined = err != nil
	}
	if err != nil {
		n.dead = true
		n.engine.abandon()
		return nil, err
	}
	n.coord = coordinator.New(w.broken.coordinator(), coordinator.Deps{
		Self: n.id, Local: local{n.store, n}, Hints: local{n.store, n}, Peers: peers{n, n.Now}, Cluster: n, Stats: n, Now: n.Now, Alarm: n.alarm, Soon: n.soon,
	})
	n.sender = handoff.New(w.broken.handoff(w.Scenario), handoff.Deps{
		Self: n.id, Boot: n.ownBoot, Hints: n.store, Local: n.store, Peers: peers{n, w.steady},
		Cluster: n, Background: n, Now: w.steady,
	})
	n.keeper = antientropy.New(w.broken.antiEntropy(w.Scenario), antientropy.Deps{
		Self: n.id, Boot: n.ownBoot, Trees: n.store, Copies: n.store, Floors: local{n.store, n}, Damage: n.store, Stages: n.store, Disk: w.broken.disk(n.engine),
		Peers: peers{n, w.steady}, Cluster: n, Background: n, Now: w.steady, Wall: func() kv.Time { return kv.TimeOf(n.Now()) },
	})
	for _, o := range w.machines {
		n.connTo(o.id())
	}
	n.every(tickEvery, n.tick)
	n.every(workEvery, n.work)
	n.every(w.FlushEvery, n.flush)
	n.every(upkeepEvery, n.upkeep)
	n.every(gossipEvery, n.gossip)
	n.every(workEvery, n.seek)
	n.every(workEvery, n.leave)
	if n.current != nil {
		n.moved()
	}
	return n, nil
}

func (n *node) ownBoot() uint64 { return n.boot }

// do runs f in this process: later if it is paused, never if it is dead.
func (n *node) do(f func()) {
	switch {
	case n.dead:
	case n.paused:
		n.held = append(n.held, held{n.world.cause, f})
	default:
		f()
	}
}

// after runs f in this process when d has passed.
func (n *node) after(d time.Duration, f func()) { n.world.after(d, func() { n.do(f) }) }

// every runs f in this process each d.
func (n *node) every(d time.Duration, f func()) {
	n.world.every(d, n.rng, func() bool {
		n.do(f)
		return !n.dead
	})
}

// resume lets a paused process go on: first it does what it was to do.
func (n *node) resume() {
	n.paused = false
	todo := n.held
	n.held = nil
	for _, h := range todo {
		n.world.cause = h.cause
		n.do(h.run)
	}
	n.world.cause = nil
}

func (n *node) tick() {
	for _, c := range n.conns {
		c.expire()
	}
	n.coord.Expire(n.Now())
}

// work is the tick of what goes on in the background.
func (n *node) work() {
	n.sender.Tick(n.world.steady())
	n.keeper.Tick(n.world.steady())
}

func (n *node) flush() {
	n.flushing = false
	_ = n.engine.Sync()
}

// soon has the buffered writes flushed in a little while.
func (n *node) soon() {
	if !n.flushing {
		n.flushing = true
		n.after(n.world.FlushEvery/flushSoon, n.flush)
	}
}

// failed is told that the engine is final: the node ends, as package node has
// it, and somebody starts it again.
func (n *node) failed(error) {
	if n.dead {
		return
	}
	m := n.machine
	m.crash(m.rng.IntN(len(m.disk.log) + 1))
	m.world.after(time.Second, m.start)
}

// handle serves a request of a peer, who waits for left.
func (n *node) handle(req wire.Request, left time.Duration) {
	req.Deadline = n.Now().Add(left)
	switch req.Type {
	case wire.TypeReplicaRead, wire.TypeReplicaPut:
		n.store.Handle(req)
	case wire.TypeGet, wire.TypePut:
		if req.Type == wire.TypePut {
			n.begun = append(n.begun, begun{n.world.cause, kv.TimeOf(n.Now())})
		}
		n.coord.Handle(req)
	case wire.TypeHandoff:
		n.sender.Handle(req)
	case wire.TypeExchange, wire.TypeSweep:
		n.keeper.Handle(req)
	default:
		panic("sim: nobody serves " + req.Type.String())
	}
}

// peerUp is told that a peer answers again.
func (n *node) peerUp(id kv.NodeID) {
	n.sender.PeerUp(id)
	if !n.world.Unnoticed {
		n.keeper.PeerUp(id)
	}
}

// maxTasks bounds the tasks that wait in the background.
const maxTasks = 64

// Go implements the Background of handoff and antientropy.
func (n *node) Go(task func()) bool {
	if n.tasks == maxTasks {
		return false
	}
	n.tasks++
	n.after(upTo(n.rng, time.Millisecond), func() {
		n.tasks--
		task()
	})
	return true
}

// connTo returns the connection to a peer, which it makes for a node that the
// cluster has; nil for one that it has not.
func (n *node) connTo(id kv.NodeID) *conn {
	for _, c := range n.conns {
		if c.id == id {
			return c
		}
	}
	m := n.world.ids[id]
	if m == nil || m == n.machine {
		return nil
	}
	c := &conn{from: n, to: m, id: id}
	n.conns = append(n.conns, c)
	c.review()
	return c
}

// Next implements replica.Source.
func (n *node) Next() (kv.NodeID, uint64, error) {
	n.sequence++
	if f := &n.disk.files; n.sequence > f.reserved {
		f.reserved = n.sequence + sequenceBlock - 1
	}
	return n.id, n.sequence, nil
}

// Props implements coordinator.Cluster.
func (n *node) Props(bucket []byte) kv.Props {
	p := kv.Props{Quorums: kv.Quorums{R: int8(n.world.R), W: int8(n.world.W), DW: kv.Unset}}
	if string(bucket) == bucketLWW {
		p.Merge = kv.MergeLWW
	}
	return p
}

// Sealer implements coordinator.Cluster.
func (n *node) Sealer() *object.Sealer { return n.world.sealer }

// Up implements coordinator.Peers.
func (n *node) Up(id kv.NodeID) bool {
	c := n.connTo(id)
	return c != nil && c.up
}

// Latency implements coordinator.Peers.
func (n *node) Latency(id kv.NodeID) time.Duration {
	return time.Duration(id%16) * time.Microsecond
}

// Tail implements coordinator.Peers. Many round trips take longer, so that the
// budget of hedges is spent.
func (n *node) Tail(kv.NodeID) time.Duration { return 2*n.world.Links.Delay + n.world.Links.Jitter }

// alarm calls the coordinator when d has passed; the last one counts.
func (n *node) alarm(d time.Duration) {
	n.rings++
	turn := n.rings
	n.after(d, func() {
		if n.rings == turn {
			n.coord.Hedge()
		}
	})
}

// Boot implements handoff.Peers.
func (n *node) Boot(id kv.NodeID) uint64 {
	if c := n.connTo(id); c != nil && c.peer != nil {
		return c.peer.boot
	}
	return 0
}
