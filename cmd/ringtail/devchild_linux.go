package main

import "syscall"

// dieWithParent has the kernel kill the process when this one is gone, even if
// it is stopped and would not notice.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
