package fleet

import (
	"net"
	"testing"
)

func TestPorts(t *testing.T) {
	l, err := net.Listen("tcp", Addr(0))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	p, err := NewPorts(max(taken-3, 1024), min(taken+50, 65535))
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for range 3 {
		first, err := p.Block(4)
		if err != nil {
			t.Skipf("the ports beside %d are in use: %v", taken, err)
		}
		if first <= last || first <= taken && taken < first+4 {
			t.Errorf("a block of 4 at %d, after %d; %d is taken", first, last, taken)
		}
		last = first + 3
	}
	if first, err := p.Block(60); err == nil {
		t.Errorf("60 of 54 ports, from %d", first)
	}
}

func TestPortsOutOfRange(t *testing.T) {
	for _, c := range [][2]int{{0, 10}, {1023, 2000}, {2000, 1999}, {65000, 65536}} {
		if _, err := NewPorts(c[0], c[1]); err == nil {
			t.Errorf("%v is accepted", c)
		}
	}
	if _, err := NewPorts(1024, 65535); err != nil {
		t.Error(err)
	}
}
