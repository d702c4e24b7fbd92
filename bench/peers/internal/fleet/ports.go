package fleet

import (
	"fmt"
	"net"
	"strconv"
)

// Host is where everything listens.
const Host = "127.0.0.1"

// Ports hands out ports of loopback that are free.
type Ports struct{ next, last int }

// NewPorts returns what hands out the ports from first to last.
func NewPorts(first, last int) (*Ports, error) {
	if first < 1024 || last > 65535 || first > last {
		return nil, fmt.Errorf("ports %d to %d are not within 1024 to 65535", first, last)
	}
	return &Ports{next: first, last: last}, nil
}

// Block returns the first of n ports in a row that nobody listens at, by TCP or
// UDP, and that were not handed out before.
func (p *Ports) Block(n int) (int, error) {
	for first := p.next; first+n-1 <= p.last; first++ {
		taken := -1
		for port := first; port < first+n && taken < 0; port++ {
			if !free(port) {
				taken = port
			}
		}
		if taken < 0 {
			p.next = first + n
			return first, nil
		}
		first = taken
	}
	return 0, fmt.Errorf("no %d free ports in a row are left up to %d", n, p.last)
}

// Addr returns the address of a port.
func Addr(port int) string { return net.JoinHostPort(Host, strconv.Itoa(port)) }

func free(port int) bool {
	l, err := net.Listen("tcp", Addr(port))
	if err != nil {
		return false
	}
	_ = l.Close()
	u, err := net.ListenPacket("udp", Addr(port))
	if err != nil {
		return false
	}
	_ = u.Close()
	return true
}
