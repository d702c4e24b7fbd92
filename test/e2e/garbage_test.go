package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const term = syscall.SIGTERM

// testGarbage throws random bytes, other protocols, huge lengths and half
// handshakes at every port of a node, which goes on as if nothing was.
func (c *cluster) testGarbage(t *testing.T) {
	p := c.nodes[1]
	before := p.rss(t)
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	junk := [][]byte{
		noise,
		[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		[]byte("RTL\x01\xff\xff" + strings.Repeat("x", 70000)),
		[]byte("RTL\x02\x00\x10" + strings.Repeat("\x00", 20)),
		[]byte("\xff\xff\xff\xff" + strings.Repeat("y", 1000)),
		[]byte("RTL"),
		{},
	}
	for offset := range 3 {
		for _, j := range junk {
			for range 5 {
				conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", p.port+offset), 5*time.Second)
				if err != nil {
					t.Fatalf("port +%d: %v", offset, err)
				}
				_, _ = conn.Write(j)
				if len(j) == 3 {
					defer conn.Close() // half a handshake, left open
					continue
				}
				conn.Close()
			}
		}
	}
	udp, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", p.port+2))
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for i := range 200 {
		_, _ = udp.Write(noise[i : i+1000])
	}
	c.put(1, "after-garbage", "v").want(t, 204, "")
	c.get(2, "after-garbage").want(t, 200, "v")
	if after := p.rss(t); after > before+64<<20 {
		t.Errorf("memory grew from %d to %d MiB", before>>20, after>>20)
	}
	if n := strings.Count(p.log.String(), "\n"); n > 200 {
		t.Errorf("the log has %d lines", n)
	}
}

// rss is the process's resident memory in bytes, 0 where the system does not
// tell.
func (p *process) rss(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}
