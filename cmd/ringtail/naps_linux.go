package main

import (
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// kernelSlack is by how much Linux may prolong a sleep unless it was told
	// otherwise.
	kernelSlack = 50 * time.Microsecond
	// napSlack is what a node asks for.
	napSlack = time.Millisecond
)

// lengthenNaps gives all threads of this process a timer slack of napSlack
// (docs/adr/0023). Go's monitor thread naps for 20 µs at a time while anything
// runs: in a node that is busy those naps are half of all context switches.
//
// A thread has its slack from the one that made it, and the first one keeps its
// own when the process executes another program. So this one executes itself, in
// the state in which it began: to be called first, before there is anything to
// lose. Where the slack is not the kernel's, it was set by the administrator, or
// by the process itself before it began anew, and nothing is done; nor if the
// kernel refuses.
func lengthenNaps() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil || time.Duration(slack) != kernelSlack {
		return
	}
	self, err := os.Executable()
	if err != nil || unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(napSlack), 0, 0, 0) != nil {
		return
	}
	_ = syscall.Exec(self, os.Args, os.Environ()) // the naps stay short
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(kernelSlack), 0, 0, 0)
}
