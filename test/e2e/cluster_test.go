package e2e_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is one node.
type process struct {
	t    *testing.T
	name string
	args []string
	// program is what it runs, empty for the program under test.
	program string
	host    string
	port    int
	data    string
	// inner is the host under which other nodes reach it, empty for host.
	inner string
	// home is a process in whose network the node lives, nil for the test's own.
	home *exec.Cmd
	cmd  *exec.Cmd
	log  logFile
	// ended is closed once the process has; err is how.
	ended chan struct{}
	err   error
}

// logFile is what a process prints. It is a file, not a pipe, so that waiting
// for a process never waits for whoever else holds its output.
type logFile string

func (l logFile) String() string {
	b, err := os.ReadFile(string(l))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// run starts cmd with its output added to the log, in a process group of its
// own, and returns what is closed when it has ended, with err set.
func (l logFile) run(t *testing.T, cmd *exec.Cmd, err *error) chan struct{} {
	t.Helper()
	f, e := os.OpenFile(string(l), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if e != nil {
		t.Fatal(e)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = dieWithTest()
	if e := cmd.Start(); e != nil {
		t.Fatal(e)
	}
	ended := make(chan struct{})
	go func() {
		*err = cmd.Wait()
		close(ended)
	}()
	return ended
}

// cluster is a set of processes on this machine.
type cluster struct {
	t     *testing.T
	nodes []*process
	// net is what connects the nodes, nil where they share the loopback.
	net *network
}

// start starts n nodes on the loopback, brings them into one ring, and waits
// until all are ready. They are killed when the test ends.
func start(t *testing.T, n int, flags ...string) *cluster {
	t.Helper()
	c := prepare(t, n)
	c.launch(flags...)
	return c
}

// prepare is start without the nodes being started.
func prepare(t *testing.T, n int) *cluster {
	t.Helper()
	c := &cluster{t: t}
	base := freePorts(t, n)
	for i := range n {
		c.nodes = append(c.nodes, newProcess(t, fmt.Sprintf("n%d", i+1), base+10*i))
	}
	return c
}

// startApart is start for nodes that have a network each.
func startApart(t *testing.T, n int, flags ...string) *cluster {
	t.Helper()
	c := prepareApart(t, n)
	c.launch(append(flags, "--insecure")...)
	return c
}

// prepareApart is startApart without the nodes being started.
func prepareApart(t *testing.T, n int) *cluster {
	t.Helper()
	c := &cluster{t: t, net: newNetwork(t, n)}
	for i, h := range c.net.hosts {
		p := newProcessAt(t, fmt.Sprintf("n%d", i+1), h.ip, 7400)
		p.home = h.holder
		c.nodes = append(c.nodes, p)
	}
	return c
}

// launch starts the nodes as one new cluster.
func (c *cluster) launch(flags ...string) {
	c.t.Helper()
	c.stage(flags...)
	if len(c.nodes) > 1 {
		c.commit()
	}
	c.awaitReady()
}

// stage starts the nodes, so that all but the first are to be committed.
func (c *cluster) stage(flags ...string) {
	c.t.Helper()
	first := c.nodes[0]
	for i, p := range c.nodes {
		if i == 0 {
			p.args = append(p.args, "--create")
		} else {
			p.args = append(p.args, "--seeds", first.gossip())
		}
		p.args = append(p.args, flags...)
		p.start()
	}
	for _, p := range c.nodes {
		p.await("/healthz")
	}
}

// awaitReady waits until every node serves.
func (c *cluster) awaitReady() {
	c.t.Helper()
	for _, p := range c.nodes {
		p.await("/readyz")
	}
}

func newProcess(t *testing.T, name string, port int) *process {
	return newProcessAt(t, name, "127.0.0.1", port)
}

func newProcessAt(t *testing.T, name, host string, port int) *process {
	dir := t.TempDir()
	p := &process{t: t, name: name, host: host, port: port, data: filepath.Join(dir, name), log: logFile(filepath.Join(dir, "log"))}
	p.args = []string{"serve", "--name", name, "--data", p.data, "--http", p.addr()}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() && p.cmd != nil {
			t.Logf("log of %s:\n%s", name, tail(p.log.String(), 40))
		}
	})
	return p
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// freePorts returns the first of 10·n ports of which every tenth and those that a
// node takes after it are free.
func freePorts(t *testing.T, n int) int {
	t.Helper()
search:
	for base := 21000 + 10*(os.Getpid()%800); base < 32000; base += 10 * n {
		for i := range n {
			for j := range 5 {
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
	p.cmd = p.within(cmp.Or(p.program, binary), p.args...)
	p.ended = p.log.run(p.t, p.cmd, &p.err)
}

// within returns a command that will run in the node's network.
func (p *process) within(name string, args ...string) *exec.Cmd {
	if p.home == nil {
		return exec.Command(name, args...)
	}
	return enter(p.home, name, args...)
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

// awaitLog waits until the node has printed words.
func (p *process) awaitLog(t *testing.T, words string) {
	t.Helper()
	if last := await(time.Minute, func() string {
		if log := p.log.String(); !strings.Contains(log, words) {
			return fmt.Sprintf("%s does not say %q:\n%s", p.name, words, tail(log, 5))
		}
		return ""
	}); last != "" {
		t.Fatal(last)
	}
}

// addr is the address of the node's HTTP door.
func (p *process) addr() string { return fmt.Sprintf("%s:%d", p.host, p.port) }

// gossip returns the address at which other nodes reach it for gossip.
func (p *process) gossip() string { return fmt.Sprintf("%s:%d", cmp.Or(p.inner, p.host), p.port+2) }

func (p *process) url(path string) string { return "http://" + p.addr() + path }

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
