//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fakeVar makes this test binary play a node of ringtail dev, in one of the
// ways of fakeMain.
const fakeVar = "FAKE_NODE_OF_RINGTAIL_DEV"

func TestMain(m *testing.M) {
	switch how := os.Getenv(fakeVar); how {
	case "":
	case "dev":
		os.Exit(fakeDev(os.Args[1], strings.Split(os.Args[2], ",")))
	default:
		os.Exit(fakeMain(how, os.Args[1], strings.Split(os.Args[2], ",")))
	}
	os.Exit(m.Run())
}

// fakeMain listens at addr as a node of a cluster of those names.
func fakeMain(how, addr string, names []string) int {
	if how == "fails" {
		fmt.Fprintln(os.Stderr, "first line")
		fmt.Fprintln(os.Stderr, "the disk is on fire")
		return 7
	}
	committed := how != "stages"
	if how == "alone" {
		names = names[:1]
	}
	var mu sync.Mutex
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /cluster/commit", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(os.Stderr, "commit")
		if how == "refuses" {
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"error":{"kind":"refused","message":"commit: n1 holds data","applied":"no"}}`)
			return
		}
		committed = true
		fmt.Fprint(w, `{"epoch":2}`)
	})
	mux.HandleFunc("GET /cluster", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		status := "member"
		if !committed || how == "refuses" {
			status = "staged"
		}
		var members []string
		for i, n := range names {
			members = append(members, fmt.Sprintf(`{"name":%q,"id":"%016x","status":%q}`, n, i+1, status))
		}
		fmt.Fprintf(w, `{"members":[%s]}`, strings.Join(members, ","))
	})
	go func() {
		_ = http.ListenAndServe(addr, mux)
		os.Exit(1)
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// fakeDev runs fake nodes at these addresses until SIGTERM.
func fakeDev(dir string, addrs []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	l := &localCluster{out: os.Stdout, dir: dir}
	var names []string
	for i, addr := range addrs {
		names = append(names, "n"+strconv.Itoa(i+1))
		l.nodes = append(l.nodes, devNode{name: names[i], http: addr, peer: "peer", gossip: "gossip"})
	}
	l.command = func(n devNode) *exec.Cmd { return fakeCommand("serves", n.http, names) }
	if err := l.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// fakeCommand runs this test binary as a fake node.
func fakeCommand(how, arg string, names []string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], arg, strings.Join(names, ","))
	cmd.Env = append(os.Environ(), fakeVar+"="+how)
	return cmd
}

// lines is a writer that hands over what it gets line by line.
type lines struct {
	part bytes.Buffer
	to   chan string
}

func (l *lines) Write(b []byte) (int, error) {
	l.part.Write(b)
	for {
		line, rest, ok := bytes.Cut(l.part.Bytes(), []byte("\n"))
		if !ok {
			return len(b), nil
		}
		text := string(line)
		l.part.Next(len(l.part.Bytes()) - len(rest))
		l.to <- text
	}
}

// rehearsal is a run of localCluster with fake nodes.
type rehearsal struct {
	nodes []devNode
	dir   string
	out   chan string
	stop  context.CancelFunc
	done  chan error
}

// rehearse starts fake nodes, one for each way of playing one.
func rehearse(t *testing.T, ways ...string) *rehearsal {
	t.Helper()
	r := &rehearsal{dir: t.TempDir(), out: make(chan string, 1000), done: make(chan error, 1)}
	var names []string
	for i, addr := range deadAddrs(t, len(ways)) {
		names = append(names, "n"+strconv.Itoa(i+1))
		r.nodes = append(r.nodes, devNode{name: names[i], http: addr, peer: "peer", gossip: "gossip"})
	}
	way := make(map[string]string)
	for i, n := range r.nodes {
		way[n.name] = ways[i]
	}
	l := &localCluster{out: &lines{to: r.out}, nodes: r.nodes, dir: r.dir}
	l.command = func(n devNode) *exec.Cmd { return fakeCommand(way[n.name], n.http, names) }
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() {
		r.done <- l.run(ctx)
		close(r.out)
	}()
	return r
}

// pids reads the table and returns the process ids.
func (r *rehearsal) pids(t *testing.T) []int {
	t.Helper()
	if title := <-r.out; !strings.HasPrefix(title, "NODE ") {
		t.Fatalf("the first line is %q", title)
	}
	var pids []int
	for _, n := range r.nodes {
		line := <-r.out
		cells := strings.Fields(line)
		if len(cells) != 6 || cells[0] != n.name || cells[1] != n.http || cells[5] != filepath.Join(r.dir, n.name+".log") {
			t.Fatalf("the table has the line %q for %+v", line, n)
		}
		pid, err := strconv.Atoi(cells[4])
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// end ends the run and returns the lines that were left, and its error.
func (r *rehearsal) end() ([]string, error) {
	r.stop()
	err := <-r.done
	var rest []string
	for line := range r.out {
		rest = append(rest, line)
	}
	return rest, err
}

// mustBeGone fails the test for a process that is still there. The processes
// are children that have been waited for, so that their ids are free.
func mustBeGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d is still there: %v", pid, err)
		}
	}
}

// commits counts the commits that a node was asked for.
func (r *rehearsal) commits(t *testing.T, name string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(b), "commit\n")
}

func TestDevCommitsAndIsReadyOnce(t *testing.T) {
	r := rehearse(t, "stages", "serves", "serves")
	pids := r.pids(t)
	if line := <-r.out; line != "ready" {
		t.Errorf("after the table comes %q, want ready", line)
	}
	if n := r.commits(t, "n1"); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	rest, err := r.end()
	if err != nil || len(rest) != 0 {
		t.Errorf("the end brought %q, error %v", rest, err)
	}
	mustBeGone(t, pids)
	if !hasMark(r.dir) {
		t.Error("the next start would make another cluster")
	}
}

func TestDevDoesNotCommitWhatIsCommitted(t *testing.T) {
	r := rehearse(t, "serves", "serves")
	r.pids(t)
	if line := <-r.out; line != "ready" {
		t.Errorf("after the table comes %q, want ready", line)
	}
	if _, err := r.end(); err != nil {
		t.Error(err)
	}
	if n := r.commits(t, "n1"); n != 0 {
		t.Errorf("%d commits, want none", n)
	}
}

func TestDevOutlivesKilledNodes(t *testing.T) {
	r := rehearse(t, "serves", "serves")
	pids := r.pids(t)
	<-r.out
	for _, i := range []int{1, 0} {
		if err := syscall.Kill(pids[i], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("n%d (pid %d) ended: signal: killed", i+1, pids[i])
		if line := <-r.out; line != want {
			t.Errorf("got %q, want %q", line, want)
		}
	}
	if line := <-r.out; !strings.HasPrefix(line, "no node is left") {
		t.Errorf("got %q", line)
	}
	select {
	case err := <-r.done:
		t.Errorf("dev ended: %v", err)
	default:
	}
	if rest, err := r.end(); err != nil || len(rest) != 0 {
		t.Errorf("the end brought %q, error %v", rest, err)
	}
}

func TestDevEndsWhenANodeFailsEarly(t *testing.T) {
	r := rehearse(t, "stages", "fails")
	pids := r.pids(t)
	err := <-r.done
	want := fmt.Sprintf("n2 (pid %d) ended: exit status 7, before the cluster was ready; the end of %s:\n    first line\n    the disk is on fire",
		pids[1], filepath.Join(r.dir, "n2.log"))
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	for line := range r.out {
		t.Errorf("it went on with %q", line)
	}
	mustBeGone(t, pids)
	if hasMark(r.dir) {
		t.Error("the cluster counts as made")
	}
}

func TestDevEndsWhenTheCommitIsRefused(t *testing.T) {
	r := rehearse(t, "refuses", "serves")
	pids := r.pids(t)
	err := <-r.done
	if err == nil || err.Error() != "take n1, n2 into the ring: commit: n1 holds data (kind: refused, applied: no)" {
		t.Errorf("error %v", err)
	}
	mustBeGone(t, pids)
}

func TestDevEndsWhileItWaits(t *testing.T) {
	r := rehearse(t, "alone", "serves")
	pids := r.pids(t)
	if rest, err := r.end(); err != nil || len(rest) != 0 {
		t.Errorf("the end brought %q, error %v", rest, err)
	}
	mustBeGone(t, pids)
	if hasMark(r.dir) {
		t.Error("the cluster counts as made")
	}
}

func TestDevsNodesEndWithIt(t *testing.T) {
	for _, test := range []struct {
		signal syscall.Signal
		want   string
	}{{syscall.SIGTERM, "exit status 0"}, {syscall.SIGKILL, "signal: killed"}} {
		t.Run(test.signal.String(), func(t *testing.T) {
			addrs := deadAddrs(t, 2)
			cmd := fakeCommand("dev", t.TempDir(), addrs)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for s := bufio.NewScanner(out); s.Scan() && s.Text() != "ready"; {
			}
			if err := cmd.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			if got := cmd.ProcessState.String(); got != test.want {
				t.Errorf("dev ended with %q, want %q", got, test.want)
			}
			for _, addr := range addrs {
				awaitSilence(t, addr)
			}
		})
	}
}

// awaitSilence returns once nobody listens at addr.
func awaitSilence(t *testing.T, addr string) {
	t.Helper()
	for t.Context().Err() == nil {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		c.Close()
		time.Sleep(10 * time.Millisecond)
	}
}

func TestSupervisedNodeEndsWithItsInput(t *testing.T) {
	near, far := io.Pipe()
	ctx := untilEnd(t.Context(), near)
	if ctx.Err() != nil {
		t.Error("the context ended before the input")
	}
	far.Close()
	<-ctx.Done()
}

func TestDevRefusesPortsInUse(t *testing.T) {
	for _, offset := range []int{0, peerPort, gossipPort, respPort, riakPort, devStride} {
		t.Run(strconv.Itoa(offset), func(t *testing.T) {
			first := freePorts(t)
			taken, err := net.Listen("tcp", net.JoinHostPort(devHost, strconv.Itoa(first+offset)))
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			dir := filepath.Join(t.TempDir(), "data")
			got := ringtail(t, "", "dev", "--port", strconv.Itoa(first), "--data", dir)
			if got.status != exitError || !strings.Contains(got.err, taken.Addr().String()+": the port is in use") || got.out != "" {
				t.Errorf("%+v", got)
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("the data directory was made all the same: %v", err)
			}
		})
	}
}

func TestServeRefusesAPortInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	flags := []string{"http", "peer", "gossip", "resp", "riak"}
	for _, flag := range flags {
		args := []string{"serve", "--name", "n1", "--engine", "memory", "--create"}
		free := deadAddrs(t, len(flags))
		for i, f := range flags {
			if f == flag {
				free[i] = addr
			}
			args = append(args, "--"+f, free[i])
		}
		got := ringtail(t, "", args...)
		want := fmt.Sprintf("ringtail: --%s %s: the port is in use\n", flag, addr)
		if got.status != exitError || got.err != want {
			t.Errorf("status %d, stderr %q; want status 1 and %q", got.status, got.err, want)
		}
	}
}

// freePorts returns the first of the ports that three nodes would take.
func freePorts(t *testing.T) int {
	t.Helper()
	for first := 20000; first < 60000; first += 100 {
		if checkDevPorts((&devCmd{Nodes: 3, Port: first}).nodes()) == nil {
			return first
		}
	}
	t.Fatal("no three nodes' ports are free")
	return 0
}

func TestDevStartsItsNodesWith(t *testing.T) {
	c := &devCmd{Nodes: 2, Port: 7400, Engine: "pebble", createFlags: createFlags{N: 3, R: 2, W: 1, Partitions: 64, Partitioner: "crc16"}}
	nodes := c.nodes()
	common := "serve --supervised --name %s --http 127.0.0.1:%d --engine pebble --data d "
	for _, test := range []struct {
		node  int
		first bool
		want  string
	}{
		{0, true, fmt.Sprintf(common, "n1", 7400) + "--create --n 3 --r 2 --w 1 --partitions 64 --partitioner crc16"},
		{1, true, fmt.Sprintf(common, "n2", 7410) + "--seeds 127.0.0.1:7402"},
		{0, false, fmt.Sprintf(common, "n1", 7400) + "--seeds 127.0.0.1:7412"},
	} {
		if got := strings.Join(c.serveArgs(nodes[test.node], nodes, "d", test.first), " "); got != test.want {
			t.Errorf("node %d, first %v: got %q, want %q", test.node, test.first, got, test.want)
		}
	}
}
