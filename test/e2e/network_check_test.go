package e2e_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestNetwork shows that the faults of the tests' network are what they say: a
// link that is cut one way lets the other way through.
func TestNetwork(t *testing.T) {
	w := newNetwork(t, 3)
	arrive := func(what string, a, b, want int) {
		t.Helper()
		before := w.datagrams(b)
		w.send(a, b)
		got := 0
		for range 100 {
			if got = w.datagrams(b) - before; got > 0 || want == 0 {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if got != want {
			t.Errorf("%s: %d datagrams from %d at %d, want %d", what, got, a, b, want)
		}
	}
	arrive("whole", 0, 1, 1)
	w.cutOneWay(0, 1)
	arrive("cut", 0, 1, 0)
	arrive("cut the other way", 1, 0, 1)
	arrive("cut elsewhere", 0, 2, 1)
	w.heal()
	arrive("healed", 0, 1, 1) // exactly one: what was sent before is gone
	w.cut([]int{0}, []int{1, 2})
	for _, link := range [][2]int{{0, 1}, {1, 0}, {2, 0}} {
		arrive("split", link[0], link[1], 0)
	}
	arrive("split, the same side", 1, 2, 1)
	w.heal()
	arrive("healed again", 2, 0, 1)
	if _, err := os.Stat("/sys/class/net/" + bridge); err == nil && os.Getenv(innerEnv) == "" {
		t.Error("the bridge is not in a sandbox")
	}
}

// send sends a datagram from host a to a port of host b where nobody listens.
func (w *network) send(a, b int) {
	w.t.Helper()
	cmd := enter(w.hosts[a].holder, "bash", "-c", "echo x > /dev/udp/"+w.hosts[b].ip+"/9")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Errorf("send: %v: %s", err, out)
	}
}

// datagrams counts those that have reached a host for nobody.
func (w *network) datagrams(i int) int {
	w.t.Helper()
	out, err := enter(w.hosts[i].holder, "cat", "/proc/net/snmp").Output()
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); f[0] == "Udp:" && f[1] != "InDatagrams" {
			n, err := strconv.Atoi(f[2])
			if err != nil {
				w.t.Fatal(err)
			}
			return n
		}
	}
	w.t.Fatalf("no datagrams in\n%s", out)
	return 0
}
