package transport

import (
	"net"
	"syscall"
)

// direct writes to a socket what it takes at once, and never waits.
type direct struct {
	raw syscall.RawConn
	// try is write's part, made once; b, n and err are what it works with.
	try func(fd uintptr) bool
	b   []byte
	n   int
	err error
}

// directOf returns nil for what is no socket of the system's.
func directOf(nc net.Conn) *direct {
	c, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	d := &direct{raw: raw}
	d.try = d.write
	return d
}

// Write writes as much of b as there is room for. Nobody else may write meanwhile.
func (d *direct) Write(b []byte) (int, error) {
	d.b, d.n, d.err = b, 0, nil
	err := d.raw.Write(d.try)
	d.b = nil
	if err == nil {
		err = d.err
	}
	return d.n, err
}

func (d *direct) write(fd uintptr) bool {
	for {
		n, err := syscall.Write(int(fd), d.b)
		switch err {
		case nil:
			d.n = n // what is left has no room
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
		default:
			d.err = err
		}
		return true
	}
}
