package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// sandbox makes cmd start in network, mount and process namespaces of its own.
// They end with cmd, however that ends, and with them every process that it has
// started, every file system that it has mounted, every network that it has
// laid: nothing is left behind.
func sandbox(cmd *exec.Cmd) {
	cmd.SysProcAttr = dieWithTest()
	cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS
}

// furnish gives the sandbox that this process is in what programs expect.
func furnish() error {
	for _, args := range [][]string{{"ip", "link", "set", "lo", "up"}, {"mount", "-t", "proc", "proc", "/proc"}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", args, err, out)
		}
	}
	return nil
}

// ownNetwork makes cmd start in a network namespace of its own.
func ownNetwork(cmd *exec.Cmd) {
	cmd.SysProcAttr = dieWithTest()
	cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNET
}

// sandboxObstacle says why this machine cannot give a process a network of its
// own, empty when it can.
func sandboxObstacle() string {
	if os.Geteuid() != 0 {
		return "not root"
	}
	for _, tool := range []string{"ip", "nsenter", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err.Error()
		}
	}
	return ""
}

// dieWithTest has the kernel kill a process when the tests end, also if they
// are killed, or if it is stopped.
func dieWithTest() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
