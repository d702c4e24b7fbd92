package sim

import (
	"math/rand/v2"
	"time"

	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/wire"
)

const (
	// tickEvery is how often a node looks at its deadlines.
	tickEvery = 20 * time.Millisecond
	// flushEvery is how often buffered writes are made durable.
	flushEvery = 500 * time.Millisecond
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
	ring         *ring.Ring
	// sequence is the last sequence number that was handed out.
	sequence uint64

	engine *engine
	store  *replica.Store
	coord  *coordinator.Coordinator
}

// held is what a paused process is still to do.
type held struct {
	cause *Op
	run   func()
}

func newNode(m *machine) *node {
	w, f := m.world, &m.disk.files
	f.boot++
	n := &node{machine: m, id: f.id, boot: f.boot, rng: w.random("node %v %d", f.id, f.boot), ring: f.ring, sequence: f.reserved}
	w.say(nil, "%v starts, boot %d", m, n.boot)
	n.engine = openEngine(m.disk, n.after, n.failed)
	var err error
	n.store, err = replica.Open(w.broken.replica(), n.id, n.engine, n, n, n.sequence+1)
	if err != nil {
		panic(err)
	}
	n.coord = coordinator.New(w.broken.coordinator(), coordinator.Deps{
		Self: n.id, Local: local{n.store, n}, Peers: n, Cluster: n, Stats: n, Now: n.Now,
	})
	for _, id := range w.members() {
		n.connTo(id)
	}
	n.every(tickEvery, n.tick)
	n.every(flushEvery, n.flush)
	n.every(gossipEvery, n.gossip)
	return n
}

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

func (n *node) tick() {
	for _, c := range n.conns {
		c.expire()
	}
	n.coord.Expire(n.Now())
}

func (n *node) flush() { _ = n.engine.Sync() }

// failed is told that the engine is final: the node ends, as package node has
// it, and somebody starts it again.
func (n *node) failed(error) {
	if n.dead {
		return
	}
	n.world.fault("%v ends: its disk failed", n.machine)
	m := n.machine
	m.crash(m.rng.IntN(len(m.disk.log) + 1))
	m.world.after(time.Second, m.start)
}

// handle serves a request of a peer.
func (n *node) handle(req wire.Request) {
	switch req.Type {
	case wire.TypeReplicaRead, wire.TypeReplicaPut:
		n.store.Handle(req)
	case wire.TypeGet, wire.TypePut:
		n.coord.Handle(req)
	default:
		panic("sim: nobody serves " + req.Type.String())
	}
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

// peerUp is told that a peer answers again.
func (n *node) peerUp(kv.NodeID) {}

// Next implements replica.Source.
func (n *node) Next() (kv.NodeID, uint64, error) {
	n.sequence++
	if f := &n.disk.files; n.sequence > f.reserved {
		f.reserved = n.sequence + sequenceBlock - 1
	}
	return n.id, n.sequence, nil
}

// Ring implements the Cluster of coordinator and the Rings of replica.
func (n *node) Ring() *ring.Ring { return n.ring }

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

// GetDone, PutDone, Forwarded, StaleRing and Truncated implement
// coordinator.Stats.
func (n *node) GetDone(coordinator.Ended) {}
func (n *node) PutDone(coordinator.Ended) {}
func (n *node) Forwarded()                {}
func (n *node) StaleRing()                {}
func (n *node) Truncated(int)             {}

// local is the node's store as its coordinator sees it. It notes which dots
// stand for which write.
type local struct {
	*replica.Store
	node *node
}

// Put implements coordinator.Local.
func (l local) Put(epoch uint64, p kv.Partition, k kv.Key, w object.Write, buf []byte, durable storage.Waiter) (object.Object, []byte, int, error) {
	o, out, dropped, err := l.Store.Put(epoch, p, k, w, buf, durable)
	if err == nil {
		l.node.minted(k, w, o)
	}
	return o, out, dropped, err
}

// minted notes the dot that a write was given: the one of the sequence number
// that was drawn last.
func (n *node) minted(k kv.Key, w object.Write, o object.Object) {
	for c := o.Siblings(); c.Next(); {
		if c.Node == n.id && c.Seq == n.sequence {
			n.world.minted(n, k, w, c.Sibling)
			return
		}
	}
	panic("sim: a put left no sibling")
}
