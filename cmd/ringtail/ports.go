package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/ringtaildb/ringtail/internal/node"
)

// What follows a node's HTTP port.
const (
	peerPort   = 1
	gossipPort = 2
	respPort   = 3
	riakPort   = 4
	// lastPort is the greatest of them.
	lastPort = riakPort
)

// port is an address that a node is about to listen at, and the flag that
// chose it.
type port struct {
	flag, addr string
	// udp tells that it is used by datagrams too.
	udp bool
}

// portsOf returns the ports of a node whose configuration is valid.
func portsOf(c node.Config) []port {
	ports := []port{
		{flag: "http", addr: c.HTTP},
		{flag: "peer", addr: c.Peer},
		{flag: "gossip", addr: c.Gossip, udp: true},
		{flag: "resp", addr: c.RESP},
		{flag: "riak", addr: c.Riak},
	}
	for i, offset := range []int{0, peerPort, gossipPort, respPort, riakPort} {
		if ports[i].addr == "" {
			ports[i].addr = shift(c.HTTP, offset)
		}
	}
	return ports
}

// shift returns host:port with the port moved by offset.
func shift(addr string, offset int) string {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return addr
	}
	return net.JoinHostPort(host, strconv.Itoa(n+offset))
}

// checkPorts returns an error that names the first port at which nobody can
// listen now, and its flag.
func checkPorts(ports []port) error {
	for _, p := range ports {
		if err := p.check(); err != nil {
			return fmt.Errorf("--%s %s: %w", p.flag, p.addr, inPlainWords(err))
		}
	}
	return nil
}

func (p port) check() error {
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil || !p.udp {
		return err
	}
	u, err := net.ListenPacket("udp", p.addr)
	if err != nil {
		return err
	}
	return u.Close()
}

// inPlainWords returns err without the address, which the caller names.
func inPlainWords(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return errors.New("the port is in use")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
