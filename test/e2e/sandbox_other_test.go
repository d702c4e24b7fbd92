//go:build !linux

package e2e_test

import (
	"os/exec"
	"syscall"
)

func sandbox(*exec.Cmd) {}

func furnish() error { return nil }

func ownNetwork(*exec.Cmd) {}

func sandboxObstacle() string { return "network namespaces are Linux's" }

func dieWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
