package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// stranger connects to a Server and writes bytes; it returns what came back
// until the Server hung up, and when that was.
func stranger(t *testing.T, network Network, addr string, b []byte) ([]byte, time.Duration) {
	t.Helper()
	began := time.Now()
	nc, err := network.Dial(context.Background(), addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(nc)
	return answer, time.Since(began)
}

func TestGarbageOnThePort(t *testing.T) {
	good := wire.AppendHello(nil, helloOf(1))
	broken := append([]byte(nil), good...)
	broken[len(broken)-1]++
	short := wire.AppendHello(nil, helloOf(1))[:20]
	tests := []struct {
		name  string
		bytes []byte
		waits time.Duration
	}{
		{"an HTTP request", []byte("GET / HTTP/1.1\r\nHost: here\r\n\r\n"), 0},
		{"zeros", make([]byte, 100), 0},
		{"another magic", append([]byte("RTL\x02"), good[4:]...), 0},
		{"a wrong checksum", broken, 0},
		{"a length past the limit", []byte("RTL\x01\xff\xff"), 0},
		{"a body of no bytes", []byte("RTL\x01\x00\x00\x00\x00\x00\x00"), 0},
		{"half a hello", short, Default().HandshakeTimeout},
		{"one byte", []byte("R"), Default().HandshakeTimeout},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, log := NewMemory(1), &lines{}
				s := NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, log.logger())
				addr, _ := serve(t, s, m.Host("b"), "b:1")
				answer, took := stranger(t, m.Host("x"), addr, test.bytes)
				if len(answer) != 0 || took != test.waits {
					t.Errorf("%d bytes came back after %v, want none after %v", len(answer), took, test.waits)
				}
				synctest.Wait()
				if got := log.all(); len(got) != 1 || !strings.Contains(got[0], "level=WARN") || !strings.Contains(got[0], "peer=x") {
					t.Errorf("log: %q, want one warning that names the peer", got)
				}
				if st := s.Stats(); st.Garbage != 1 || st.Conns != 0 || st.Handshakes != 0 {
					t.Errorf("stats: %+v", st)
				}
				if o := ask(dial(t, Default(), m.Host("a"), addr, 1), wire.TypeGet, "x", time.Second); o.err != nil {
					t.Errorf("another connection: %v", o.err)
				}
			})
		})
	}
}

// A port check connects and hangs up: that is not worth a line.
func TestPortCheckIsNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := NewMemory(1), &lines{}
		s := NewServer(Default(), Hooks{}, echo, log.logger())
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		nc, err := m.Host("x").Dial(context.Background(), addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.Close()
		synctest.Wait()
		if got := log.all(); len(got) != 0 || s.Stats().Garbage != 0 {
			t.Errorf("log %q, stats %+v", got, s.Stats())
		}
	})
}

// The limit is on the whole handshake: bytes that drip do not extend it.
func TestSlowHandshakeIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		s := NewServer(Default(), Hooks{}, echo, nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		nc, err := m.Host("x").Dial(context.Background(), addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		began := time.Now()
		var drip sync.WaitGroup
		drip.Go(func() {
			for _, b := range wire.AppendHello(nil, helloOf(1)) {
				if _, err := nc.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		_, _ = io.ReadAll(nc)
		if d := time.Since(began); d != Default().HandshakeTimeout {
			t.Errorf("cut off after %v, want %v", d, Default().HandshakeTimeout)
		}
		drip.Wait()
	})
}

// The dialling side does not wait for ever either.
func TestDialingAMutePeerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		l, err := m.Host("b").Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		began := time.Now()
		_, err = Dial(context.Background(), Default(), m.Host("a"), "b:1", helloOf(1))
		wantError(t, "Dial", err, kv.KindUnavailable, kv.AppliedNo)
		if d := time.Since(began); d != Default().HandshakeTimeout {
			t.Errorf("Dial ended after %v, want %v", d, Default().HandshakeTimeout)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began = time.Now()
		_, err = Dial(ctx, Default(), m.Host("a"), "b:1", helloOf(1))
		wantError(t, "Dial with a context", err, kv.KindUnavailable, kv.AppliedNo)
		if d := time.Since(began); d != time.Second {
			t.Errorf("Dial ended after %v, want 1s", d)
		}
	})
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name  string
		hello func(*wire.Hello)
		admit error
		want  kv.Kind
	}{
		{"a later version", func(h *wire.Hello) { h.Versions = wire.Versions{Min: wire.MaxVersion + 1, Max: wire.MaxVersion + 2} }, nil, kv.KindWrongVersion},
		{"another cluster", func(h *wire.Hello) { h.Cluster++ }, nil, kv.KindWrongCluster},
		{"an old copy", func(h *wire.Hello) {}, kv.Errorf(kv.KindOldCopy, "admit", "seen with a higher sequence"), kv.KindOldCopy},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, log := NewMemory(1), &lines{}
				hooks := Hooks{Identity: identityOf(2), Admit: func(wire.Hello) error { return test.admit }}
				s := NewServer(Default(), hooks, echo, log.logger())
				addr, _ := serve(t, s, m.Host("b"), "b:1")
				hello := helloOf(1)
				test.hello(&hello)
				_, err := Dial(context.Background(), Default(), m.Host("a"), addr, hello)
				wantError(t, "Dial", err, test.want, kv.AppliedNo)
				synctest.Wait()
				if got := log.all(); len(got) != 1 {
					t.Errorf("log: %q, want one line", got)
				}
				if st := s.Stats(); st.Refused != 1 || st.Conns != 0 {
					t.Errorf("stats: %+v", st)
				}
			})
		})
	}
}

