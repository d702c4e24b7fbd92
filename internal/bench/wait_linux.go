package bench

import (
	"syscall"
	"time"
)

// finely waits for d, to some ten microseconds: the runtime's own timers may be a
// millisecond late, and each operation would be.
func finely(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil) // a signal ends it early, and the operation is begun then
}
