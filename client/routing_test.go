package client_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// routed runs f with a client of a cluster that has a ring, and that was given the
// addresses of as many nodes; it has found all owners.
func routed(t *testing.T, m wire.RingInfo, given int, f func(c *cluster, b *client.Bucket, cl *client.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, len(m.Nodes))
		c.setRing(m)
		cl, err := client.Dial(background, c.addrs()[:given], c.dialer())
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		b := cl.Bucket("b")
		c.warm(t, b)
		f(c, b, cl)
	})
}

// TestRequestsGoToAnOwner: whoever was given, and whatever places the keys, no
// request has to be passed on, and the nodes share them evenly.
func TestRequestsGoToAnOwner(t *testing.T) {
	for _, partitioner := range []string{"md5", "crc16"} {
		for _, given := range []int{1, 5} {
			t.Run(fmt.Sprintf("%s, %d of 5 given", partitioner, given), func(t *testing.T) {
				routed(t, ringOf(7, 5, 3, partitioner), given, func(c *cluster, b *client.Bucket, cl *client.Client) {
					for _, key := range someKeys {
						seen := must(t)(b.Get(background, key)).Context
						must(t)(b.Put(background, key, seen, []byte("v")))
						must(t)(b.Delete(background, key, nil))
					}
					if passed := c.passed(); passed > 0 {
						t.Errorf("%d requests were passed on", passed)
					}
					for _, n := range c.nodes {
						if got := n.requests(); got < 20 {
							t.Errorf("%s got %d of 300 requests", n.host, got)
						}
					}
					s := cl.Stats()
					if !s.Routing || s.Epoch != 7 || s.Nodes != 5 || s.Connections != 5 || s.Straight < 300 {
						t.Errorf("%+v", s)
					}
				})
			})
		}
	}
}

// TestOneOwnerCoordinates: while all are alike, the first owner gets a key's
// requests, but for the few that look how the others are.
func TestOneOwnerCoordinates(t *testing.T) {
	routed(t, ringOf(7, 5, 3, "md5"), 5, func(c *cluster, b *client.Bucket, _ *client.Client) {
		m := ringOf(7, 5, 3, "md5")
		owners := ownersOf(m, keyOf("some"))
		for range 640 {
			must(t)(b.Get(background, "some"))
		}
		first := c.named(owners[0]).requests()
		if first < 620 || first == 640 {
			t.Errorf("the first owner got %d of 640 requests; some are to look at the others, few", first)
		}
	})
}

func keyOf(key string) kv.Key { return kv.AppendKey(nil, "b", []byte(key)) }

// slow is a fault: answers take that long.
func (n *node) slow(took time.Duration) {
	n.setFault(func(rq wire.Request) bool {
		if rq.Type == wire.TypeRing {
			return false
		}
		rq.Payload = slices.Clone(rq.Payload)
		go func() {
			time.Sleep(took)
			n.serve(rq)
		}()
		return true
	})
}

// TestSlowOwnerIsPassedOver, and used again once it is fast.
func TestSlowOwnerIsPassedOver(t *testing.T) {
	routed(t, ringOf(7, 5, 3, "md5"), 5, func(c *cluster, b *client.Bucket, _ *client.Client) {
		owner := c.named(ownersOf(ringOf(7, 5, 3, "md5"), keyOf("some"))[0])
		gets := func() int {
			before := owner.requests()
			for range 1000 {
				must(t)(b.Get(background, "some"))
			}
			time.Sleep(time.Second) // late answers come in
			return owner.requests() - before
		}
		owner.slow(50 * time.Millisecond)
		if got := gets(); got > 20 {
			t.Errorf("an owner that takes 50 ms got %d of 1000 gets", got)
		}
		owner.setFault(nil)
		for range 20 {
			gets()
		}
		if got := gets(); got < 900 {
			t.Errorf("once it is fast again, it got %d of 1000 gets", got)
		}
	})
}

