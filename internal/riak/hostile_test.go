package riak

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/riak/pb"
)

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	var all []byte
	const pairs = 200
	for range pairs {
		all = append(all, frame(pb.PutReq, put("k", "v", nil).bytes())...)
		all = append(all, frame(pb.GetServerInfoReq, nil)...)
		all = append(all, frame(77, nil)...)
	}
	go func() { _, _ = c.nc.Write(all) }()
	for range pairs {
		for _, want := range []pb.Code{pb.PutResp, pb.GetServerInfoResp, pb.ErrorResp} {
			if r := c.read(); want != r.code && !(want == pb.PutResp && strings.Contains(r.text(1), "siblings")) {
				t.Fatalf("answer %d, want %d: %q", r.code, want, r.body)
			}
		}
	}
}

// TestMessagesThatAreNone end their connection with an error, and no other.
func TestMessagesThatAreNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := serve(t, Default())
		other := d.dial()
		for name, x := range map[string]struct {
			b    []byte
			text string
		}{
			"no code":              {[]byte{0, 0, 0, 0, 9}, "it has no code"},
			"a message of 4 GiB":   {[]byte{0xff, 0xff, 0xff, 0xff, 11}, "the limit is"},
			"one past the limit":   {append(size(maxMessage+1), 11), "the limit is"},
			"half a head":          {[]byte{0, 0}, "timeout"},
			"half a message":       {append(size(100), 9, 1, 2), "timeout"},
			"half a large message": {append(size(maxMessage), 11, 1, 2), "timeout"},
			"web":                  {[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "the limit is"},
		} {
			c := d.dial()
			go func() { _, _ = c.nc.Write(x.b) }()
			if r := c.read(); r.code != pb.ErrorResp || !strings.Contains(r.text(1), x.text) {
				t.Errorf("%s: %d, %q", name, r.code, r.body)
			}
			c.ended()
		}
		other.want(pb.PingResp, pb.PingReq, nil)
		d.finish()
	})
}

// finish ends the door within a bubble.
func (d *door) finish() {
	d.stop()
	<-d.ended
	d.ended <- nil
	synctest.Wait()
}

func size(n int) []byte { return []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

// TestLengthsAreNotBelieved: what a message claims to have is allocated as it
// comes.
func TestLengthsAreNotBelieved(t *testing.T) {
	d := serve(t, Default())
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const clients = 100
	for range clients {
		c := d.dial()
		c.send(append(size(maxMessage), byte(pb.PutReq), 1))
	}
	for len(d.server.large) < clients {
		time.Sleep(time.Millisecond)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / clients; each > 3*firstRead {
		t.Errorf("%d bytes are allocated for half a head", each)
	}
}

func TestGreatestMessage(t *testing.T) {
	d := serve(t, Default())
	c := d.dial()
	v := bytes.Repeat([]byte{7}, kv.MaxValue)
	c.want(pb.PutResp, pb.PutReq, m{1: "b", 2: "k", 4: m{1: v, 9: []any{m{1: "u", 2: strings.Repeat("w", kv.MaxMeta-100)}}}})
	if got := c.want(pb.GetResp, pb.GetReq, get("k")).values(); len(got) != 1 || got[0] != string(v) {
		t.Error("it comes back as another")
	}
}

func TestIdleConnectionsGiveWay(t *testing.T) {
	cfg := Default()
	cfg.MaxConnections = 3
	synctest.Test(t, func(t *testing.T) {
		d := serve(t, cfg)
		held := make(chan struct{})
		d.hook = func(context.Context) { <-held }
		busy := d.dial()
		go busy.nc.Write(frame(pb.GetReq, get("k").bytes()))
		synctest.Wait()
		var idle []*client
		for range 4 {
			time.Sleep(time.Second)
			idle = append(idle, d.dial())
			synctest.Wait()
		}
		for _, c := range idle[:2] {
			c.ended()
		}
		for _, c := range idle[2:] {
			c.want(pb.PingResp, pb.PingReq, nil)
		}
		close(held)
		if r := busy.read(); r.code != pb.GetResp {
			t.Errorf("who has a request under way is answered %d", r.code)
		}
		d.finish()
	})
}

func TestNoRoomForConnections(t *testing.T) {
	cfg := Default()
	cfg.MaxConnections = 1
	synctest.Test(t, func(t *testing.T) {
		d := serve(t, cfg)
		held := make(chan struct{})
		d.hook = func(context.Context) { <-held }
		busy := d.dial()
		go busy.nc.Write(frame(pb.GetReq, get("k").bytes()))
		synctest.Wait()
		late := d.dial()
		if r := late.read(); r.code != pb.ErrorResp || !strings.Contains(r.text(1), "overloaded") {
			t.Errorf("%d, %q", r.code, r.body)
		}
		late.ended()
		close(held)
		busy.read()
		d.finish()
	})
}

func TestNoRoomForRequests(t *testing.T) {
	cfg := Default()
	cfg.MaxRequests = 1
	synctest.Test(t, func(t *testing.T) {
		d := serve(t, cfg)
		held := make(chan struct{})
		d.hook = func(context.Context) { <-held }
		busy := d.dial()
		go busy.nc.Write(frame(pb.GetReq, get("k").bytes()))
		synctest.Wait()
		c := d.dial()
		if got := c.fails(pb.GetReq, get("k")); !strings.Contains(got, "overloaded") {
			t.Errorf("%q", got)
		}
		if got := c.fails(pb.PingReq, nil); !strings.Contains(got, "overloaded") {
			t.Errorf("the connection goes on with %q", got)
		}
		close(held)
		busy.read()
		d.hook = nil
		c.want(pb.GetResp, pb.GetReq, get("k"))
		d.finish()
	})
}

// TestHalfMessagesAreInNobodysWay but that of other large ones.
func TestHalfMessagesAreInNobodysWay(t *testing.T) {
	cfg := Default()
	cfg.MaxRequests = 1
	synctest.Test(t, func(t *testing.T) {
		d := serve(t, cfg)
		half := d.dial()
		half.send(append(size(keepBuffer+2), byte(pb.PutReq)))
		d.dial().want(pb.GetResp, pb.GetReq, get("k"))
		large := d.dial()
		go large.nc.Write(frame(pb.PutReq, make([]byte, keepBuffer+1)))
		if r := large.read(); !strings.Contains(r.text(1), "overloaded") {
			t.Errorf("%q", r.body)
		}
		large.ended()
		d.finish()
	})
}

func TestClientThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := serve(t, Default())
		c := d.dial()
		c.send(frame(pb.GetServerInfoReq, nil))
		time.Sleep(Default().WriteTimeout + time.Second)
		synctest.Wait()
		if n, _ := io.Copy(io.Discard, c.nc); n > 0 {
			t.Errorf("%d bytes after the timeout", n)
		}
		d.finish()
	})
}

