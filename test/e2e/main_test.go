// Package e2e_test runs Ringtail as its users do: real processes, real disks,
// kill -9, cut links, damaged files, full disks. docs/testing.md tells what the
// tests need and how they are run. Those that take long, or load the machine
// for long, run with RINGTAIL_E2E=full, which .ci/run sets.
package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// binary is the program under test, built once.
var binary string

// before returns the program of the version before: the same, bounded to what
// that one spoke.
func before() string { return binary + "-before" }

// boundBefore bounds a build so.
const boundBefore = "-X github.com/ringtaildb/ringtail/internal/wire.upTo=1"

// noNetwork says why nodes cannot have networks of their own here, empty when
// they can.
var noNetwork string

// innerEnv tells the test binary that it runs inside its sandbox, and where the
// program is.
const innerEnv = "RINGTAIL_E2E_BINARY"

// TestMain builds the program and runs the tests inside a sandbox, where the
// machine allows one: the same binary again, in namespaces of its own. There the
// tests may lay bridges and mount file systems as they like, every port of the
// loopback is theirs, no packet leaves, and no process stays behind.
func TestMain(m *testing.M) {
	http.DefaultClient.Timeout = 30 * time.Second
	if binary = os.Getenv(innerEnv); binary != "" {
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	os.Exit(outside(m))
}

// outside builds the program, and runs the tests inside a sandbox, or else
// here.
func outside(m *testing.M) int {
	dir, err := os.MkdirTemp("", "ringtail-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "ringtail")
	for program, flags := range map[string]string{binary: "", before(): boundBefore} {
		build := exec.Command("go", "build", "-ldflags", flags, "-o", program, "../../cmd/ringtail")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "build ringtail:", err)
			return 1
		}
	}
	if noNetwork = sandboxObstacle(); noNetwork != "" {
		return m.Run()
	}
	inner := exec.Command(os.Args[0], os.Args[1:]...)
	inner.Env = append(os.Environ(), innerEnv+"="+binary)
	inner.Stdin, inner.Stdout, inner.Stderr = os.Stdin, os.Stdout, os.Stderr
	sandbox(inner)
	if err := inner.Start(); err != nil {
		noNetwork = err.Error()
		return m.Run()
	}
	var status *exec.ExitError
	switch err := inner.Wait(); {
	case errors.As(err, &status) && status.Exited():
		return status.ExitCode()
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// isFull tells that slow tests were asked for.
var isFull = os.Getenv("RINGTAIL_E2E") == "full"

// enough returns how much of something a test takes: more where it may take long.
func enough(few, many int) int {
	if isFull {
		return many
	}
	return few
}

// full skips a slow test unless it was asked for.
func full(t *testing.T) {
	t.Helper()
	if !isFull {
		t.Skip("takes long: runs with RINGTAIL_E2E=full, as in .ci/run")
	}
}
