package bench

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// fakeHTTP keeps values as a node's HTTP door does: a put whose context is not that
// of the last put leaves siblings. Every refuse-th request is refused, every
// hangUp-th answered with the end of its connection.
type fakeHTTP struct {
	refuse, hangUp int64

	mu       sync.Mutex
	values   map[string][]string
	asked    map[string]bool // paths and queries, without keys
	requests atomic.Int64
	conns    atomic.Int64
	puts     int
}

func serveHTTP(t *testing.T, f *fakeHTTP) string {
	t.Helper()
	f.values, f.asked = map[string][]string{}, map[string]bool{}
	s := httptest.NewUnstartedServer(f)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			f.conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// ServeHTTP implements http.Handler.
func (f *fakeHTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := f.requests.Add(1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	at := strings.LastIndex(r.URL.EscapedPath(), "/") + 1
	key := r.URL.EscapedPath()[at:]
	f.asked[r.URL.EscapedPath()[:at]+"?"+r.URL.RawQuery] = true
	switch {
	case f.hangUp > 0 && n%f.hangUp == 0:
		panic(http.ErrAbortHandler)
	case f.refuse > 0 && n%f.refuse == 0:
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"error":{"kind":"unavailable","message":"not now","applied":"unknown"}}`)
	case r.Method == http.MethodPut:
		f.put(w, key, r.Header.Get("X-Ringtail-Context"), string(body))
	default:
		f.get(w, key)
	}
}

func (f *fakeHTTP) put(w http.ResponseWriter, key, seen, value string) {
	if seen != "" && seen == f.context(key) {
		f.values[key] = nil
	}
	f.puts++
	f.values[key] = append(f.values[key], value)
	if len(f.values[key]) == 1 {
		w.Header().Set("X-Ringtail-Context", f.context(key))
	}
	w.WriteHeader(http.StatusNoContent)
}

// context returns one that stands for all values of a key, as its door would: base64url.
func (f *fakeHTTP) context(key string) string {
	return client.Context(fmt.Sprintf("%d of %.8q", len(f.values[key]), strings.Join(f.values[key], ","))).String()
}

func (f *fakeHTTP) get(w http.ResponseWriter, key string) {
	values := f.values[key]
	if len(values) > 0 {
		w.Header().Set("X-Ringtail-Context", f.context(key))
	}
	switch len(values) {
	case 0:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error":{"kind":"not found","message":"the key has no value","applied":"no"}}`)
	case 1:
		fmt.Fprint(w, values[0])
	default:
		w.WriteHeader(http.StatusMultipleChoices)
		var parts []string
		for _, v := range values {
			parts = append(parts, `{"value":"`+base64.StdEncoding.EncodeToString([]byte(v))+`","deleted":false}`)
		}
		w.(http.Flusher).Flush() // in chunks
		fmt.Fprintf(w, `{"context":"c","siblings":[%s,{"value":"","deleted":true}]}`, strings.Join(parts, ","))
	}
}

// httpLoad is a short load over HTTP.
func httpLoad(addrs ...string) Config {
	cfg := Default()
	cfg.Door, cfg.Addrs, cfg.Routing, cfg.Bucket = DoorHTTP, addrs, RoutingServer, "a/b"
	cfg.Keys, cfg.Concurrency, cfg.ValueBytes, cfg.WarmUp, cfg.Duration = 20, 4, 3000, 0, 200*time.Millisecond
	cfg.R, cfg.DW, cfg.Strict, cfg.Timeout = 2, 0, true, 3*time.Second
	return cfg
}

