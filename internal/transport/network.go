package transport

import (
	"context"
	"net"
)

// Network makes connections. TCP is the real one, Memory one for tests; TLS
// wraps either. Safe for concurrent use.
type Network interface {
	// Dial connects to addr, or fails once ctx is done.
	Dial(ctx context.Context, addr string) (net.Conn, error)
	// Listen accepts connections to addr.
	Listen(addr string) (net.Listener, error)
}

// TCP is the Network of the operating system.
type TCP struct {
	// Local is the host that this node advertises. When it is an IP address,
	// outgoing connections come from it, so that a peer's firewall, or a test
	// that cuts links, tells nodes on one machine apart.
	Local string
}

// Dial implements Network.
func (t TCP) Dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	if ip := net.ParseIP(t.Local); ip != nil && !ip.IsUnspecified() {
		d.LocalAddr = &net.TCPAddr{IP: ip}
	}
	return d.DialContext(ctx, "tcp", addr)
}

// Listen implements Network.
func (t TCP) Listen(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
