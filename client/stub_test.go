package client_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/transport"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// model is what a cluster stores: each key's object, in memory, by the rules of
// package object. Safe for concurrent use.
type model struct {
	sealer *object.Sealer
	mu     struct {
		sync.Mutex
		objects map[string]object.Object
		writes  uint64
	}
}

func newModel() *model {
	m := &model{sealer: object.NewSealer([]byte("key of a test"))}
	m.mu.objects = make(map[string]object.Object)
	return m
}

func (m *model) get(k kv.Key) (object.Object, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.objects[string(k)], nil
}

// put applies p; each write is the first of an actor of its own.
func (m *model) put(p wire.Put) (object.Object, error) {
	ctx, err := m.sealer.Open(append([]byte(nil), p.Context...))
	if err != nil {
		return object.Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.writes++
	w := object.Write{
		Context: ctx, Now: kv.TimeOf(time.Now()), Seq: m.mu.writes,
		Own:     vclock.Own{Actor: vclock.Actor{Node: 9, Birth: m.mu.writes}, Counter: 1},
		Deleted: p.Flags&wire.FlagDeleted != 0, ContentType: p.ContentType, Value: p.Value,
	}
	o, _, _, err := object.Put(nil, m.mu.objects[string(p.Key)], w)
	if err == nil {
		m.mu.objects[string(p.Key)] = o
	}
	return o, err
}

// forget drops all objects.
func (m *model) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.mu.objects)
}

func (m *model) writes() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.writes
}

// answer is what a node says of o. A get shows the body.
func (m *model) answer(o object.Object, body bool) (wire.Answer, error) {
	a := wire.Answer{}
	if o.Bytes() == nil {
		return a, nil
	}
	if body {
		a.Object = o.Bytes()
	}
	var err error
	if body || o.Len() == 1 {
		a.Context, err = m.sealer.AppendSealed(nil, object.ContextOf(o))
	}
	return a, err
}

// node answers requests from a model, unless a fault takes them.
type node struct {
	*model
	host string
	id   kv.NodeID // 0 for the second letter of host
	mu   struct {
		sync.Mutex
		fault func(wire.Request) bool
		gets  []wire.Get
		puts  []wire.Put
		// ring is what clients are told, owns what the node takes a request for
		// that it must not pass on; passed counts those that it would have.
		ring   *wire.RingInfo
		owns   func(kv.Key) bool
		asked  int
		passed int
	}
}

// setFault has f called with each request; if it returns true, that was all.
func (n *node) setFault(f func(wire.Request) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.fault = f
}

// requests returns how many requests came.
func (n *node) requests() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.mu.gets) + len(n.mu.puts)
}

// parse reads a get or put; of a get it fills in the part that is one.
func parse(rq wire.Request) (p wire.Put, err error) {
	if rq.Type == wire.TypeGet {
		p.Get, err = wire.ParseGet(rq.Payload)
		return p, err
	}
	return wire.ParsePut(rq.Payload)
}

// note remembers a request, and returns the fault that is to have it first.
func (n *node) note(rq wire.Request) func(wire.Request) bool {
	p, _ := parse(rq)
	n.mu.Lock()
	defer n.mu.Unlock()
	if rq.Type == wire.TypeGet {
		n.mu.gets = append(n.mu.gets, p.Get)
	} else {
		n.mu.puts = append(n.mu.puts, p)
	}
	return n.mu.fault
}

// Handle implements wire.Handler.
func (n *node) Handle(rq wire.Request) {
	if rq.Type == wire.TypeRing {
		n.tellRing(rq)
		return
	}
	rq.Payload = append([]byte(nil), rq.Payload...)
	if fault := n.note(rq); fault == nil || !fault(rq) {
		n.serve(rq)
	}
}

// serve answers a request by the model.
func (n *node) serve(rq wire.Request) {
	p, err := parse(rq)
	var o object.Object
	if err == nil {
		err = n.passOn(p.Get)
	}
	switch {
	case err != nil:
	case rq.Type == wire.TypeGet:
		o, err = n.get(p.Key)
	default:
		o, err = n.put(p)
	}
	var a wire.Answer
	if err == nil {
		a, err = n.answer(o, rq.Type == wire.TypeGet || p.Flags&wire.FlagReturnBody != 0)
	}
	if err != nil {
		rq.Reply.Fail(err)
		return
	}
	rq.Reply.Send(&a)
}

// hang is a fault: no answer ever comes.
func hang(wire.Request) bool { return true }

// refuse is a fault: each request is answered with err.
func refuse(err error) func(wire.Request) bool {
	return func(rq wire.Request) bool {
		rq.Reply.Fail(err)
		return true
	}
}

// cluster is nodes n1, n2, … that share a model, on a network in memory.
type cluster struct {
	*model
	t     testing.TB
	net   *transport.Memory
	nodes []*node
	id    kv.ClusterID
	// epoch is the one that all answers tell of.
	epoch atomic.Uint64
}

func newCluster(t testing.TB, size int) *cluster {
	c := &cluster{model: newModel(), t: t, net: transport.NewMemory(1), id: 77}
	for i := range size {
		n := &node{model: c.model, host: fmt.Sprintf("n%d", i+1)}
		c.nodes = append(c.nodes, n)
		c.serve(n, c.id)
	}
	return c
}

// serve has n answer until the test ends or its host is killed.
func (c *cluster) serve(n *node, cluster kv.ClusterID) {
	l, err := c.net.Host(n.host).Listen(n.host)
	if err != nil {
		c.t.Fatal(err)
	}
	id := n.id
	if id == 0 {
		id = kv.NodeID(n.host[1])
	}
	hooks := transport.Hooks{
		Identity: func() (kv.ClusterID, wire.Identity) { return cluster, wire.Identity{Node: id, Boot: 1} },
		Level:    func() kv.Level { return kv.LevelOf(c.epoch.Load()) },
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = transport.NewServer(transport.Default(), hooks, n, nil).Serve(ctx, l)
	}()
	c.t.Cleanup(func() {
		cancel()
		<-ended
	})
}

func (c *cluster) addrs() []string {
	var addrs []string
	for _, n := range c.nodes {
		addrs = append(addrs, n.host)
	}
	return addrs
}

func (c *cluster) dialer() client.DialOption {
	host := c.net.Host("here")
	return client.Dialer(func(ctx context.Context, addr string) (net.Conn, error) { return host.Dial(ctx, addr) })
}

// dial returns a client of all nodes.
func (c *cluster) dial(opts ...client.DialOption) *client.Client {
	cl, err := client.Dial(context.Background(), c.addrs(), append(opts, c.dialer())...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = cl.Close() })
	return cl
}
