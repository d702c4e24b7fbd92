package client_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

func TestDial(t *testing.T) {
	dead := "nowhere"
	for _, c := range []struct {
		name  string
		addrs []string
		opt   client.DialOption
		kind  client.Kind
	}{
		{name: "one of two", addrs: []string{dead, "n1"}},
		{name: "no address", kind: client.KindInvalid},
		{name: "no connection", addrs: []string{"n1"}, opt: client.Conns(0), kind: client.KindInvalid},
		{name: "too many", addrs: []string{"n1"}, opt: client.Conns(client.MaxConns + 1), kind: client.KindInvalid},
		{name: "bad default", addrs: []string{"n1"}, opt: client.W(0), kind: client.KindInvalid},
		{name: "nobody", addrs: []string{dead, dead}, kind: client.KindUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := []client.DialOption{newCluster(t, 1).dialer()}
				if c.opt != nil {
					opts = append(opts, c.opt)
				}
				cl, err := client.Dial(background, c.addrs, opts...)
				if c.kind != "" {
					wantError(t, err, c.kind, client.AppliedNo)
					return
				}
				must(t)(cl.Bucket("b").Get(background, "k"))
				_ = cl.Close()
			})
		})
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		c.net.CutBoth("here", "n1")
		ctx, cancel := context.WithTimeout(background, time.Second)
		defer cancel()
		began := time.Now()
		_, err := client.Dial(ctx, c.addrs(), c.dialer())
		wantError(t, err, client.KindTimeout, client.AppliedNo)
		if took := time.Since(began); took != time.Second || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

func TestNodeOfAnotherClusterIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		other := &node{model: newModel(), host: "n9"}
		c.serve(other, 99)
		b := c.dial().Bucket("b")
		c.nodes = append(c.nodes, other)
		mixed, err := client.Dial(background, c.addrs(), c.dialer())
		if err != nil {
			t.Fatal(err)
		}
		defer mixed.Close()
		time.Sleep(10 * time.Second)
		for range 10 {
			must(t)(b.Put(background, "k", nil, nil))
			must(t)(mixed.Bucket("b").Get(background, "k"))
		}
		if c.nodes[0].requests() != 20 && other.requests() != 10 {
			t.Errorf("n1 got %d requests, n9 of another cluster %d", c.nodes[0].requests(), other.requests())
		}
	})
}

// dropOnce has whoever gets a request next lose its connections before it
// answers.
func dropOnce(c *cluster) {
	var once sync.Once
	for _, n := range c.nodes {
		n.setFault(func(wire.Request) bool {
			taken := false
			once.Do(func() {
				taken = true
				go c.net.Drop("here", n.host)
			})
			return taken
		})
	}
}

func TestConnectionLostDuringCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		b := c.dial().Bucket("b")
		synctest.Wait()
		must(t)(b.Put(background, "k", nil, []byte("v")))

		dropOnce(c)
		if r := must(t)(b.Get(background, "k")); values(r) != "v" {
			t.Errorf("a get whose connection was lost: %+v", r)
		}
		dropOnce(c)
		before := c.writes()
		_, err := b.Put(background, "k", nil, []byte("w"))
		e := wantError(t, err, client.KindUnavailable, client.AppliedUnknown)
		if c.writes() != before {
			t.Error("a put whose connection was lost was sent again")
		}
		if e.Op != "put" || e.Node == "" || !strings.Contains(e.Error(), "may have been applied") {
			t.Errorf("%+v: %v", e, e)
		}
	})
}