// TestPutPrefersTheFastestReader: the context of a get names it.
func TestPutPrefersTheFastestReader(t *testing.T) {
	routed(t, ringOf(7, 5, 3, "md5"), 5, func(c *cluster, b *client.Bucket, _ *client.Client) {
		for _, host := range ownersOf(ringOf(7, 5, 3, "md5"), keyOf("some")) {
			seen, err := c.sealer.AppendSealed(nil, object.Context{Fastest: kv.NodeID(host[1])})
			if err != nil {
				t.Fatal(err)
			}
			before := c.named(host).requests()
			for range 100 {
				must(t)(b.Put(background, "some", seen, nil))
				c.forget()
			}
			if got := c.named(host).requests() - before; got < 95 {
				t.Errorf("%s got %d of 100 puts whose context names it", host, got)
			}
		}
		seen, _ := c.sealer.AppendSealed(nil, object.Context{Fastest: 99})
		must(t)(b.Put(background, "some", seen, nil))
	})
}

// TestDeadOwnerIsPassedOver: at once, without an error, and it is used when it is
// back.
func TestDeadOwnerIsPassedOver(t *testing.T) {
	for _, given := range []int{1, 5} {
		t.Run(fmt.Sprintf("%d of 5 given", given), func(t *testing.T) {
			routed(t, ringOf(7, 5, 3, "md5"), given, func(c *cluster, b *client.Bucket, _ *client.Client) {
				dead := c.nodes[4]
				c.net.Kill(dead.host)
				synctest.Wait()
				began := time.Now()
				for _, key := range someKeys {
					must(t)(b.Put(background, key, nil, nil))
					must(t)(b.Get(background, key))
				}
				if took := time.Since(began); took > 0 || c.passed() > 0 {
					t.Errorf("it took %v, and %d requests were passed on", took, c.passed())
				}
				time.Sleep(time.Minute)
				c.serve(dead, c.id)
				time.Sleep(2 * time.Second) // the longest pause between attempts
				before := dead.requests()
				for _, key := range someKeys {
					must(t)(b.Get(background, key))
				}
				if got := dead.requests() - before; got < 10 {
					t.Errorf("after its return it got %d of 100 gets", got)
				}
			})
		})
	}
}

// TestAllOwnersDead: then any node is good enough, for it knows who stands in.
func TestAllOwnersDead(t *testing.T) {
	routed(t, ringOf(7, 5, 2, "md5"), 5, func(c *cluster, b *client.Bucket, _ *client.Client) {
		for _, host := range ownersOf(ringOf(7, 5, 2, "md5"), keyOf("some")) {
			c.net.Kill(host)
		}
		synctest.Wait()
		must(t)(b.Put(background, "some", nil, []byte("v")))
		if r := must(t)(b.Get(background, "some")); values(r) != "v" || c.passed() != 2 {
			t.Errorf("%+v; %d requests passed on, want 2", r, c.passed())
		}
	})
}

// TestNodeThatOthersDoNotReachIsDoubted: it is asked only if no other owner can.
func TestNodeThatOthersDoNotReachIsDoubted(t *testing.T) {
	m := ringOf(7, 3, 3, "md5")
	m.Nodes[1].Up = false
	routed(t, m, 3, func(c *cluster, b *client.Bucket, _ *client.Client) {
		for _, key := range someKeys {
			must(t)(b.Get(background, key))
		}
		if got := c.nodes[1].requests(); got > 0 {
			t.Errorf("it got %d requests", got)
		}
		c.net.Kill("n1")
		c.net.Kill("n3")
		synctest.Wait()
		must(t)(b.Get(background, "some"))
		if got := c.nodes[1].requests(); got != 1 {
			t.Errorf("as the only one it got %d requests of 1", got)
		}
	})
}

