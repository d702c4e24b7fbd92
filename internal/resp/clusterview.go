package resp

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

var clusterCommands = []command{
	{name: "cluster", arity: -2, flags: "stale", run: (*conn).cluster, summary: "Shows the ring as Redis Cluster's clients know it."},
	{name: "readonly", arity: 1, flags: "fast", run: (*conn).ok, summary: "Changes nothing: every node takes every key."},
	{name: "readwrite", arity: 1, flags: "fast", run: (*conn).ok, summary: "Changes nothing: every node takes every key."},
	{name: "asking", arity: 1, flags: "fast", run: (*conn).ok, summary: "Changes nothing: every node takes every key."},
}

// slotPages remembers for a moment what the ring looks like: many clients that
// ask at once cost one look.
type slotPages struct {
	sync.Mutex
	at    time.Time
	nodes []Node
	epoch uint64
}

// slotsFor is how long a look at the ring is good.
const slotsFor = 100 * time.Millisecond

func (s *Server) ring() ([]Node, uint64) {
	p := &s.slots
	p.Lock()
	defer p.Unlock()
	if now := time.Now(); p.nodes == nil || now.Sub(p.at) > slotsFor {
		p.nodes, p.epoch = s.parts.Cluster.Slots()
		p.at = now
	}
	return p.nodes, p.epoch
}

// nodeName is a node's id as Redis writes it: 40 hexadecimal digits.
func nodeName(id kv.NodeID) string { return strings.Repeat("0", 24) + id.String() }

func (c *conn) cluster() {
	if !c.s.parts.Cluster.Enabled() {
		c.fail("ERR This instance has cluster support disabled: the cluster was not created with --partitioner crc16; any node takes any key")
		return
	}
	switch sub, args := c.args[1], c.args[2:]; {
	case is(sub, "SLOTS") && len(args) == 0:
		c.clusterSlots()
	case is(sub, "SHARDS") && len(args) == 0:
		c.clusterShards()
	case is(sub, "NODES") && len(args) == 0:
		c.clusterNodes()
	case is(sub, "INFO") && len(args) == 0:
		c.clusterInfo()
	case is(sub, "MYID") && len(args) == 0:
		c.bulk(nodeName(c.s.parts.Cluster.Self()))
	case is(sub, "KEYSLOT") && len(args) == 1:
		c.integer(int64(ring.Slot(args[0])))
	case is(sub, "COUNTKEYSINSLOT") && len(args) == 1:
		c.countKeys(args[0])
	case is(sub, "REPLICAS") && len(args) == 1, is(sub, "LINKS") && len(args) == 0:
		o := c.reply()
		o.text = appendArray(o.text, 0)
	default:
		c.fail("ERR unknown subcommand or wrong number of arguments for 'CLUSTER|" + string(cut(sub)) + "'")
	}
}

// clusterSlots answers with each range of slots and the node to ask for it.
func (c *conn) clusterSlots() {
	nodes, _ := c.s.ring()
	n := 0
	for i := range nodes {
		n += len(nodes[i].Slots)
	}
	o := c.reply()
	b := appendArray(o.text, n)
	for i := range nodes {
		node := &nodes[i]
		for _, r := range node.Slots {
			b = appendArray(b, 3)
			b = appendInt(appendInt(b, int64(r.First)), int64(r.Last))
			b = appendArray(b, 4)
			b = appendInt(appendBulk(b, node.Host), int64(node.Port))
			b = appendArray(appendBulk(b, nodeName(node.ID)), 0)
		}
	}
	o.text = b
}

// clusterShards answers with a shard for each node.
func (c *conn) clusterShards() {
	nodes, _ := c.s.ring()
	o := c.reply()
	b := appendArray(o.text, len(nodes))
	for i := range nodes {
		node := &nodes[i]
		b = appendMap(b, c.proto, 2)
		b = appendArray(appendBulk(b, "slots"), 2*len(node.Slots))
		for _, r := range node.Slots {
			b = appendInt(appendInt(b, int64(r.First)), int64(r.Last))
		}
		b = appendArray(appendBulk(b, "nodes"), 1)
		health := "online"
		if !node.Up {
			health = "failed"
		}
		b = appendMap(b, c.proto, 7)
		b = appendBulk(appendBulk(b, "id"), nodeName(node.ID))
		b = appendInt(appendBulk(b, "port"), int64(node.Port))
		b = appendBulk(appendBulk(b, "ip"), node.Host)
		b = appendBulk(appendBulk(b, "endpoint"), node.Host)
		b = appendBulk(appendBulk(b, "role"), "master")
		b = appendInt(appendBulk(b, "replication-offset"), 0)
		b = appendBulk(appendBulk(b, "health"), health)
	}
	o.text = b
}

func (c *conn) clusterNodes() {
	nodes, epoch := c.s.ring()
	var text strings.Builder
	for i := range nodes {
		node := &nodes[i]
		flags, link := "master", "connected"
		if node.ID == c.s.parts.Cluster.Self() {
			flags = "myself,master"
		}
		if !node.Up {
			flags, link = "master,fail", "disconnected"
		}
		fmt.Fprintf(&text, "%s %s:%d@%d %s - 0 0 %d %s", nodeName(node.ID), node.Host, node.Port, node.Port, flags, epoch, link)
		for _, r := range node.Slots {
			text.WriteByte(' ')
			text.WriteString(strconv.Itoa(int(r.First)))
			if r.Last != r.First {
				text.WriteByte('-')
				text.WriteString(strconv.Itoa(int(r.Last)))
			}
		}
		text.WriteByte('\n')
	}
	o := c.reply()
	o.text = appendVerbatim(o.text, o.proto, text.String())
}

func (c *conn) clusterInfo() {
	nodes, epoch := c.s.ring()
	serving, assigned := 0, 0
	for i := range nodes {
		if len(nodes[i].Slots) > 0 {
			serving++
		}
		for _, r := range nodes[i].Slots {
			assigned += int(r.Last-r.First) + 1
		}
	}
	state := "ok"
	if assigned < ring.Slots {
		state = "fail"
	}
	o := c.reply()
	o.text = appendVerbatim(o.text, o.proto, fmt.Sprintf("cluster_enabled:1\r\ncluster_state:%s\r\ncluster_slots_assigned:%d\r\ncluster_slots_ok:%d\r\n"+
		"cluster_slots_pfail:0\r\ncluster_slots_fail:0\r\ncluster_known_nodes:%d\r\ncluster_size:%d\r\ncluster_current_epoch:%d\r\ncluster_my_epoch:%d\r\n",
		state, assigned, assigned, len(nodes), serving, epoch, epoch))
}

// countKeys counts the keys of a slot, by reading its partition.
func (c *conn) countKeys(arg []byte) {
	slot, ok := parseInt(arg)
	if !ok || slot < 0 || slot >= ring.Slots {
		c.fail("ERR Invalid slot")
		return
	}
	of := c.s.parts.Store.Partitions()
	ctx, end, ok := c.listing()
	if !ok {
		return
	}
	defer end()
	var n int64
	err := c.s.parts.Store.Keys(ctx, Bucket, kv.Partition(int(slot)*of/ring.Slots), func(_ uint32, key []byte) error {
		if int64(ring.Slot(key)) == slot {
			n++
		}
		return nil
	})
	if err != nil {
		c.fail(errorText(err, false))
		return
	}
	c.integer(n)
}
