package membership

import (
	"net"
	"time"

	"github.com/hashicorp/memberlist"
)

// gossipNet is memberlist's own transport, but its streams come from the
// address that the node listens on, as its packets do: who tells nodes on one
// machine apart by address, a firewall or a test that cuts links, sees all of a
// node's gossip.
type gossipNet struct {
	*memberlist.NetTransport
	local net.Addr
}

// newGossipNet wraps t, which listens on ip; on an unspecified ip the streams
// come from wherever the system likes.
func newGossipNet(t *memberlist.NetTransport, ip string) gossipNet {
	n := gossipNet{NetTransport: t}
	if parsed := net.ParseIP(ip); parsed != nil && !parsed.IsUnspecified() {
		n.local = &net.TCPAddr{IP: parsed}
	}
	return n
}

// DialTimeout implements memberlist.Transport.
func (n gossipNet) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout, LocalAddr: n.local}
	return d.Dial("tcp", addr)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (n gossipNet) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return n.DialTimeout(a.Addr, timeout)
}
