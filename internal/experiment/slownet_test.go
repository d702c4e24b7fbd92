package experiment

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/hedge"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/replica"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/storage/memory"
	"github.com/ringtaildb/ringtail/internal/transport"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// smallNode is a node in a bubble: the production code of coordinator, replica,
// transport and client over a network in memory, and a ring that never changes. It
// is what package node connects, without membership.
type smallNode struct {
	id     kv.NodeID
	host   string
	cur    *ring.Current
	ring   []byte // as clients are told
	seq    atomic.Uint64
	hedges [3]atomic.Int64

	store  *replica.Store
	pool   *transport.Pool
	coord  *coordinator.Coordinator
	server *transport.Server
	alarm  *time.Timer
}

const smallCluster = kv.ClusterID(7)

var smallSealer = object.NewSealer([]byte("a key for tests"))

func (n *smallNode) Next() (kv.NodeID, uint64, error)          { return n.id, n.seq.Add(1), nil }
func (n *smallNode) Ring() *ring.Ring                          { return n.cur.Ring }
func (n *smallNode) Current() *ring.Current                    { return n.cur }
func (n *smallNode) Sealer() *object.Sealer                    { return smallSealer }
func (n *smallNode) Skew() time.Duration                       { return 0 }
func (n *smallNode) Outdated() *kv.Error                       { return nil }
func (n *smallNode) Refresh(kv.NodeID)                         {}
func (n *smallNode) StaleRing()                                {}
func (n *smallNode) GetDone(coordinator.Ended)                 {}
func (n *smallNode) PutDone(coordinator.Ended)                 {}
func (n *smallNode) Forwarded()                                {}
func (n *smallNode) Truncated(int)                             {}
func (n *smallNode) StandIn()                                  {}
func (n *smallNode) Sampled(int, int)                          {}
func (n *smallNode) Repaired(int)                              {}
func (n *smallNode) ForwardDone(metrics.Op, coordinator.Ended) {}
func (n *smallNode) Acknowledged(time.Duration)                {}
func (n *smallNode) Hedge(e hedge.Event)                       { n.hedges[e].Add(1) }
func (n *smallNode) Props([]byte) kv.Props {
	return kv.Props{Quorums: kv.Quorums{R: 2, W: 2, DW: 0}, Merge: kv.MergeLWW}
}

// Handle implements wire.Handler.
func (n *smallNode) Handle(rq wire.Request) {
	switch rq.Type {
	case wire.TypeReplicaRead, wire.TypeReplicaPut:
		n.store.Handle(rq)
	case wire.TypeRing:
		rq.Reply.Send(wire.Raw(n.ring))
	default:
		n.coord.Handle(rq)
	}
}

// smallRing returns three nodes' ring, for nodes and for clients.
func smallRing(t *testing.T) (*ring.Ring, []byte) {
	params := ring.DefaultParams()
	params.Q = 16
	var members []ring.Node
	info := wire.RingInfo{Epoch: 1, Partitioner: params.Partitioner.String(), Partitions: params.Q, Width: params.N}
	for i := range 3 {
		id := kv.NodeID(i + 1)
		members = append(members, ring.Node{ID: id, Weight: 1})
		info.Nodes = append(info.Nodes, wire.RingNode{ID: id, Up: true, Peer: hostOf(id)})
	}
	r, err := ring.Claim(nil, params, 1, members)
	if err != nil {
		t.Fatal(err)
	}
	for p := range params.Q {
		for _, id := range r.Owners(kv.Partition(p)) {
			info.Owners = append(info.Owners, uint16(id-1))
		}
	}
	return r, info.Seal()
}

func hostOf(id kv.NodeID) string { return fmt.Sprintf("n%d", id) }

// start runs three nodes on a network, and ends them with the test.
func start(t *testing.T, network *transport.Memory, cfg coordinator.Config) []*smallNode {
	r, told := smallRing(t)
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		parts.Wait()
	})
	var nodes []*smallNode
	for id := kv.NodeID(1); id <= 3; id++ {
		n := &smallNode{id: id, host: hostOf(id), cur: &ring.Current{Ring: r}, ring: told}
		n.open(t, network, cfg)
		l, err := network.Host(n.host).Listen(n.host)
		if err != nil {
			t.Fatal(err)
		}
		parts.Go(func() { _ = n.server.Serve(ctx, l) })
		parts.Go(func() { _ = n.pool.Run(ctx) })
		parts.Go(func() { n.tick(ctx) })
		nodes = append(nodes, n)
	}
	return nodes
}

