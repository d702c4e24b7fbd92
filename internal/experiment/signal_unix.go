//go:build unix

package experiment

import "syscall"

// Pause stops the node's process, as a long pause of its host does; Resume has it
// go on.
func (n Node) Pause() error { return syscall.Kill(n.PID, syscall.SIGSTOP) }

// Resume ends a Pause.
func (n Node) Resume() error { return syscall.Kill(n.PID, syscall.SIGCONT) }
