//go:build !linux

package main

import "syscall"

// dieWithParent does nothing here: the end of its standard input ends the
// process.
func dieWithParent() *syscall.SysProcAttr { return nil }
