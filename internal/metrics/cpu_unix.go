//go:build unix

package metrics

import (
	"syscall"
	"time"
)

// CPUTime returns the processor time that this process has used, user and
// system together, 0 where the operating system does not tell.
func CPUTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