func TestRefusalByOneNode(t *testing.T) {
	fail := func(kind kv.Kind, applied kv.Applied) error {
		return &kv.Error{Op: "put", Kind: kind, Applied: applied, Err: errors.New("as asked for")}
	}
	for _, c := range []struct {
		name     string
		err      error
		get, put bool // it succeeds at another node
	}{
		{"unavailable, not applied", fail(kv.KindUnavailable, kv.AppliedNo), true, true},
		{"unavailable, unknown", fail(kv.KindUnavailable, kv.AppliedUnknown), true, false},
		{"disk full", fail(kv.KindDiskFull, kv.AppliedNo), true, true},
		{"shutting down", fail(kv.KindClosed, kv.AppliedNo), true, true},
		{"invalid", fail(kv.KindInvalid, kv.AppliedNo), false, false},
		{"overloaded", fail(kv.KindOverloaded, kv.AppliedNo), false, false},
		{"too late", fail(kv.KindTimeout, kv.AppliedUnknown), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(t, 2)
				b := cl.dial().Bucket("b")
				synctest.Wait()
				cl.nodes[0].setFault(refuse(c.err))
				for range 2 { // one of them begins at n1
					if _, err := b.Put(background, "k", nil, nil); err != nil {
						e := wantError(t, err, client.Kind(kv.KindOf(c.err).String()), client.Applied(kv.AppliedOf(c.err)))
						if c.put || e.Node != kv.NodeID('1').String() {
							t.Errorf("put at %s: %v", e.Node, err)
						}
					}
				}
				for range 2 {
					if _, err := b.Get(background, "k"); err != nil {
						wantError(t, err, client.Kind(kv.KindOf(c.err).String()), client.AppliedNo)
						if c.get {
							t.Errorf("get: %v", err)
						}
					}
				}
				want := uint64(1)
				if c.put {
					want = 2
				}
				if got := cl.writes(); got != want {
					t.Errorf("%d puts of 2 were applied, want %d", got, want)
				}
			})
		})
	}
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		b := c.dial().Bucket("b")
		c.nodes[0].setFault(hang)
		const tick = 10 * time.Millisecond // of its connection
		for _, timeout := range []time.Duration{time.Millisecond, 2 * time.Second, time.Minute} {
			began := time.Now()
			_, err := b.Put(background, "k", nil, nil, client.Timeout(timeout))
			wantError(t, err, client.KindTimeout, client.AppliedUnknown)
			if took := time.Since(began); took < timeout || took > timeout+tick {
				t.Errorf("with timeout %v it took %v", timeout, took)
			}
		}
		began := time.Now()
		_, err := b.Get(background, "k")
		wantError(t, err, client.KindTimeout, client.AppliedNo)
		if took := time.Since(began); took < 2*time.Second || took > 2*time.Second+tick {
			t.Errorf("without a timeout it took %v", took)
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		b := c.dial().Bucket("b")
		must(t)(b.Put(background, "right", nil, []byte("right")))
		var late wire.Request
		c.nodes[0].setFault(func(rq wire.Request) bool {
			late = rq
			return true
		})
		ctx, cancel := context.WithCancel(background)
		time.AfterFunc(100*time.Millisecond, cancel)
		began := time.Now()
		_, err := b.Put(ctx, "k", nil, nil)
		wantError(t, err, client.KindTimeout, client.AppliedUnknown)
		if took := time.Since(began); took != 100*time.Millisecond || !errors.Is(err, context.Canceled) {
			t.Errorf("after %v: %v", took, err)
		}
		// The answer that nobody waits for must not become another request's.
		c.nodes[0].setFault(func(wire.Request) bool {
			late.Reply.Send(&wire.Answer{Context: []byte("late")})
			return false
		})
		for range 10 {
			if r := must(t)(b.Get(background, "right")); values(r) != "right" {
				t.Errorf("got %+v", r)
			}
		}
	})
}

func TestNodeDiesAndReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		b := c.dial().Bucket("b")
		synctest.Wait()
		for _, n := range c.nodes {
			c.net.Kill(n.host)
			synctest.Wait()
			for range 10 {
				must(t)(b.Put(background, "k", nil, nil, client.ReturnBody(true)))
				must(t)(b.Get(background, "k"))
			}
			time.Sleep(time.Minute)
			c.serve(n, c.id)
			time.Sleep(2 * time.Second) // the longest pause between attempts
			half := func(when string) {
				before := n.requests()
				for range 10 {
					must(t)(b.Get(background, "k"))
				}
				if got := n.requests() - before; got != 5 {
					t.Errorf("%s %s got %d of 10 requests, want 5", n.host, when, got)
				}
			}
			half("after its return")
			c.net.Drop("here", n.host)
			time.Sleep(50 * time.Millisecond) // the shortest pause
			half("after a dropped connection")
		}
	})
}

func TestNoNodeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		b := c.dial().Bucket("b")
		synctest.Wait()
		for _, n := range c.nodes {
			c.net.Kill(n.host)
		}
		synctest.Wait()
		began := time.Now()
		_, err := b.Put(background, "k", nil, nil)
		wantError(t, err, client.KindUnavailable, client.AppliedNo)
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v, though all connections were known to be lost", took)
		}
	})
}

func TestSilentNodeIsRoutedAround(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		b := c.dial().Bucket("b")
		synctest.Wait()
		c.net.CutBoth("here", "n1")
		for range 2 { // one of them begins at n1, which seems to live
			must(t)(b.Get(background, "k"))
		}
		began := time.Now()
		for range 10 {
			must(t)(b.Get(background, "k"))
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("10 gets took %v after the silence was noticed", took)
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		cl := c.dial()
		b := cl.Bucket("b")
		synctest.Wait()
		for _, n := range c.nodes {
			n.setFault(hang)
		}
		var put, get error
		var callers sync.WaitGroup
		callers.Go(func() { _, put = b.Put(background, "k", nil, nil) })
		callers.Go(func() { _, get = b.Get(background, "k") })
		synctest.Wait()
		_ = cl.Close()
		callers.Wait()
		wantError(t, put, client.KindClosed, client.AppliedUnknown)
		wantError(t, get, client.KindClosed, client.AppliedNo)
		_, err := b.Put(background, "k", nil, nil)
		wantError(t, err, client.KindClosed, client.AppliedNo)
		_ = cl.Close()
	})
}

func TestDamagedAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		b := c.dial().Bucket("b")
		for _, answer := range []string{"\x00", "\x00\x00\x00\x09x", "\x00\x00\x00\x00no object"} {
			c.nodes[0].setFault(func(rq wire.Request) bool {
				rq.Reply.Send(wire.Raw(answer))
				return true
			})
			_, err := b.Put(background, "k", nil, nil)
			var e *client.Error
			if !errors.As(err, &e) || e.Applied != client.AppliedUnknown {
				t.Errorf("answer %q: %v", answer, err)
			}
		}
	})
}