// TestRefusingOwnerIsSpared: an owner that refuses for a trouble of its own is
// passed over for a second; another takes the request.
func TestRefusingOwnerIsSpared(t *testing.T) {
	for _, kind := range []kv.Kind{kv.KindUnavailable, kv.KindDiskFull, kv.KindStorage, kv.KindOverloaded, kv.KindHintsFull, kv.KindCorrupt} {
		t.Run(kind.String(), func(t *testing.T) {
			routed(t, ringOf(7, 3, 3, "md5"), 3, func(c *cluster, b *client.Bucket, _ *client.Client) {
				c.nodes[0].setFault(refuse(kv.Errorf(kind, "put", "as asked for")))
				for _, key := range someKeys {
					must(t)(b.Put(background, key, nil, nil))
				}
				if got := c.nodes[0].requests(); got != 1 {
					t.Errorf("it was asked %d times within a second", got)
				}
				time.Sleep(time.Second + time.Millisecond)
				c.nodes[0].setFault(nil)
				for _, key := range someKeys {
					must(t)(b.Put(background, key, nil, nil))
				}
				if got := c.nodes[0].requests(); got < 10 {
					t.Errorf("after a second it got %d of 100 requests", got)
				}
			})
		})
	}
}

// TestAttemptsAreBounded: two owners, and then any node.
func TestAttemptsAreBounded(t *testing.T) {
	routed(t, ringOf(7, 5, 3, "md5"), 5, func(c *cluster, b *client.Bucket, _ *client.Client) {
		for _, n := range c.nodes {
			n.setFault(refuse(kv.Errorf(kv.KindUnavailable, "put", "too few nodes")))
		}
		began := time.Now()
		_, err := b.Put(background, "some", nil, nil)
		wantError(t, err, client.KindUnavailable, client.AppliedNo)
		sum, straight := 0, 0
		for _, n := range c.nodes {
			sum += n.requests()
			for _, p := range n.mu.puts {
				if p.Flags&wire.FlagForwarded != 0 {
					straight++
				}
			}
		}
		if sum != 3 || straight != 2 {
			t.Errorf("%d attempts, %d of them straight to an owner; want 3 and 2", sum, straight)
		}
		if took := time.Since(began); took < 10*time.Millisecond || took > 20*time.Millisecond {
			t.Errorf("it took %v, with a pause of 10 to 20 ms before the last attempt", took)
		}
		_, err = b.Put(background, "some", nil, nil, client.Timeout(5*time.Millisecond))
		wantError(t, err, client.KindUnavailable, client.AppliedNo)
		ctx, cancel := context.WithCancel(background)
		time.AfterFunc(5*time.Millisecond, cancel)
		_, err = b.Put(ctx, "some", nil, nil)
		wantError(t, err, client.KindUnavailable, client.AppliedNo)
	})
}

// TestPutThatMayBeAppliedIsNotSentAgain, whatever the ring says.
func TestPutThatMayBeAppliedIsNotSentAgain(t *testing.T) {
	routed(t, ringOf(7, 5, 3, "md5"), 5, func(c *cluster, b *client.Bucket, _ *client.Client) {
		for _, n := range c.nodes {
			n.setFault(refuse(&kv.Error{Op: "put", Kind: kv.KindUnavailable, Applied: kv.AppliedUnknown}))
		}
		_, err := b.Put(background, "some", nil, nil)
		wantError(t, err, client.KindUnavailable, client.AppliedUnknown)
		sum := 0
		for _, n := range c.nodes {
			sum += n.requests()
		}
		if sum != 1 {
			t.Errorf("it was sent %d times", sum)
		}
	})
}

