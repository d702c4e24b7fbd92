package e2e_test

import (
	bin "encoding/binary"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// roll restarts nodes one by one as another program, as an operator does.
func (c *cluster) roll(t *testing.T, l *load, program string, nodes ...int) {
	t.Helper()
	for _, i := range nodes {
		p, before := c.nodes[i], l.drain(i)
		p.end(t)
		p.program = program
		p.start()
		p.await("/readyz")
		l.talkTo(before)
		l.run(time.Second)
	}
}

// noneLost checks that nothing failed while nodes ended in order, some of which
// speak version 1: they cannot say that they end. One request in thousands, passed
// on to such a node at the very moment in which that closes its connections, is
// answered with "unknown": nobody can tell.
func noneLost(t *testing.T, l *load) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, f := range l.failures {
		switch {
		case !f.cut || 1000*(i+1) > int(l.ops.Load()):
			t.Errorf("%d of %d requests failed, among them: %s", len(l.failures), l.ops.Load(), f.what)
			return
		default:
			t.Logf("cut off: %s", f.what)
		}
	}
}

// end has the node end as it should.
func (p *process) end(t *testing.T) {
	t.Helper()
	p.signal(term)
	if code := p.wait(); code != 0 {
		t.Errorf("%s: exit status %d after SIGTERM", p.name, code)
	}
}

// upgradePage is what the test reads of /cluster.
type upgradePage struct {
	LeastProtocol int `json:"least_protocol"`
	Members       []struct {
		Name     string
		Protocol int
	}
}

// awaitProtocols waits until node 0 knows what the others speak.
func (c *cluster) awaitProtocols(t *testing.T, least int, want ...int) {
	t.Helper()
	if p := await(time.Minute, func() string {
		var v upgradePage
		if err := c.nodes[0].json("/cluster?", &v); err != nil {
			return err.Error()
		}
		for i, protocol := range want {
			for _, m := range v.Members {
				if m.Name == c.nodes[i].name && m.Protocol != protocol {
					return m.Name + " is not known to speak another protocol"
				}
			}
		}
		if v.LeastProtocol != least {
			return "the least protocol is another"
		}
		return ""
	}); p != "" {
		t.Fatal(p)
	}
}

// forget makes a data directory one of the version before: its cluster file has
// the sections that one knew, in its format.
func (p *process) forget(t *testing.T) {
	t.Helper()
	if err := os.Remove(filepath.Join(p.data, "vote")); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	name := filepath.Join(p.data, "cluster")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const header, sections = 4 + 2 + 4, 4
	payload := b[header : len(b)-4]
	kept, rest := append(payload[:8:8], sections), payload[9:]
	for range sections {
		n := 5 + bin.BigEndian.Uint32(rest[1:])
		kept, rest = append(kept, rest[:n]...), rest[n:]
	}
	old := append([]byte(nil), b[:4]...)
	old = bin.BigEndian.AppendUint16(old, 1)
	old = bin.BigEndian.AppendUint32(old, uint32(len(kept)))
	old = append(old, kept...)
	old = bin.BigEndian.AppendUint32(old, crc32.Checksum(old, crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(name, old, 0o644); err != nil {
		t.Fatal(err)
	}
}

// startBefore starts three nodes of the version before, in one ring.
func startBefore(t *testing.T) *cluster {
	t.Helper()
	c := start(t, 3)
	for _, p := range c.nodes {
		p.end(t)
	}
	for _, p := range c.nodes {
		p.forget(t)
		p.program = before()
		p.start()
	}
	c.awaitReady()
	return c
}

// TestRollingUpgrade: a cluster of the version before is upgraded node by node,
// taken back and upgraded again, under load. Its ring changes once all nodes have
// the new version, and then the old one is refused.
func TestRollingUpgrade(t *testing.T) {
	full(t)
	c := startBefore(t)
	c.awaitProtocols(t, 1, 1, 1, 1)
	base := c.putAll(t, "base", 5_000, 500, "?w=3&strict=true", 0, 1, 2)
	l := c.startStrictLoad(6)
	l.run(time.Second)

	c.roll(t, l, "", 0)
	c.awaitProtocols(t, 1, 3, 1, 1)
	c.grow(t, 1)
	c.testMixed(t)
	c.roll(t, l, "", 1, 2)
	c.awaitProtocols(t, 1, 3, 3, 3)
	c.roll(t, l, before(), 1, 0, 2)
	c.awaitProtocols(t, 1, 1, 1, 1)
	c.roll(t, l, "", 2, 1, 0)
	c.awaitProtocols(t, 1, 3, 3, 3)
	c.commit()
	c.awaitSettled(t, 3)
	c.awaitProtocols(t, 2, 3, 3, 3)
	noneLost(t, l)
	acked, maybe := l.end(), len(l.failures)
	c.checkWhole(t, sum(base, acked), maybe)
	c.testTooOld(t)
	c.checkWhole(t, sum(base, acked), maybe)
}

// testMixed: while nodes of both versions serve, the ring does not change, nothing
// is written that one of them cannot read, and everybody is told why.
func (c *cluster) testMixed(t *testing.T) {
	t.Helper()
	for i, what := range []string{"speaks protocol version 1, a change of the ring takes 2: upgrade it first", "node n2 speaks protocol version 1"} {
		a := c.do(i, "POST", "/cluster/commit", nil).want(t, 409, "")
		if text := a.failure(t).Error.Message; !strings.Contains(text, what) {
			t.Errorf("a commit at %s says %q", c.nodes[i].name, text)
		}
	}
	for _, to := range []struct{ path, body string }{{"/buckets/default/keys/k?ttl=1000", "v"}, {"/buckets/default/props", `{"props":{"ttl":1000}}`}} {
		a := c.do(0, "PUT", to.path, []byte(to.body)).want(t, 503, "")
		if e := a.failure(t).Error; e.Kind != "wrong version" || e.Applied != "no" || !strings.Contains(e.Message, "speaks protocol version 1") {
			t.Errorf("PUT %s: %+v", to.path, e)
		}
	}
	out, err := exec.Command(binary, "status", "--addr", strings.TrimPrefix(c.nodes[0].url(""), "http://")).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "! releases differ: n2, n3 (") {
		t.Errorf("status: %v\n%s", err, out)
	}
}

// testTooOld: since the ring has changed, the version before does not start on
// the data any more, and leaves it as it is.
func (c *cluster) testTooOld(t *testing.T) {
	t.Helper()
	p := c.nodes[1]
	p.end(t)
	node, err := os.ReadFile(filepath.Join(p.data, "node"))
	if err != nil {
		t.Fatal(err)
	}
	p.program = before()
	p.start()
	if code := p.wait(); code != 1 || !strings.Contains(p.log.String(), "it has format 2, this release reads up to 1: start the one that wrote it, or a later one") {
		t.Errorf("the old program ends with status %d:\n%s", code, tail(p.log.String(), 5))
	}
	if after, err := os.ReadFile(filepath.Join(p.data, "node")); err != nil || string(after) != string(node) {
		t.Errorf("it has written to the directory: %v", err)
	}
	p.program = ""
	p.start()
	p.await("/readyz")
}