func TestRunOverHTTP(t *testing.T) {
	f := &fakeHTTP{}
	cfg := httpLoad(serveHTTP(t, f))
	r, err := Run(t.Context(), cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if r.count(read) == 0 || r.count(update) == 0 || len(r.Errors) > 0 || r.Missing > 0 || r.MostSiblings < 1 {
		t.Errorf("%+v", r)
	}
	if got := f.conns.Load(); got != int64(cfg.Concurrency) {
		t.Errorf("%d connections of %d callers", got, cfg.Concurrency)
	}
	if want := "/buckets/a%2Fb/keys/?dw=0&r=2&strict=true&timeout=3000"; !f.asked[want] || len(f.asked) != 1 {
		t.Errorf("asked for %v, want %s", f.asked, want)
	}
	cfg.Preload, cfg.Workload, cfg.Addrs = false, WorkloadC, []string{serveHTTP(t, &fakeHTTP{})}
	if r, err := Run(t.Context(), cfg, io.Discard); err != nil || r.Missing == 0 || r.Missing != uint64(r.count(read)) || len(r.Errors) > 0 {
		t.Errorf("of an empty store: %+v, %v", r, err)
	}
}

func TestHTTPStore(t *testing.T) {
	cfg := httpLoad(serveHTTP(t, &fakeHTTP{}))
	s, err := dialHTTP(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	ctx := context.Background()
	put := func(seen client.Context, value string) client.Result {
		res, err := s.Put(ctx, "k/ey", seen, []byte(value))
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	get := func(want ...string) client.Result {
		t.Helper()
		res, err := s.Get(ctx, "k/ey")
		if err != nil || len(res.Siblings) != len(want) {
			t.Fatalf("%+v, %v; want %q", res, err, want)
		}
		for i, v := range res.Siblings {
			if string(v.Value) != want[i] {
				t.Errorf("value %d is %q, want %q", i, v.Value, want[i])
			}
		}
		return res
	}
	if res := get(); len(res.Context) != 0 {
		t.Errorf("of no value: %+v", res)
	}
	one := put(nil, "one")
	get("one")
	if res := put(nil, "two"); len(res.Context) != 0 {
		t.Errorf("a put beside another: %+v", res)
	}
	both := get("one", "two")
	put(one.Context, "three")
	both = get("one", "two", "three")
	put(both.Context, "")
	get("")
}

// Errors and lost connections are counted, and the load goes on.
func TestRunOverHTTPThroughErrors(t *testing.T) {
	cfg := httpLoad(serveHTTP(t, &fakeHTTP{refuse: 7, hangUp: 10}))
	cfg.Preload, cfg.Duration = false, 300*time.Millisecond
	r, err := Run(t.Context(), cfg, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if r.Errors[client.KindUnavailable] == 0 || r.Errors[client.KindInternal] != 0 || r.count(read)+r.count(update) == 0 {
		t.Errorf("%+v", r)
	}
}

func TestHTTPErrors(t *testing.T) {
	for answer, want := range map[string]client.Error{
		"HTTP/1.1 503 x\r\nContent-Length: 67\r\n\r\n{\"error\":{\"kind\":\"overloaded\",\"message\":\"a queue\",\"applied\":\"no\"}}\n": {Kind: client.KindOverloaded, Applied: client.AppliedNo},
		"HTTP/1.1 500 x\r\nContent-Length: 2\r\n\r\nno":  {Kind: client.KindUnavailable, Applied: client.AppliedUnknown},
		"HTTP/1.1 200 x\r\nContent-Length: -2\r\n\r\nno": {Kind: client.KindUnavailable, Applied: client.AppliedUnknown},
		"HTTP/1.1 200 x\r\n\r\nno":                       {Kind: client.KindUnavailable, Applied: client.AppliedUnknown},
		"SSH-2.0\r\n":                                    {Kind: client.KindUnavailable, Applied: client.AppliedUnknown},
		"":                                               {Kind: client.KindUnavailable, Applied: client.AppliedUnknown},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var serving sync.WaitGroup
		serving.Go(func() {
			if nc, err := l.Accept(); err == nil {
				_, _ = http.ReadRequest(bufio.NewReader(nc))
				_, _ = io.WriteString(nc, answer)
				_ = nc.Close()
			}
		})
		cfg := httpLoad(l.Addr().String())
		cfg.Concurrency = 1
		s, err := dialHTTP(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Put(t.Context(), "k", nil, nil)
		told, ok := err.(*client.Error)
		if !ok || told.Op != "put" || told.Kind != want.Kind || told.Applied != want.Applied {
			t.Errorf("%q: %v, want %s, applied %v", answer, err, want.Kind, want.Applied)
		}
		s.close()
		_ = l.Close()
		serving.Wait()
	}
}

func TestHTTPOptions(t *testing.T) {
	cfg := httpLoad("127.0.0.1:1")
	cfg.Routing = RoutingClient
	if _, err := Run(t.Context(), cfg, io.Discard); kv.KindOf(err) != kv.KindInvalid {
		t.Errorf("routed by the client: %v", err)
	}
}

func FuzzHTTPAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Ringtail-Context: AQAC\r\n\r\nabc", "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 300 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "HTTP/1.1 404 x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		near, far := net.Pipe()
		defer far.Close()
		c := &httpConn{nc: near, r: bufio.NewReader(strings.NewReader(string(answer)))}
		res, err := c.answer()
		if err == nil && len(res.Siblings) > len(answer) {
			t.Fatalf("%d siblings from %d bytes", len(res.Siblings), len(answer))
		}
	})
}
