package disk

import (
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// readNow is ReadNow for files of the system.
func readNow(f vfs.File, b []byte, offset int64) (filled, known bool) {
	fd := f.Fd()
	if fd == vfs.InvalidFd {
		return false, false
	}
	n, err := unix.Preadv2(int(fd), [][]byte{b}, offset, unix.RWF_NOWAIT)
	switch err {
	case nil:
		return n == len(b), true
	case unix.EAGAIN, unix.EINTR:
		return false, true
	}
	return false, false
}