// TestTheEndLetsRequestsFinish, and closes who has none.
func TestTheEndLetsRequestsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := serve(t, Default())
		held := make(chan struct{})
		d.hook = func(context.Context) { <-held }
		busy, idle := d.dial(), d.dial()
		go busy.nc.Write(frame(pb.GetReq, get("k").bytes()))
		synctest.Wait()
		d.stop()
		idle.ended()
		close(held)
		if r := busy.read(); r.code != pb.GetResp {
			t.Errorf("the request under way is answered %d", r.code)
		}
		busy.ended()
		d.finish()
	})
}

func TestTheEndCancelsWhatDoesNotFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := serve(t, Default())
		d.hook = func(ctx context.Context) { <-ctx.Done() }
		c := d.dial()
		go c.nc.Write(frame(pb.GetReq, get("k").bytes()))
		synctest.Wait()
		begun := time.Now()
		d.finish()
		if waited := time.Since(begun); waited != Default().DrainTimeout {
			t.Errorf("it took %v of virtual time", waited)
		}
	})
}

// flaky fails to accept now and then, as for want of file descriptors.
type flaky struct {
	*pipes
	fails int
}

// wanting is a net.Error.
type wanting struct{}

func (wanting) Error() string   { return "too many open files" }
func (wanting) Timeout() bool   { return false }
func (wanting) Temporary() bool { return true }

func (f *flaky) Accept() (net.Conn, error) {
	if f.fails > 0 {
		f.fails--
		return nil, wanting{}
	}
	return f.pipes.Accept()
}

func TestAcceptOutlivesAWantOfFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := serve(t, Default())
		l := &flaky{&pipes{conns: make(chan net.Conn), closed: make(chan struct{})}, 20}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- d.server.Serve(ctx, l) }()
		near, far := net.Pipe()
		l.conns <- far
		(&client{t, near}).want(pb.PingResp, pb.PingReq, nil)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		d.finish()
	})
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Config){
		"MaxConnections": func(c *Config) { c.MaxConnections = 0 },
		"MaxRequests":    func(c *Config) { c.MaxRequests = -1 },
		"ReadTimeout":    func(c *Config) { c.ReadTimeout = 0 },
		"WriteTimeout":   func(c *Config) { c.WriteTimeout = 0 },
		"ListTimeout":    func(c *Config) { c.ListTimeout = 0 },
		"DrainTimeout":   func(c *Config) { c.DrainTimeout = -1 },
	} {
		cfg := Default()
		change(&cfg)
		if _, err := New(cfg, Parts{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