// A client that takes any cluster learns which one it is; one that wants
// another does not talk to it.
func TestClusterOfTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		mute(t, m.Host("b"), "b:1", 2)
		hello := helloOf(0)
		hello.Cluster = 0
		c, err := Dial(context.Background(), Default(), m.Host("a"), "b:1", hello)
		if err != nil {
			t.Fatal(err)
		}
		if c.Peer().Cluster != testCluster {
			t.Errorf("the peer's cluster is %v", c.Peer().Cluster)
		}
		_ = c.Close()
		hello.Cluster = testCluster + 1
		_, err = Dial(context.Background(), Default(), m.Host("a"), "b:1", hello)
		wantError(t, "Dial for another cluster", err, kv.KindWrongCluster, kv.AppliedNo)
	})
}

func TestConnectionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, cfg := NewMemory(1), Default()
		cfg.MaxConns = 3
		s := NewServer(cfg, Hooks{Identity: identityOf(2)}, echo, nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		for i := range 3 {
			dial(t, cfg, m.Host("a"), addr, kv.NodeID(10+i))
		}
		_, err := Dial(context.Background(), cfg, m.Host("a"), addr, helloOf(1))
		wantError(t, "one past the limit", err, kv.KindOverloaded, kv.AppliedNo)
		_ = s.snapshot()[0].nc.Close()
		synctest.Wait()
		dial(t, cfg, m.Host("a"), addr, 1)
	})
}

func TestHandshakeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, cfg := NewMemory(1), Default()
		cfg.MaxHandshakes = 3
		s := NewServer(cfg, Hooks{Identity: identityOf(2)}, echo, nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		var idle []net.Conn
		for range 4 {
			nc, err := m.Host("x").Dial(context.Background(), addr)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			idle = append(idle, nc)
			synctest.Wait()
		}
		if _, err := idle[3].Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("one past the limit: %v, want EOF", err)
		}
		if st := s.Stats(); st.Handshakes != 3 || st.Refused != 1 {
			t.Errorf("stats: %+v", st)
		}
		time.Sleep(cfg.HandshakeTimeout)
		synctest.Wait()
		dial(t, cfg, m.Host("a"), addr, 1)
	})
}

// A flood of garbage is logged as logBurst lines and then one each logEvery,
// and none of the others is forgotten.
func TestFloodOfGarbageDoesNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, log := NewMemory(1), &lines{}
		s := NewServer(Default(), Hooks{}, echo, log.logger())
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		for range 500 {
			stranger(t, m.Host("x"), addr, []byte("GET / HTTP/1.1\r\n"))
			synctest.Wait()
		}
		if n := len(log.all()); n != logBurst {
			t.Errorf("%d lines, want %d", n, logBurst)
		}
		time.Sleep(logEvery)
		stranger(t, m.Host("x"), addr, []byte("GET / HTTP/1.1\r\n"))
		synctest.Wait()
		got := log.all()
		if want := fmt.Sprintf("lines_left_out_before=%d", 500-logBurst); !strings.Contains(got[len(got)-1], want) {
			t.Errorf("last line %q, want it to say %s", got[len(got)-1], want)
		}
	})
}
