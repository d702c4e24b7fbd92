package membership

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// leaveWait bounds how long a node that ends waits until somebody has heard of
// it.
const leaveWait = 500 * time.Millisecond

// gossip is the running memberlist. It carries who is alive, and digests: which
// node has which state. The state itself travels over the transport.
type gossip struct {
	list  *memberlist.Memberlist
	queue *memberlist.TransmitLimitedQueue
}

// gossipConfig is what startGossip needs to know.
type gossipConfig struct {
	self kv.NodeID
	// label is the cluster's id: it keeps other clusters' gossip out.
	label string
	// bind and advertise are IP addresses with ports.
	bind, advertise net.TCPAddr
	// nodes is the number of nodes, which sets how often a digest is repeated.
	nodes func() int
	// local returns this node's digest, heard takes another's. Neither may
	// wait.
	local func() digest
	heard func(digest)
}

// startGossip begins to gossip on port, until stop.
func startGossip(c gossipConfig, port *gossipPort, events memberlist.EventDelegate, log *slog.Logger) (*gossip, error) {
	mc := memberlist.DefaultLANConfig()
	mc.Name = c.self.String()
	mc.Label = c.label
	mc.Transport = port
	mc.BindAddr, mc.BindPort = c.bind.IP.String(), c.bind.Port
	mc.AdvertiseAddr, mc.AdvertisePort = c.advertise.IP.String(), c.advertise.Port
	// A node that comes back at another address takes its name over as soon as
	// it is known to be down.
	mc.DeadNodeReclaimTime = time.Nanosecond
	mc.Logger = newGossipLog(log)
	mc.Events = events
	g := &gossip{queue: &memberlist.TransmitLimitedQueue{NumNodes: c.nodes, RetransmitMult: mc.RetransmitMult}}
	mc.Delegate = &delegate{gossipConfig: c, queue: g.queue}

	port.attach(c.label)
	list, err := memberlist.Create(mc)
	if err != nil {
		return nil, kv.Wrap(kv.KindInternal, "start gossip", err)
	}
	g.list = list
	return g, nil
}

// tell has this node's digest passed around; a digest that was not passed on
// yet is dropped for it.
func (g *gossip) tell(d digest) { g.queue.QueueBroadcast(broadcast(d.append(nil))) }

// join makes contact with the node at an IP address and port.
func (g *gossip) join(addr string) error {
	_, err := g.list.Join([]string{addr})
	return err
}

// stop tells the others that this node ends, and ends gossip.
func (g *gossip) stop() error {
	// Nobody may be there to hear it: that is no error.
	_ = g.list.Leave(leaveWait)
	return g.list.Shutdown()
}

// broadcast is a digest on its way.
type broadcast []byte

// Invalidates implements memberlist.Broadcast: every digest queued here is this
// node's, and the last one counts.
func (broadcast) Invalidates(memberlist.Broadcast) bool { return true }

// Message implements memberlist.Broadcast.
func (b broadcast) Message() []byte { return b }

// Finished implements memberlist.Broadcast.
func (broadcast) Finished() {}

// delegate carries digests for memberlist; its methods never wait.
type delegate struct {
	gossipConfig
	queue *memberlist.TransmitLimitedQueue
}

var _ memberlist.Delegate = (*delegate)(nil)

// NodeMeta implements memberlist.Delegate.
func (*delegate) NodeMeta(int) []byte { return nil }

// NotifyMsg implements memberlist.Delegate.
func (d *delegate) NotifyMsg(b []byte) {
	if got, ok := parseDigest(b); ok {
		d.heard(got)
	}
}

// GetBroadcasts implements memberlist.Delegate.
func (d *delegate) GetBroadcasts(overhead, limit int) [][]byte {
	return d.queue.GetBroadcasts(overhead, limit)
}

// LocalState implements memberlist.Delegate.
func (d *delegate) LocalState(bool) []byte { return d.local().append(nil) }

// MergeRemoteState implements memberlist.Delegate.
func (d *delegate) MergeRemoteState(b []byte, _ bool) { d.NotifyMsg(b) }

// listenGossip is the Deps.Listen of the operating system's network.
func listenGossip(log *slog.Logger) func(string, int) (memberlist.NodeAwareTransport, error) {
	return func(ip string, port int) (memberlist.NodeAwareTransport, error) {
		t, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{ip}, BindPort: port, Logger: newGossipLog(log),
		})
		if err != nil {
			return nil, err
		}
		return newGossipNet(t, ip), nil
	}
}

// resolve returns the first IP address behind "host:port".
func resolve(ctx context.Context, addr string) (net.TCPAddr, error) {
	host, port, err := splitAddress(addr)
	if err != nil {
		return net.TCPAddr{}, kv.Errorf(kv.KindInvalid, "resolve address", "%q is not host:port", addr)
	}
	if ip := net.ParseIP(host); ip != nil {
		return net.TCPAddr{IP: ip, Port: port}, nil
	}
	ips, err := net.DefaultResolver.LookupIP(ctx, "ip", host)
	if err != nil {
		return net.TCPAddr{}, kv.Wrap(kv.KindUnavailable, "resolve address", err)
	}
	return net.TCPAddr{IP: ips[0], Port: port}, nil
}
