package transport

import (
	"net"
	"syscall"
	"unsafe"
)

// backlogOf returns what tells how many bytes a connection's socket holds that have
// not been read, nil where that cannot be known.
func backlogOf(nc net.Conn) func() int {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	var held int32
	ask := func(fd uintptr) {
		held = 0 // an error leaves it: then the next read tells
		_, _, _ = syscall.RawSyscall(syscall.SYS_IOCTL, fd, syscall.TIOCINQ, uintptr(unsafe.Pointer(&held)))
	}
	return func() int {
		_ = raw.Control(ask) // it fails when the connection is closed, as the next read does
		return int(held)
	}
}
