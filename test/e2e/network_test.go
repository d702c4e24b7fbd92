package e2e_test

import (
	"fmt"
	"io"
	"os/exec"
	"testing"
)

// network is a bridge in the tests' sandbox, to which hosts with a network
// namespace each are tied. The tests themselves sit on the bridge, so that they
// reach every host whatever is cut.
type network struct {
	t     *testing.T
	hosts []*host
}

// host is a network namespace.
type host struct {
	ip string
	// link is the bridge's end of what ties the host to it.
	link string
	// holder is a process that does nothing but be in it, and ends with the test
	// binary.
	holder *exec.Cmd
	stdin  io.Closer
}

const (
	bridge     = "ringtail0"
	bridgeAddr = "10.77.0.254/24"
	// nowhere is a hardware address that nobody has. What is sent to it is
	// dropped without a word, as by a cut cable.
	nowhere = "02:00:00:00:de:ad"
)

// newNetwork lays a bridge and ties n hosts to it, 10.77.0.1 and so on. The test
// is skipped where that is not possible.
func newNetwork(t *testing.T, n int) *network {
	t.Helper()
	if noNetwork != "" {
		t.Skip("nodes cannot have networks of their own here: " + noNetwork)
	}
	w := &network{t: t}
	w.ip(nil, "link", "add", bridge, "type", "bridge")
	t.Cleanup(w.remove)
	w.ip(nil, "address", "add", bridgeAddr, "dev", bridge)
	w.ip(nil, "link", "set", bridge, "up")
	for i := range n {
		w.addHost(i)
	}
	return w
}

func (w *network) addHost(i int) {
	w.t.Helper()
	h := &host{ip: fmt.Sprintf("10.77.0.%d", i+1), link: fmt.Sprintf("host%d", i+1), holder: exec.Command("cat")}
	ownNetwork(h.holder)
	in, err := h.holder.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := h.holder.Start(); err != nil {
		w.t.Fatal(err)
	}
	h.stdin = in
	w.hosts = append(w.hosts, h)
	w.ip(nil, "link", "add", h.link, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(h.holder.Process.Pid))
	w.ip(nil, "link", "set", h.link, "master", bridge, "up")
	w.ip(h, "link", "set", "lo", "up")
	w.ip(h, "link", "set", "eth0", "up")
	w.ip(h, "address", "add", h.ip+"/24", "dev", "eth0")
}

// remove takes the network away. The links go by name: those of a namespace
// outlive it by a moment.
func (w *network) remove() {
	for _, h := range w.hosts {
		w.ip(nil, "link", "delete", h.link)
		h.stdin.Close()
		_ = h.holder.Wait()
	}
	w.ip(nil, "link", "delete", bridge)
}

// ip runs ip(8) at a host, or at the bridge for nil.
func (w *network) ip(at *host, args ...string) {
	w.t.Helper()
	cmd := exec.Command("ip", args...)
	if at != nil {
		cmd = enter(at.holder, "ip", args...)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Errorf("ip %v: %v: %s", args, err, out)
	}
}

// enter returns a command that will run in the network of a process.
func enter(home *exec.Cmd, name string, args ...string) *exec.Cmd {
	ns := fmt.Sprintf("--net=/proc/%d/ns/net", home.Process.Pid)
	return exec.Command("nsenter", append([]string{ns, name}, args...)...)
}

// cutOneWay lets nothing through from host a to host b.
func (w *network) cutOneWay(a, b int) {
	w.t.Helper()
	w.ip(w.hosts[a], "neighbour", "replace", w.hosts[b].ip, "lladdr", nowhere, "dev", "eth0", "nud", "permanent")
}

// cut lets nothing through between any host of as and any of bs.
func (w *network) cut(as, bs []int) {
	w.t.Helper()
	for _, a := range as {
		for _, b := range bs {
			w.cutOneWay(a, b)
			w.cutOneWay(b, a)
		}
	}
}

// heal mends every link.
func (w *network) heal() {
	w.t.Helper()
	for _, h := range w.hosts {
		w.ip(h, "neighbour", "flush", "nud", "permanent", "dev", "eth0")
	}
}