// TestServerDriven: then nobody is asked for the ring, and requests take turns.
func TestServerDriven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 5)
		c.setRing(ringOf(7, 5, 3, "md5"))
		cl := c.dial(client.ServerDriven())
		synctest.Wait()
		b := cl.Bucket("b")
		for range 100 {
			must(t)(b.Get(background, "some"))
		}
		for _, n := range c.nodes {
			if asked, _ := n.counts(); asked > 0 || n.requests() != 20 {
				t.Errorf("%s was asked for the ring %d times, and got %d of 100 requests", n.host, asked, n.requests())
			}
		}
		if s := cl.Stats(); s.Routing || s.Straight != 0 || s.Around != 100 {
			t.Errorf("%+v", s)
		}
	})
}

// TestWithoutARing: a client works all the same with nodes that have none yet, or
// whose ring it cannot read, and takes the ring up once there is one.
func TestWithoutARing(t *testing.T) {
	strange := ringOf(7, 3, 3, "sha3")
	large := ringOf(7, 3, 3, "crc16")
	large.Partitions, large.Owners = 1<<15, make([]uint16, 3<<15)
	for _, c := range []struct {
		name string
		ring *wire.RingInfo
	}{{"no ring", nil}, {"an unknown partitioner", &strange}, {"more partitions than slots", &large}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cl := newCluster(t, 3)
				if c.ring != nil {
					for _, n := range cl.nodes {
						n.tell(*c.ring)
					}
				}
				began := time.Now()
				conn := cl.dial()
				if took := time.Since(began); took > 0 {
					t.Errorf("Dial took %v", took)
				}
				b := conn.Bucket("b")
				must(t)(b.Put(background, "k", nil, []byte("v")))
				if s := conn.Stats(); s.Routing || s.Around != 1 {
					t.Errorf("%+v", s)
				}
				cl.setRing(ringOf(8, 3, 3, "md5"))
				time.Sleep(12 * time.Second)
				must(t)(b.Get(background, "k"))
				if s := conn.Stats(); !s.Routing || s.Straight != 1 {
					t.Errorf("after there was one: %+v", s)
				}
			})
		})
	}
}

// TestSilenceAboutTheRing: a node that does not answer holds Dial up for a second
// at most.
func TestSilenceAboutTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1)
		c.nodes[0].setFault(func(rq wire.Request) bool { return rq.Type == wire.TypeRing })
		began := time.Now()
		b := c.dial().Bucket("b")
		if took := time.Since(began); took > time.Second {
			t.Errorf("Dial took %v", took)
		}
		must(t)(b.Put(background, "k", nil, nil))
	})
}

// TestAddressesThatCannotBeDialled: the nodes advertise what only they can reach,
// or where another node answers; then those that were given pass requests on.
func TestAddressesThatCannotBeDialled(t *testing.T) {
	for name, peer := range map[string]func(host string) string{
		"nowhere":      func(host string) string { return "10.0.0." + host[1:] },
		"another node": func(string) string { return "n1" },
		"no address":   func(string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, 5)
				m := ringOf(7, 5, 3, "md5")
				c.setRing(m)
				told := ringOf(7, 5, 3, "md5")
				for i := range told.Nodes {
					told.Nodes[i].Peer = peer(told.Nodes[i].Peer)
				}
				for _, n := range c.nodes {
					n.tell(told)
				}
				var attempts atomic.Int32
				host := c.net.Host("here")
				cl, err := client.Dial(background, c.addrs()[:1], client.Dialer(func(ctx context.Context, addr string) (net.Conn, error) {
					attempts.Add(1)
					return host.Dial(ctx, addr)
				}))
				if err != nil {
					t.Fatal(err)
				}
				defer cl.Close()
				b := cl.Bucket("b")
				for range 10 {
					for _, key := range someKeys {
						must(t)(b.Put(background, key, nil, nil))
					}
					time.Sleep(time.Minute)
				}
				if s := cl.Stats(); s.Connections != 1 || s.Straight == 0 || s.Around == 0 {
					t.Errorf("%+v", s)
				}
				if n := attempts.Load(); n > 4*40 {
					t.Errorf("%d attempts to connect in 10 minutes", n)
				}
			})
		})
	}
}
