//go:build !linux

package transport

import "net"

// backlogOf returns nil: what a socket holds is not asked for here.
func backlogOf(net.Conn) func() int { return nil }
