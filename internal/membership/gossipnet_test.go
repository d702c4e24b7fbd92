package membership

import (
	"net"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// TestGossipStreamsComeFromTheNodesAddress dials between two loopback
// addresses.
func TestGossipStreamsComeFromTheNodesAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for ip, want := range map[string]string{"127.0.0.9": "127.0.0.9", "0.0.0.0": "127.0.0.1"} {
		n := newGossipNet(nil, ip)
		c, err := n.DialAddressTimeout(memberlist.Address{Addr: l.Addr().String()}, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := net.SplitHostPort(c.LocalAddr().String()); got != want {
			t.Errorf("listening on %s, the stream comes from %s, want %s", ip, got, want)
		}
		c.Close()
	}
}
