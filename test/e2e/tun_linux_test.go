package e2e_test

import (
	"os"
	"syscall"
	"unsafe"
)

const (
	tunDevice = "/dev/net/tun"
	tunSetIff = 0x400454ca
	tunAlone  = 0x0001 | 0x1000 // IFF_TUN, IFF_NO_PI: nothing but IP packets
)

// openTun makes a network device whose cable is the file: what is routed to the
// device is read from it, one IP packet each time, and what is written to it
// arrives at the device. The device goes when the file is closed, wherever it has
// been moved to.
func openTun(name string) (*os.File, error) {
	fd, err := syscall.Open(tunDevice, syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("open "+tunDevice, err)
	}
	var request struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(request.name[:syscall.IFNAMSIZ-1], name)
	request.flags = tunAlone
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), tunSetIff, uintptr(unsafe.Pointer(&request))); e != 0 {
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError("make network device "+name, e)
	}
	return os.NewFile(uintptr(fd), name), nil
}
