package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// fakeRedis keeps values as Redis does. Every refuse-th command is answered with an
// error, every hangUp-th with the end of its connection.
type fakeRedis struct {
	refuse, hangUp int64

	mu       sync.Mutex
	values   map[string][]byte
	commands atomic.Int64
	conns    sync.WaitGroup
}

// serveRedis serves f until the test ends, and returns its address.
func serveRedis(t *testing.T, f *fakeRedis) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.values = map[string][]byte{}
	f.conns.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			f.conns.Go(func() {
				defer nc.Close()
				for r := bufio.NewReader(nc); f.one(r, nc); {
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		f.conns.Wait()
	})
	return l.Addr().String()
}

// words reads a command.
func words(r *bufio.Reader) ([]string, bool) {
	number := func(mark byte) (int, bool) {
		line, err := r.ReadString('\n')
		if err != nil || line[0] != mark {
			return 0, false
		}
		n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
		return n, err == nil
	}
	n, ok := number('*')
	var out []string
	for range n {
		size, sized := number('$')
		b := make([]byte, size+2)
		if _, err := io.ReadFull(r, b); err != nil || !sized {
			return nil, false
		}
		out = append(out, string(b[:size]))
	}
	return out, ok
}

func (f *fakeRedis) one(r *bufio.Reader, w io.Writer) bool {
	command, ok := words(r)
	if !ok {
		return false
	}
	n := f.commands.Add(1)
	f.mu.Lock()
	defer f.mu.Unlock()
	var err error
	switch {
	case f.hangUp > 0 && n%f.hangUp == 0:
		return false
	case f.refuse > 0 && n%f.refuse == 0:
		_, err = io.WriteString(w, "-ERR not now\r\n")
	case command[0] == "SET":
		f.values[command[1]] = []byte(command[2])
		_, err = io.WriteString(w, "+OK\r\n")
	case f.values[command[1]] == nil:
		_, err = io.WriteString(w, "$-1\r\n")
	default:
		v := f.values[command[1]]
		_, err = fmt.Fprintf(w, "$%d\r\n%s\r\n", len(v), v)
	}
	return err == nil
}

// redisLoad is a short load as Redis's clients.
func redisLoad(addrs ...string) Config {
	cfg := Default()
	cfg.Door, cfg.Addrs, cfg.Routing, cfg.Bucket = DoorRESP, addrs, RoutingServer, kv.BucketRedis
	cfg.Keys, cfg.Concurrency, cfg.ValueBytes = 100, 4, 3000
	cfg.WarmUp, cfg.Duration = 0, 100*time.Millisecond
	return cfg
}

func TestRunAsRedis(t *testing.T) {
	nodes := []*fakeRedis{{}, {}}
	cfg := redisLoad(serveRedis(t, nodes[0]), serveRedis(t, nodes[1]))
	r, err := Run(t.Context(), cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if r.count(read) == 0 || r.count(update) == 0 || r.count(lookup) != 0 || len(r.Errors) > 0 || r.MostSiblings != 1 {
		t.Errorf("%+v", r)
	}
	for i, n := range nodes {
		if n.commands.Load() == 0 {
			t.Errorf("node %d was asked for nothing", i)
		}
		for key, v := range n.values {
			if len(v) != cfg.ValueBytes {
				t.Errorf("%s has %d bytes", key, len(v))
			}
		}
	}
	cfg.Preload, cfg.Workload = false, WorkloadC
	cfg.Addrs = []string{serveRedis(t, &fakeRedis{})}
	if r, err := Run(t.Context(), cfg, io.Discard); err != nil || r.Missing == 0 || r.Missing != uint64(r.count(read)) {
		t.Errorf("of an empty store: %+v, %v", r, err)
	}
}

// Errors and lost connections are counted, and the load goes on.
func TestRunAsRedisThroughErrors(t *testing.T) {
	f := &fakeRedis{refuse: 7, hangUp: 10}
	cfg := redisLoad(serveRedis(t, f))
	cfg.Preload, cfg.Duration = false, 300*time.Millisecond
	r, err := Run(t.Context(), cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if r.Errors[client.KindRefused] == 0 || r.Errors[client.KindUnavailable] == 0 || r.count(read)+r.count(update) == 0 {
		t.Errorf("%+v", r)
	}
}

func TestRedisOptions(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"a quorum":             func(c *Config) { c.W = 1 },
		"strict":               func(c *Config) { c.Strict = true },
		"a bucket":             func(c *Config) { c.Bucket = "b" },
		"routed by the client": func(c *Config) { c.Routing = RoutingClient },
		"a door of no kind":    func(c *Config) { c.Door = "side" },
	} {
		cfg := redisLoad("127.0.0.1:1")
		change(&cfg)
		if _, err := Run(t.Context(), cfg, io.Discard); kv.KindOf(err) != kv.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	if _, err := Run(t.Context(), redisLoad(addr), io.Discard); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("with nobody there: %v", err)
	}
}
