package client_test

import (
	"context"
	"net"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/transport"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// tellRing answers a client that asks for the ring.
func (n *node) tellRing(rq wire.Request) {
	q, err := wire.ParseRingQuery(rq.Payload)
	n.mu.Lock()
	n.mu.asked++
	fault, m := n.mu.fault, n.mu.ring
	n.mu.Unlock()
	switch {
	case fault != nil && fault(rq):
	case err != nil:
		rq.Reply.Fail(err)
	case m == nil:
		rq.Reply.Fail(kv.Errorf(kv.KindUnavailable, "tell the ring", "this node is not in a ring yet"))
	default:
		sealed := m.Seal()
		if q.Known == m.Hash {
			sealed = wire.SameRing(sealed)
		}
		rq.Reply.Send(wire.Raw(sealed))
	}
}

// passOn tells what happens to a request at a node that does not own its key.
func (n *node) passOn(g wire.Get) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.mu.owns == nil || n.mu.owns(g.Key):
		return nil
	case g.Flags&wire.FlagForwarded != 0:
		return kv.Errorf(kv.KindStaleRing, "coordinate", "the partition is not this node's")
	}
	n.mu.passed++
	return nil
}

// setRing has the node tell clients of m, and own what that says it does.
func (n *node) setRing(m wire.RingInfo) {
	n.tell(m)
	n.own(m)
}

// tell has clients be told of m.
func (n *node) tell(m wire.RingInfo) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.ring = &m
}

// own has the node own what m says it does.
func (n *node) own(m wire.RingInfo) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.owns = func(k kv.Key) bool { return slices.Contains(ownersOf(m, k), n.host) }
}

// counts returns how often the ring was asked for, and how many requests the node
// had to pass on.
func (n *node) counts() (asked, passed int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.asked, n.mu.passed
}

// ownersOf returns the hosts that m says to own k.
func ownersOf(m wire.RingInfo, k kv.Key) []string {
	p := partitionOf(m, k)
	places := m.Owners[int(p)*m.Width : (int(p)+1)*m.Width]
	for _, v := range m.Moving {
		if v.Partition == p {
			places = v.Owners
		}
	}
	var hosts []string
	for _, at := range places {
		hosts = append(hosts, m.Nodes[at].Peer)
	}
	return hosts
}

// ringOf returns a ring of 16 partitions over nodes n1, n2, …: partition p belongs
// to the width of them that begin with the p-th, in turn.
func ringOf(epoch uint64, nodes, width int, partitioner string) wire.RingInfo {
	m := wire.RingInfo{Epoch: epoch, Partitioner: partitioner, Partitions: 16, Width: width}
	for i := range nodes {
		host := "n" + string(rune('1'+i))
		m.Nodes = append(m.Nodes, wire.RingNode{ID: kv.NodeID(host[1]), Up: true, Peer: host})
	}
	for p := range m.Partitions {
		for i := range width {
			m.Owners = append(m.Owners, uint16((p+i)%nodes))
		}
	}
	return m
}

// partitionOf returns the partition of k.
func partitionOf(m wire.RingInfo, k kv.Key) kv.Partition {
	f, _ := ring.ParsePartitioner(m.Partitioner)
	return f.Partition(k.User(), m.Partitions)
}

// downgraded makes connections of host's whose handshake offers only the first
// version of the protocol.
func downgraded(host transport.Network) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := host.Dial(ctx, addr)
		return &oldConn{Conn: c}, err
	}
}

type oldConn struct {
	net.Conn
	greeted bool
}

// Write rewrites the first message, which is the Hello.
func (c *oldConn) Write(b []byte) (int, error) {
	if c.greeted {
		return c.Conn.Write(b)
	}
	c.greeted = true
	body, err := wire.HelloBody(b[wire.HelloHeader:])
	if err != nil {
		return 0, err
	}
	h, err := wire.ParseHello(body)
	if err != nil {
		return 0, err
	}
	h.Max = wire.VersionLevels - 1
	if _, err := c.Conn.Write(wire.AppendHello(nil, h)); err != nil {
		return 0, err
	}
	return len(b), nil
}

// setRing gives all nodes one ring.
func (c *cluster) setRing(m wire.RingInfo) {
	for _, n := range c.nodes {
		n.setRing(m)
	}
}

// passed returns how many requests had to be passed on by the nodes.
func (c *cluster) passed() int {
	sum := 0
	for _, n := range c.nodes {
		_, passed := n.counts()
		sum += passed
	}
	return sum
}

// named returns the node of that host.
func (c *cluster) named(host string) *node {
	return c.nodes[slices.IndexFunc(c.nodes, func(n *node) bool { return n.host == host })]
}

// warm makes requests for many keys, until the client has found all owners, and
// forgets them.
func (c *cluster) warm(t *testing.T, b *client.Bucket) {
	t.Helper()
	for range 2 {
		for _, key := range someKeys {
			must(t)(b.Get(background, key))
		}
		synctest.Wait()
	}
	for _, n := range c.nodes {
		n.mu.Lock()
		n.mu.gets, n.mu.puts, n.mu.passed = nil, nil, 0
		n.mu.Unlock()
	}
}

// someKeys fall into all partitions of ringOf.
var someKeys = func() []string {
	var keys []string
	for i := range 100 {
		keys = append(keys, "key"+string(rune('0'+i%10))+string(rune('0'+i/10)))
	}
	return keys
}()
