package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slackOf returns the timer slack of the calling thread.
func slackOf(t *testing.T) time.Duration {
	t.Helper()
	n, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n)
}

// TestLengthenNaps starts this test in a process of its own, whose slack is the
// kernel's or an administrator's, and asks what a thread has that it makes
// afterwards.
func TestLengthenNaps(t *testing.T) {
	const child = "RINGTAIL_TEST_NAPS"
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if os.Getenv(child) != "" {
		lengthenNaps()
		done := make(chan time.Duration)
		go func() {
			runtime.LockOSThread() // this thread is another one, and ends with it
			done <- slackOf(t)
		}()
		fmt.Println("pid", os.Getpid(), "slack", <-done)
		return
	}
	if _, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err != nil {
		t.Skip("this system has no timer slack:", err)
	}
	was := slackOf(t)
	defer func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(was), 0, 0, 0) }()
	for _, c := range []struct{ before, after time.Duration }{
		{kernelSlack, napSlack},
		{70 * time.Microsecond, 70 * time.Microsecond},
	} {
		if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(c.before), 0, 0, 0); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		cmd := exec.Command(os.Args[0], "-test.run=^TestLengthenNaps$")
		cmd.Env = append(os.Environ(), child+"=1")
		cmd.Stdout = &out
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("pid %d slack %v\n", cmd.Process.Pid, c.after)
		if !strings.HasPrefix(out.String(), want) {
			t.Errorf("from %v: the process says %q, not %q", c.before, out.String(), want)
		}
	}
}