func (n *smallNode) open(t *testing.T, network *transport.Memory, cfg coordinator.Config) {
	engine, err := memory.Open(memory.Default())
	if err != nil {
		t.Fatal(err)
	}
	if n.store, err = replica.Open(replica.Default(), n.id, engine, n, n, 1); err != nil {
		t.Fatal(err)
	}
	identity := func() (kv.ClusterID, wire.Identity) { return smallCluster, wire.Identity{Node: n.id, Boot: 1} }
	hooks := transport.Hooks{Identity: identity, Level: func() kv.Level { return kv.LevelOf(1) }}
	n.pool = transport.NewPool(transport.Default(), network.Host(n.host), hooks, nil)
	var peers []transport.Peer
	for id := kv.NodeID(1); id <= 3; id++ {
		if id != n.id {
			peers = append(peers, transport.Peer{ID: id, Addr: hostOf(id)})
		}
	}
	n.pool.SetPeers(peers)
	n.alarm = time.NewTimer(time.Hour)
	n.coord = coordinator.New(cfg, coordinator.Deps{
		Self: n.id, Local: n.store, Hints: n.store, Peers: n.pool, Cluster: n, Stats: n, Now: time.Now,
		Alarm: func(d time.Duration) { n.alarm.Reset(d) },
	})
	n.server = transport.NewServer(transport.Default(), hooks, n, nil)
}

func (n *smallNode) tick(ctx context.Context) {
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	defer n.alarm.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			n.coord.Expire(time.Now())
		case <-n.alarm.C:
			n.coord.Hedge()
		}
	}
}

// tails returns the percentiles of gets by turns of many keys, in a bubble.
type tails struct{ p50, p99, p999 time.Duration }

func tailsOf(t *testing.T, b *client.Bucket, gets int) tails {
	took := make([]time.Duration, gets)
	for i := range took {
		began := time.Now()
		if r, err := b.Get(t.Context(), loadKey(i%100)); err != nil || !r.Found() {
			t.Fatalf("%v %v", r, err)
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	return tails{took[gets/2], took[gets*99/100], took[gets*999/1000]}
}

// TestASlowReplicaDoesNotShow: with one of three nodes slowed by 100 ms the 99.9th
// percentile of gets stays within twice that of before, from the moment on at which
// it becomes slow. Without hedges and routes that go round it the 100 ms show.
func TestASlowReplicaDoesNotShow(t *testing.T) {
	for _, on := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			network := transport.NewMemory(1)
			for _, from := range []string{"n1", "n2", "n3", "here"} {
				for _, to := range []string{"n1", "n2", "n3", "here"} {
					network.Delay(from, to, 200*time.Microsecond, 300*time.Microsecond)
				}
			}
			cfg := coordinator.Default()
			cfg.ReadFewAt = 0 // as where there is much to do
			host := network.Host("here")
			opts := []client.DialOption{client.Dialer(func(ctx context.Context, addr string) (net.Conn, error) { return host.Dial(ctx, addr) })}
			if !on {
				cfg.Hedge, cfg.ReadAll = false, 1
				opts = append(opts, client.Unhedged())
			}
			nodes := start(t, network, cfg)
			synctest.Wait()
			time.Sleep(time.Second)
			cl, err := client.Dial(t.Context(), []string{"n1", "n2", "n3"}, opts...)
			if err != nil {
				t.Fatal(err)
			}
			b := cl.Bucket("b")
			if err := fill(t.Context(), b, 100, 100); err != nil {
				t.Fatal(err)
			}
			tailsOf(t, b, 5000)
			calm := tailsOf(t, b, 5000)
			for _, from := range []string{"n1", "n2", "here"} {
				network.Delay(from, "n3", 100*time.Millisecond, 0)
			}
			slow := tailsOf(t, b, 20_000) // so that what it takes to find out is below one in a thousand
			shows := slow.p999 >= 90*time.Millisecond
			if on && slow.p999 > 2*calm.p999 || !on && !shows {
				t.Errorf("going round slow nodes: %v; calm %+v, with a slow node %+v", on, calm, slow)
			}
			t.Logf("going round slow nodes: %v; calm %+v, with a slow node %+v", on, calm, slow)
			sent := int64(cl.Stats().Hedged)
			for _, n := range nodes {
				sent += n.hedges[hedge.Sent].Load()
			}
			if on && (sent == 0 || sent > 30_000/hedge.Every) || !on && sent > 0 {
				t.Errorf("going round slow nodes: %v; %d hedges of 30000 gets", on, sent)
			}
			if err := cl.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
