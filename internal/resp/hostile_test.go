package resp

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// TestHostile: what is no RESP, or past a limit, is told so; who sends it harms
// nobody else.
func TestHostile(t *testing.T) {
	d := startDoor(t, nil)
	other := d.dial()
	for _, c := range []struct {
		name, send, want string
		closed           bool
	}{
		{"a bulk length of 2 GiB", "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2147483648\r\n", "-ERR Protocol error: invalid bulk length\r\n", true},
		{"a million words", "*1000000\r\n$3\r\nDEL\r\n", "-ERR Protocol error: invalid multibulk length: a command has at most 65536 words\r\n", true},
		{"arrays within arrays", strings.Repeat("*1\r\n", 1000), "-ERR Protocol error: expected '$', got '*'\r\n", true},
		{"an endless line", strings.Repeat("x", 2*MaxInline), "-ERR Protocol error: too big inline request\r\n", true},
		{"what comes before is answered", "PING\r\n*1\r\n$x\r\n", "+PONG\r\n-ERR Protocol error: invalid length\r\n", true},
		{"an HTTP request", "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "", true},
		{"an unknown command of any bytes", array("\r\n\x00", "\xff\n"), "-ERR unknown command '  \x00', with args beginning with: '\xff ' \r\n", false},
		{"a long name", array(strings.Repeat("x", 1000)), "-ERR unknown command '" + strings.Repeat("x", 128) + "', with args beginning with: \r\n", false},
		{"a value past the limit", array("SET", "a", strings.Repeat("v", kv.MaxValue+1)), "-ERR the word of a command is too large, the limit of a value is 1048576 bytes (kind: too large, applied: no)\r\n", false},
		{"a value at the limit", array("SET", "a", strings.Repeat("v", kv.MaxValue)), "+OK\r\n", false},
		{"a key past the limit", array("SET", strings.Repeat("k", kv.MaxKey+1), "v"), "-ERR the key is too large, the limit is 4096 bytes (kind: too large, applied: no)\r\n", false},
		{"a key at the limit", array("SET", strings.Repeat("k", kv.MaxKey), "v"), "+OK\r\n", false},
		{"an empty key", array("GET", ""), "-ERR the key is empty (kind: invalid, applied: no)\r\n", false},
		{"a name past the limit", array("CLIENT", "SETNAME", strings.Repeat("n", maxName+1)), "-ERR Client names cannot contain spaces, newlines or special characters, and have at most 256 bytes\r\n", false},
		{"a name at the limit", array("CLIENT", "SETNAME", strings.Repeat("n", maxName)), "+OK\r\n", false},
		{"as many words as may be", array(append([]string{"EXISTS"}, make65535()...)...), ":0\r\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := d.dial()
			go func() { _, _ = io.WriteString(client, c.send) }()
			client.expect(c.want)
			if c.closed {
				client.ends()
			} else {
				client.send("PING\r\n")
				client.expect("+PONG\r\n")
			}
			other.send("PING\r\n")
			other.expect("+PONG\r\n")
		})
	}
	if held := d.held.Load(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
}

func make65535() []string {
	words := make([]string, MaxArgs-1)
	for i := range words {
		words[i] = fmt.Sprint(i)
	}
	return words
}

// TestHalfCommands: a command that does not come to its end is given up, an idle
// connection is not.
func TestHalfCommands(t *testing.T) {
	d := startDoor(t, func(c *Config, _ *testStore, _ *testCluster) { c.ReadTimeout = 20 * time.Millisecond })
	idle := d.dial()
	idle.send("PING\r\n")
	idle.expect("+PONG\r\n")
	for _, half := range []string{"*2\r\n$3\r\nGET\r\n", "PIN", "*1\r\n$2000000\r\nabc"} {
		c := d.dial()
		c.send(half)
		c.expect("-ERR the rest of a command did not come in time\r\n")
		c.ends()
	}
	idle.send("PING\r\n")
	idle.expect("+PONG\r\n")
}

func TestMaxConnections(t *testing.T) {
	d := startDoor(t, func(c *Config, _ *testStore, _ *testCluster) { c.MaxConnections = 2 })
	first, second := d.dial(), d.dial()
	for _, c := range []*testClient{first, second} {
		c.send("PING\r\n")
		c.expect("+PONG\r\n")
	}
	third := d.dial()
	third.expect("-ERR max number of clients reached\r\n")
	third.ends()
	// Who is killed makes room.
	second.send("CLIENT ID\r\n")
	second.expect(":2\r\n")
	first.send("CLIENT KILL ID 2\r\n")
	first.expect(":1\r\n")
	second.ends()
	for d.open() > 1 {
		time.Sleep(time.Millisecond)
	}
	fourth := d.dial()
	fourth.send("PING\r\n")
	fourth.expect("+PONG\r\n")
	first.send("CLIENT KILL 127.0.0.1:1\r\n")
	first.expect("-ERR No such client\r\n")
	first.send("CLIENT KILL " + first.LocalAddr().String() + "\r\n")
	first.expect("+OK\r\n")
	first.ends()
}

// TestMaxHeld: what all connections hold together is bounded.
func TestMaxHeld(t *testing.T) {
	d := startDoor(t, func(c *Config, _ *testStore, _ *testCluster) { c.MaxHeld = 2 * MaxCommand })
	value := strings.Repeat("v", kv.MaxValue)
	var holders []*testClient
	// Each has begun a command of which more than half a MiB has come.
	for range 30 {
		c := d.dial()
		c.send("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1048576\r\n" + value[:kv.MaxValue/2+1])
		holders = append(holders, c)
	}
	// Of the buffer that holds so much there is room for eight.
	for d.open() > 8 {
		time.Sleep(time.Millisecond)
	}
	if held := d.held.Load(); held > 2*MaxCommand {
		t.Errorf("%d bytes are held", held)
	}
	served := map[string]bool{}
	d.each(func(c *conn) { served[c.net.RemoteAddr().String()] = true })
	for _, c := range holders {
		if !served[c.LocalAddr().String()] {
			c.expect("-TRYAGAIN answer: too much is held for clients of this door, try again (kind: overloaded, applied: no)\r\n")
			c.ends()
		}
	}
	for _, c := range holders {
		_ = c.Close()
	}
	for d.open() > 0 {
		time.Sleep(time.Millisecond)
	}
	if held := d.held.Load(); held != 0 {
		t.Errorf("%d bytes are held for nobody", held)
	}
}

// TestLargeAnswers: a client that asks for much at once gets it all, in little
// memory.
func TestLargeAnswers(t *testing.T) {
	d := startDoor(t, func(c *Config, _ *testStore, _ *testCluster) { c.MaxHeld = 160 << 20 })
	c := d.dial()
	value := strings.Repeat("v", kv.MaxValue)
	c.send(array("SET", "a", value))
	c.expect("+OK\r\n")
	const times = 300
	words := []string{"MGET"}
	for i := range times {
		words = append(words, fmt.Sprint("none", i), "a")
	}
	c.send(array(words...))
	c.expect(fmt.Sprintf("*%d\r\n", 2*times))
	for range times {
		c.expect("$-1\r\n$1048576\r\n")
		c.skip(kv.MaxValue + 2)
	}
	c.send("PING\r\n")
	c.expect("+PONG\r\n")
}

func (c *testClient) skip(n int64) {
	c.t.Helper()
	if _, err := io.CopyN(io.Discard, c.r, n); err != nil {
		c.t.Fatal(err)
	}
}

// TestUnread: a client that does not read its answers loses its connection.
func TestUnread(t *testing.T) {
	d := startDoor(t, func(c *Config, _ *testStore, _ *testCluster) { c.WriteTimeout = 50 * time.Millisecond })
	c := d.dial()
	c.send(array("SET", "a", strings.Repeat("v", kv.MaxValue)))
	c.expect("+OK\r\n")
	for range 100 {
		if _, err := c.Write(bytes.Repeat([]byte(array("GET", "a")), 10)); err != nil {
			break
		}
	}
	for d.open() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// FuzzConnection: whatever a client sends, the server goes on to serve others.
func FuzzConnection(f *testing.F) {
	d := startDoor(f, func(c *Config, _ *testStore, _ *testCluster) { c.ReadTimeout = time.Second })
	for _, cmd := range described() {
		f.Add([]byte(array(cmd.name, "a", "1", "2", "3")))
	}
	f.Add([]byte("CLIENT REPLY OFF\r\nMGET a b c\r\nHELLO 3\r\nMGET a\r\n"))
	f.Add([]byte("*2\r\n$3\r\nGET\r\n$1048577\r\nabc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := net.Dial("tcp", d.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = c.Write(b)
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c)
		other := &testDoor{t: t, addr: d.addr}
		o := other.dial()
		o.send("PING\r\n")
		if line, err := bytesLine(o); err != nil || line != "+PONG\r\n" {
			t.Errorf("%q, %v", line, err)
		}
		_ = o.Close()
	})
}

func bytesLine(c *testClient) (string, error) { return c.r.ReadString('\n') }
