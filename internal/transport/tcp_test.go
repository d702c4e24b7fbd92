package transport

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/wire"
)

// Over real sockets: calls of all sizes, and the host that they come from.
func TestTCP(t *testing.T) {
	s := NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, nil)
	addr, _ := serve(t, s, TCP{}, "127.0.0.1:0")
	for _, local := range []string{"127.0.0.1", "localhost", "0.0.0.0", ""} {
		c := dial(t, Default(), TCP{Local: local}, addr, 1)
		for _, n := range []int{0, 1000, wire.MaxChunk + 1, 3 << 20} {
			payload := string(bytes.Repeat([]byte("x"), n))
			if o := ask(c, wire.TypeReplicaPut, payload, time.Minute); o.err != nil || o.payload != payload {
				t.Errorf("from %q: %d of %d bytes came back, %v", local, len(o.payload), n, o.err)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestTCPBindsToTheAdvertisedHost(t *testing.T) {
	l, err := TCP{}.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := TCP{Local: "127.0.0.1"}.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if ip := nc.LocalAddr().(*net.TCPAddr).IP; !ip.Equal(net.IPv4(127, 0, 0, 1)) {
		t.Errorf("the connection comes from %v", ip)
	}
	// An address that is not this machine's cannot be bound: it was asked for.
	if nc, err := (TCP{Local: "192.0.2.1"}).Dial(t.Context(), l.Addr().String()); err == nil {
		_ = nc.Close()
		t.Error("a foreign address was bound")
	}
}
