package membership

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringtaildb/ringtail/internal/kv"
)

const testLabel = "00000000000000c1"

// portRig is a gossip port at address 1 of a fabric, and a stranger at 2.
type portRig struct {
	port     *gossipPort
	stranger memberlist.NodeAwareTransport
	journal  *journal
}

func newPortRig(t *testing.T) *portRig {
	t.Helper()
	f := newFabric()
	inner, err := f.listen("10.0.0.1", 7402)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := f.listen("10.0.0.2", 7402)
	if err != nil {
		t.Fatal(err)
	}
	j := &journal{}
	answer := func() seedAnswer { return seedAnswer{cluster: testCluster, node: 7, peer: peerAddr(1)} }
	return &portRig{openGossipPort(inner, answer, slog.New(j)), stranger, j}
}

func (r *portRig) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := r.stranger.DialAddressTimeout(memberlist.Address{Addr: gossipAddr(1)}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// send writes b in pieces of n bytes and returns what came back until the
// stream was closed.
func (r *portRig) send(t *testing.T, b []byte, n int) []byte {
	t.Helper()
	conn := r.dial(t)
	defer conn.Close()
	go func() {
		for at := 0; at < len(b); at += n {
			if _, err := conn.Write(b[at:min(at+n, len(b))]); err != nil {
				return
			}
		}
	}()
	back, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestGossipPortAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPortRig(t)
		for _, n := range []int{1, 3, 100} {
			a, err := parseAnswer(r.send(t, appendRequest(nil), n))
			if want := (seedAnswer{testCluster, 7, peerAddr(1)}); err != nil || a != want {
				t.Errorf("in pieces of %d: got %+v, %v", n, a, err)
			}
		}
		if err := r.port.close(); err != nil {
			t.Error(err)
		}
	})
}

func TestGossipPortClosesGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPortRig(t)
		r.port.attach(testLabel)
		label := append([]byte{labelByte, byte(len(testLabel))}, testLabel...)
		wrong := bytes.Clone(label)
		wrong[len(wrong)-1]++
		spoilt := appendRequest(nil)
		spoilt[len(spoilt)-1]++
		for name, b := range map[string][]byte{
			"memberlist without a label": {6, 1, 2, 3},
			"HTTP":                       []byte("GET / HTTP/1.1\r\n\r\n"),
			"almost a request":           []byte("RTLx\x00\x01abcd"),
			"a spoilt request":           spoilt,
			"another label":              wrong,
			"a longer label":             {labelByte, 255, 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x', 'x'},
		} {
			// Each one has its line, and no more.
			time.Sleep(sparsePause)
			before := len(r.journal.matching("gossip port"))
			if back := r.send(t, b, 100); len(back) > 0 {
				t.Errorf("%s: answered with %q", name, back)
			}
			synctest.Wait()
			if lines := len(r.journal.matching("gossip port")) - before; lines != 1 {
				t.Errorf("%s: %d lines, want 1", name, lines)
			}
		}
		// Silence is closed too, and who only looks is not worth a line.
		if back := r.send(t, nil, 1); len(back) > 0 {
			t.Errorf("silence: answered with %q", back)
		}
		if err := r.port.close(); err != nil {
			t.Error(err)
		}
	})
}

func TestGossipPortPassesGossipOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPortRig(t)
		label := append([]byte{labelByte, byte(len(testLabel))}, testLabel...)
		packet := append(bytes.Clone(label), 3, 1, 4)
		write := func(b []byte) {
			if _, err := r.stranger.WriteToAddress(b, memberlist.Address{Addr: gossipAddr(1)}); err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		write(packet) // before there is a label: dropped without a word
		r.port.attach(testLabel)
		write([]byte("\xf4\x03abcd"))
		write([]byte{6, 1, 2})
		if got := r.journal.matching("dropped a packet"); len(got) != 1 {
			t.Errorf("two strange packets at once make the lines %q, want one", got)
		}
		write(packet)
		if got := <-r.port.PacketCh(); !bytes.Equal(got.Buf, packet) {
			t.Errorf("got %x, want %x", got.Buf, packet)
		}

		conn := r.dial(t)
		go conn.Write(append(bytes.Clone(label), "and more"...))
		passed := <-r.port.StreamCh()
		got := make([]byte, len(label)+len("and more"))
		if _, err := io.ReadFull(passed, got); err != nil || string(got) != string(label)+"and more" {
			t.Errorf("got %q, %v", got, err)
		}
		if err := r.port.Shutdown(); err != nil {
			t.Error(err)
		}
		if _, err := passed.Read(got); err == nil {
			t.Error("the stream outlives memberlist")
		}
		// The port still answers.
		if _, err := parseAnswer(r.send(t, appendRequest(nil), 100)); err != nil {
			t.Error(err)
		}
		if err := r.port.close(); err != nil {
			t.Error(err)
		}
	})
}

func TestGossipPortLimitsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPortRig(t)
		var open []net.Conn
		for range maxStreams {
			open = append(open, r.dial(t))
			synctest.Wait()
		}
		if back := r.send(t, appendRequest(nil), 100); len(back) > 0 {
			t.Error("one stream past the limit was served")
		}
		open[0].Close()
		synctest.Wait()
		if back := r.send(t, appendRequest(nil), 100); len(back) == 0 {
			t.Error("a stream at the limit was not served")
		}
		// Those that say nothing are closed in time.
		time.Sleep(firstBytesWait)
		synctest.Wait()
		if n := len(r.port.mu.open); n != 0 {
			t.Errorf("%d silent streams are open", n)
		}
		if err := r.port.close(); err != nil {
			t.Error(err)
		}
	})
}

// listenAnywhere opens the real network's gossip port at a number that is free
// for TCP and UDP.
func listenAnywhere(t *testing.T) (memberlist.NodeAwareTransport, string) {
	t.Helper()
	listen := listenGossip(slog.New(slog.DiscardHandler))
	var err error
	for range 10 {
		var inner memberlist.NodeAwareTransport
		if inner, err = listen("127.0.0.1", 0); err == nil {
			number := inner.(gossipNet).GetAutoBindPort()
			return inner, net.JoinHostPort("127.0.0.1", strconv.Itoa(number))
		}
	}
	t.Fatal(err)
	return nil, ""
}

// On the real network a port in use is an error that names it, a question is
// answered, and close ends everything.
func TestListenGossip(t *testing.T) {
	inner, addr := listenAnywhere(t)
	port := openGossipPort(inner, func() seedAnswer { return seedAnswer{node: 7} }, slog.New(slog.DiscardHandler))
	cfg := Default()
	cfg.Name, cfg.Create = "n1", &testParams
	cfg.Addrs = Addresses{Peer: "127.0.0.1:1", Gossip: addr}
	s, err := Open(cfg, Deps{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); kv.KindOf(err) != kv.KindUnavailable || !strings.Contains(err.Error(), addr) {
		t.Errorf("got %v, want unavailable, with %s", err, addr)
	}
	conn, err := port.DialAddressTimeout(memberlist.Address{Addr: addr}, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := ask(conn, 30*time.Second); err != nil || a.node != 7 {
		t.Errorf("got %+v, %v", a, err)
	}
	if err := port.close(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}

func TestGossipLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &journal{}
		l := newGossipLog(slog.New(j))
		l.Printf("[DEBUG] memberlist: Stream connection from=10.0.0.1:1")
		l.Printf("[WARN] memberlist: Refuting a suspect message (from: x)")
		l.Printf("no level at all")
		for range 5 {
			l.Printf("[ERR] memberlist: Failed to send gossip to 10.0.0.2:7402: no route")
		}
		time.Sleep(sparsePause)
		l.Printf("[ERR] memberlist: Push/Pull with n2 failed")
		want := []string{
			"gossip error=Failed to send gossip to 10.0.0.2:7402: no route",
			"gossip error=Push/Pull with n2 failed left_out=4",
		}
		if len(j.lines) != 2 || j.lines[0] != want[0] || j.lines[1] != want[1] {
			t.Errorf("got %q, want %q", j.lines, want)
		}
	})
}
