package node

import (
	"context"
	"net"
	"slices"
	"strconv"

	"github.com/ringtaildb/ringtail/internal/coordinator"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/merkle"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/resp"
	"github.com/ringtaildb/ringtail/internal/ring"
)

// openRESP makes the door for Redis's clients. The addresses have been checked.
func (n *Node) openRESP() (*resp.Server, error) {
	_, http, err := splitAddress("http", n.cfg.HTTP)
	if err != nil {
		return nil, err
	}
	_, port, err := splitAddress("resp", n.cfg.RESP)
	if err != nil {
		return nil, err
	}
	return resp.New(n.cfg.RESPDoor, resp.Parts{
		Store: respStore{n}, Cluster: respCluster{n, port - http}, Metrics: n.metrics, Log: n.log, Port: port, Version: n.cfg.Version,
	})
}

// respStore makes the coordinator the Store of Redis's door.
type respStore struct{ node *Node }

// Get implements resp.Store.
func (s respStore) Get(key kv.Key, o kv.Options, to resp.Receiver) {
	s.node.coord.Get(coordinator.Request{Key: key, Options: o}, to)
}

// Put implements resp.Store.
func (s respStore) Put(key kv.Key, u object.Update, o kv.Options, to resp.Receiver) {
	s.node.coord.Put(coordinator.Request{Key: key, Options: o, Update: u}, to)
}

// Keys implements resp.Store.
func (s respStore) Keys(ctx context.Context, bucket string, p kv.Partition, fn func(position uint32, key []byte) error) error {
	var k kv.Key
	return coordinator.Blocking{Coordinator: s.node.coord}.KeysOf(ctx, bucket, p, func(user []byte) error {
		k = kv.AppendKey(k[:0], bucket, user)
		return fn(merkle.Position(k), user)
	})
}

// Partitions implements resp.Store.
func (s respStore) Partitions() int {
	if r := s.node.Ring(); r != nil {
		return r.Params().Q
	}
	return 0
}

// respCluster shows Redis's door the ring.
type respCluster struct {
	node *Node
	// distance is how far a node's port for Redis's clients is from its HTTP
	// port. Nodes tell each other only of the latter: the distance is taken to be
	// the same everywhere.
	distance int
}

// Enabled implements resp.Cluster.
func (c respCluster) Enabled() bool {
	r := c.node.Ring()
	return r != nil && r.Params().Partitioner == ring.CRC16
}

// Self implements resp.Cluster.
func (c respCluster) Self() kv.NodeID { return c.node.service.ID() }

// Slots implements resp.Cluster. The slots of a partition are its first owner's
// that answers, a stand-in's if none does: who is asked coordinates.
func (c respCluster) Slots() ([]resp.Node, uint64) {
	cur := c.node.Current()
	if cur == nil {
		return nil, 0
	}
	nodes, places := []resp.Node{}, map[kv.NodeID]int{}
	for _, id := range everybody(cur) {
		places[id] = len(nodes)
		nodes = append(nodes, c.view(id))
	}
	q := cur.Ring.Params().Q
	for p := range q {
		id, ok := c.first(cur, kv.Partition(p))
		if !ok {
			continue
		}
		n := &nodes[places[id]]
		r := resp.SlotRange{First: uint16(p * ring.Slots / q), Last: uint16((p+1)*ring.Slots/q - 1)}
		if last := len(n.Slots) - 1; last >= 0 && n.Slots[last].Last+1 == r.First {
			n.Slots[last].Last = r.Last
		} else {
			n.Slots = append(n.Slots, r)
		}
	}
	return nodes, cur.Ring.Epoch()
}

// first returns who is to be asked for the keys of p.
func (c respCluster) first(cur *ring.Current, p kv.Partition) (kv.NodeID, bool) {
	v := cur.View(p)
	if i := slices.IndexFunc(v.Readers, c.node.up); i >= 0 {
		return v.Readers[i], true
	}
	others := cur.Latest().Preference(p, nil)
	if i := slices.IndexFunc(others, c.node.up); i >= 0 {
		return others[i], true
	}
	return 0, false
}

// view returns a node without its slots.
func (c respCluster) view(id kv.NodeID) resp.Node {
	m, _ := c.node.service.State().Member(id)
	n := resp.Node{ID: id, Up: c.node.up(id)}
	host, text, err := net.SplitHostPort(m.Addrs.HTTP)
	if port, bad := strconv.Atoi(text); err == nil && bad == nil {
		n.Host, n.Port = host, port+c.distance
	}
	return n
}
