// Package e2e_test runs Ringtail as its users do: real processes, real disks,
// kill -9. The tests that take long, or load the machine for long, run with
// RINGTAIL_E2E=full, which .ci/run sets.
package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "ringtail-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "ringtail")
	build := exec.Command("go", "build", "-o", binary, "../../cmd/ringtail")
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build ringtail:", err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// full skips a slow test unless it was asked for.
func full(t *testing.T) {
	t.Helper()
	if os.Getenv("RINGTAIL_E2E") != "full" {
		t.Skip("takes long: runs with RINGTAIL_E2E=full, as in .ci/run")
	}
}

// process is one node.
type process struct {
	t    *testing.T
	name string
	args []string
	port int
	data string
	cmd  *exec.Cmd
	log  *logBuffer
	// ended is closed once the process has; err is how.
	ended chan struct{}
	err   error
}

// logBuffer gathers what a process prints.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// cluster is a set of processes on this machine.
type cluster struct {
	t     *testing.T
	nodes []*process
}

// start starts n nodes, brings them into one ring, and waits until all are
// ready. They are killed when the test ends.
func start(t *testing.T, n int, flags ...string) *cluster {
	t.Helper()
	c := &cluster{t: t}
	base := freePorts(t, n)
	for i := range n {
		p := newProcess(t, fmt.Sprintf("n%d", i+1), base+10*i)
		if i == 0 {
			p.args = append(p.args, "--create")
		} else {
			p.args = append(p.args, "--seeds", fmt.Sprintf("127.0.0.1:%d", base+2))
		}
		p.args = append(p.args, flags...)
		c.nodes = append(c.nodes, p)
		p.start()
	}
	for _, p := range c.nodes {
		p.await("/healthz")
	}
	if n > 1 {
		c.commit()
	}
	for _, p := range c.nodes {
		p.await("/readyz")
	}
	return c
}

func newProcess(t *testing.T, name string, port int) *process {
	p := &process{t: t, name: name, port: port, data: filepath.Join(t.TempDir(), name)}
	p.args = []string{"serve", "--name", name, "--data", p.data, "--http", fmt.Sprintf("127.0.0.1:%d", port)}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() && p.log != nil {
			t.Logf("log of %s:\n%s", name, tail(p.log.String(), 40))
		}
	})
	return p
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// freePorts returns the first of 10·n ports of which every tenth and its two
// neighbours are free.
func freePorts(t *testing.T, n int) int {
	t.Helper()
search:
	for base := 21000 + 10*(os.Getpid()%800); base < 32000; base += 10 * n {
		for i := range n {
			for j := range 3 {
				l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", base+10*i+j))
				if err != nil {
					continue search
				}
				l.Close()
			}
		}
		return base
	}
	t.Fatal("no free ports")
	return 0
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command(binary, p.args...)
	if p.log == nil {
		p.log = &logBuffer{}
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		p.err = cmd.Wait()
		close(ended)
	}(p.cmd, p.ended)
}

// kill ends the process as a power cut would, but for the page cache.
func (p *process) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait waits for the process to end by itself and returns its exit status.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(time.Minute):
		p.t.Fatalf("%s does not end:\n%s", p.name, tail(p.log.String(), 20))
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", p.port, path) }

// await waits until a health page of the node answers 200.
func (p *process) await(page string) {
	p.t.Helper()
	last := ""
	for range 600 {
		if res, err := http.Get(p.url(page)); err == nil {
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return
			}
			last = string(b)
		}
		select {
		case <-p.ended:
			p.t.Fatalf("%s ended (%v):\n%s", p.name, p.err, tail(p.log.String(), 20))
		case <-time.After(100 * time.Millisecond):
		}
	}
	p.t.Fatalf("%s: %s stays at %s", p.name, page, last)
}

// commit brings every staged node into the ring.
func (c *cluster) commit() {
	c.t.Helper()
	a := c.do(0, "POST", "/cluster/commit", nil)
	if a.status != http.StatusOK {
		c.t.Fatalf("commit: %d %s", a.status, a.body)
	}
}

// answer is an HTTP answer, read.
type answer struct {
	status  int
	body    []byte
	header  http.Header
	context string
	err     error
}

func (a answer) String() string {
	if a.err != nil {
		return a.err.Error()
	}
	return fmt.Sprintf("%d %.200q", a.status, a.body)
}

// do sends a request to node i. Headers are pairs of name and value.
func (c *cluster) do(i int, method, path string, body []byte, headers ...string) answer {
	return c.nodes[i].do(http.DefaultClient, method, path, body, headers...)
}

func (p *process) do(client *http.Client, method, path string, body []byte, headers ...string) answer {
	req, err := http.NewRequest(method, p.url(path), bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	for h := 0; h+1 < len(headers); h += 2 {
		req.Header.Set(headers[h], headers[h+1])
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return answer{status: res.StatusCode, body: b, header: res.Header, context: res.Header.Get("X-Ringtail-Context"), err: err}
}

func (c *cluster) put(i int, key, value string, headers ...string) answer {
	return c.do(i, "PUT", "/buckets/default/keys/"+key, []byte(value), headers...)
}

func (c *cluster) get(i int, key string) answer {
	return c.do(i, "GET", "/buckets/default/keys/"+key, nil)
}

// failure is the JSON of an error.
type failure struct {
	Error struct{ Kind, Message, Applied string }
}

func (a answer) failure(t *testing.T) failure {
	t.Helper()
	var f failure
	if err := json.Unmarshal(a.body, &f); err != nil || f.Error.Kind == "" || f.Error.Message == "" {
		t.Errorf("%v is no error in JSON: %v", a, err)
	}
	return f
}

// want checks a status, and the body unless it is empty.
func (a answer) want(t *testing.T, status int, body string) answer {
	t.Helper()
	if a.err != nil || a.status != status || body != "" && string(a.body) != body {
		t.Errorf("got %v, want %d %q", a, status, body)
	}
	return a
}
