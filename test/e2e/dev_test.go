package e2e_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startDev starts `dev`, as cmd, and waits for ready.
func startDev(t *testing.T, cmd *exec.Cmd, port int) *cluster {
	t.Helper()
	p := &process{t: t, name: "dev", port: port, log: logFile(filepath.Join(t.TempDir(), "log")), cmd: cmd}
	p.ended = p.log.run(t, cmd, &p.err)
	t.Cleanup(func() {
		// The group: `go run` does not pass a signal on.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		p.wait()
	})
	c := &cluster{t: t}
	for i := range 3 {
		c.nodes = append(c.nodes, &process{t: t, name: fmt.Sprintf("n%d", i+1), host: "127.0.0.1", port: port + 10*i, log: p.log, cmd: cmd, ended: p.ended})
	}
	for range 1200 {
		if strings.Contains(p.log.String(), "\nready\n") {
			return c
		}
		select {
		case <-p.ended:
			t.Fatalf("dev ended:\n%s", p.log)
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("dev is not ready:\n%s", p.log)
	return nil
}

// pid reads a node's process id from the table that dev prints.
func pid(t *testing.T, table, node string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + node + `\s.*\s(\d+)\s+\S+$`).FindStringSubmatch(table)
	if m == nil {
		t.Fatalf("no process id of %s in\n%s", node, table)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDev is the README's first minute: dev prints ready, a node is killed and
// nobody notices, Ctrl-C ends all, and the next start finds the data.
func TestDev(t *testing.T) {
	port, data := freePorts(t, 3), filepath.Join(t.TempDir(), "dev")
	dev := func() *exec.Cmd {
		return exec.Command(binary, "dev", "--port", strconv.Itoa(port), "--data", data)
	}
	c := startDev(t, dev(), port)
	c.put(0, "a", "hello").want(t, 204, "")
	c.get(2, "a").want(t, 200, "hello")

	victim := pid(t, c.nodes[0].log.String(), "n2")
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	time.Sleep(settle)
	c.put(0, "b", "still here").want(t, 204, "")
	c.get(2, "b").want(t, 200, "still here")

	if err := c.nodes[0].cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := c.nodes[0].wait(); code != 0 {
		t.Errorf("exit status %d after Ctrl-C:\n%s", code, tail(c.nodes[0].log.String(), 10))
	}
	if a := c.nodes[0].do(http.DefaultClient, "GET", "/healthz", nil); a.err == nil {
		t.Error("a node outlived dev")
	}
	if n := strings.Count(c.nodes[0].log.String(), "ready"); n != 1 {
		t.Errorf("ready was printed %d times:\n%s", n, c.nodes[0].log)
	}

	c = startDev(t, dev(), port)
	for i := range 3 {
		c.get(i, "a").want(t, 200, "hello")
		c.get(i, "b").want(t, 200, "still here")
	}
}

// TestReadme runs the README's command as it stands there, but for the place of
// data and ports.
func TestReadme(t *testing.T) {
	full(t)
	port := freePorts(t, 3)
	cmd := exec.Command("go", "run", "./cmd/ringtail", "dev", "--port", strconv.Itoa(port), "--data", filepath.Join(t.TempDir(), "dev"))
	cmd.Dir = "../.."
	c := startDev(t, cmd, port)
	c.put(1, "a", "hello").want(t, 204, "")
	c.get(2, "a").want(t, 200, "hello")
}
