package client_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// asked returns how often the nodes were asked for the ring.
func (c *cluster) asked() int {
	sum := 0
	for _, n := range c.nodes {
		asked, _ := n.counts()
		sum += asked
	}
	return sum
}

// TestPolling: the ring is asked for every 10 s, give or take one, of the nodes in
// turn, and taken over.
func TestPolling(t *testing.T) {
	routed(t, ringOf(7, 3, 2, "md5"), 3, func(c *cluster, b *client.Bucket, cl *client.Client) {
		before := c.asked()
		time.Sleep(10 * time.Minute)
		if got := c.asked() - before; got < 55 || got > 67 {
			t.Errorf("asked %d times in 10 minutes", got)
		}
		for _, n := range c.nodes {
			if asked, _ := n.counts(); asked < 15 {
				t.Errorf("%s was asked %d times in 10 minutes", n.host, asked)
			}
		}
		c.setRing(ringOf(8, 3, 1, "md5"))
		time.Sleep(11 * time.Second)
		if s := cl.Stats(); s.Epoch != 8 {
			t.Errorf("%+v", s)
		}
	})
}

// TestStaleRing: an owner that is none any more refuses; another node takes the
// request, and the new ring is asked for at once.
func TestStaleRing(t *testing.T) {
	routed(t, ringOf(7, 5, 1, "md5"), 5, func(c *cluster, b *client.Bucket, cl *client.Client) {
		next := ringOf(8, 5, 1, "md5")
		for i := range next.Owners {
			next.Owners[i] = (next.Owners[i] + 1) % 5
		}
		time.Sleep(time.Second) // it was asked for just now
		c.setRing(next)
		before := c.asked()
		for _, key := range someKeys {
			must(t)(b.Put(background, key, nil, []byte(key)))
			synctest.Wait() // until the ring is there
			must(t)(b.Get(background, key))
		}
		if s := cl.Stats(); s.Epoch != 8 || c.asked() != before+1 {
			t.Errorf("asked %d times: %+v", c.asked()-before, s)
		}
		if got := c.passed(); got > 1 {
			t.Errorf("%d requests were passed on", got)
		}
	})
}

// TestHigherLevel: an answer that tells of a later epoch has the ring asked for at
// once.
func TestHigherLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.setRing(ringOf(7, 3, 2, "md5"))
		cl := c.dial()
		b := cl.Bucket("b")
		c.warm(t, b)
		time.Sleep(time.Second) // it was asked for just now
		before := c.asked()
		c.epoch.Store(8)
		c.setRing(ringOf(8, 3, 2, "md5"))
		must(t)(b.Get(background, "some"))
		synctest.Wait()
		if s := cl.Stats(); s.Epoch != 8 || c.asked() != before+1 {
			t.Errorf("asked %d times: %+v", c.asked()-before, s)
		}
		// One that the nodes do not tell of yet is asked for now and then.
		c.epoch.Store(9)
		for range 1000 {
			must(t)(b.Get(background, "some"))
			time.Sleep(time.Millisecond)
		}
		if got := c.asked() - before; got < 8 || got > 14 {
			t.Errorf("asked %d times within a second", got)
		}
	})
}

// TestOlderRingIsNotTaken: a node that is behind does not lead back.
func TestOlderRingIsNotTaken(t *testing.T) {
	routed(t, ringOf(7, 3, 2, "md5"), 3, func(c *cluster, b *client.Bucket, cl *client.Client) {
		for _, n := range c.nodes {
			n.tell(ringOf(6, 3, 1, "md5"))
		}
		time.Sleep(30 * time.Second)
		if s := cl.Stats(); s.Epoch != 7 {
			t.Errorf("%+v", s)
		}
	})
}

// TestRingUnderWay: of a partition that moves, puts go to all that take part, and
// gets to those that are read.
func TestRingUnderWay(t *testing.T) {
	m := ringOf(7, 5, 3, "md5")
	key := keyOf("some")
	p := partitionOf(m, key)
	was := m.Owners[3*int(p) : 3*int(p)+3]
	joiner := (was[2] + 1) % 5
	// The first owner leaves; the readers are the other two and the joiner.
	m.Moving = []wire.RingMove{{Partition: p, Readers: 0b1110, Owners: []uint16{was[0], was[1], was[2], joiner}}}
	host := func(at uint16) string { return m.Nodes[at].Peer }
	routed(t, m, 5, func(c *cluster, b *client.Bucket, _ *client.Client) {
		for range 200 {
			must(t)(b.Get(background, "some"))
		}
		if got := c.named(host(was[0])).requests(); got > 0 {
			t.Errorf("who is read no more got %d gets", got)
		}
		if got := c.named(host(was[1])).requests(); got < 190 {
			t.Errorf("the first that is read got %d of 200 gets", got)
		}
		c.net.Kill(host(was[0]))
		c.net.Kill(host(was[1]))
		c.net.Kill(host(was[2]))
		synctest.Wait()
		must(t)(b.Put(background, "some", nil, nil))
		if got := c.named(host(joiner)).requests(); got < 1 || c.passed() > 0 {
			t.Errorf("the joiner got %d requests, %d were passed on", got, c.passed())
		}
	})
}

// TestNodesComeAndGo: a node that the ring has no more is let go of, one that it
// has at another address is found there.
func TestNodesComeAndGo(t *testing.T) {
	routed(t, ringOf(7, 5, 1, "md5"), 1, func(c *cluster, b *client.Bucket, cl *client.Client) {
		four := ringOf(8, 4, 1, "md5")
		c.setRing(four)
		time.Sleep(11 * time.Second)
		if s := cl.Stats(); s.Nodes != 4 || s.Connections != 4 {
			t.Errorf("with one node less: %+v", s)
		}
		moved := ringOf(8, 4, 1, "md5")
		moved.Nodes[3].Peer = "elsewhere"
		c.net.Kill("n4")
		n4 := &node{model: c.model, host: "elsewhere", id: '4'}
		c.nodes[3] = n4
		c.serve(n4, c.id)
		for _, n := range c.nodes {
			n.tell(moved)
		}
		time.Sleep(11 * time.Second)
		for _, key := range someKeys {
			must(t)(b.Get(background, key))
		}
		time.Sleep(time.Second)
		before := n4.requests()
		for _, key := range someKeys {
			must(t)(b.Get(background, key))
		}
		if got := n4.requests() - before; got < 10 {
			t.Errorf("at its new address it got %d of 100 requests: %+v", got, cl.Stats())
		}
	})
}

// TestLoadWhileTheRingChanges: while the ring goes from one to the next, at some
// nodes earlier than at others, no request fails.
func TestLoadWhileTheRingChanges(t *testing.T) {
	routed(t, ringOf(7, 5, 3, "md5"), 2, func(c *cluster, b *client.Bucket, _ *client.Client) {
		stop := make(chan struct{})
		failed := make(chan error, 1000)
		for w := range 4 {
			go func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						failed <- nil
						return
					default:
					}
					if _, err := b.Get(background, fmt.Sprint(w, i)); err != nil {
						failed <- err
						return
					}
					time.Sleep(time.Millisecond)
				}
			}()
		}
		for epoch := range uint64(10) {
			next := ringOf(8+epoch, 5, 3, "md5")
			for i := range next.Owners {
				next.Owners[i] = (next.Owners[i] + uint16(epoch) + 1) % 5
			}
			for _, n := range c.nodes {
				n.setRing(next)
				time.Sleep(300 * time.Millisecond)
			}
		}
		close(stop)
		for range 4 {
			if err := <-failed; err != nil {
				t.Error(err)
			}
		}
	})
}

// TestOldNodesAreNotAskedForTheRing: to those the question would be a breach.
func TestOldNodesAreNotAskedForTheRing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 2)
		c.setRing(ringOf(7, 2, 2, "md5"))
		old := client.Dialer(downgraded(c.net.Host("here")))
		cl, err := client.Dial(background, c.addrs(), old)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		for range 10 {
			must(t)(cl.Bucket("b").Put(background, "some", nil, nil))
			time.Sleep(10 * time.Second)
		}
		if s := cl.Stats(); c.asked() > 0 || s.Routing || s.Around != 10 {
			t.Errorf("asked %d times: %+v", c.asked(), s)
		}
	})
}

// TestCloseLeaksNothing: the bubble of synctest fails if a goroutine is left.
func TestCloseLeaksNothing(t *testing.T) {
	for name, prepare := range map[string]func(c *cluster){
		"with a ring":      func(c *cluster) {},
		"with dead nodes":  func(c *cluster) { c.net.Kill("n2"); c.net.Kill("n4") },
		"amid a question":  func(c *cluster) { c.nodes[0].setFault(hang) },
		"with a stale one": func(c *cluster) { c.setRing(ringOf(9, 5, 1, "md5")); time.Sleep(10 * time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, 5)
				c.setRing(ringOf(7, 5, 2, "md5"))
				cl, err := client.Dial(background, c.addrs()[:1], c.dialer())
				if err != nil {
					t.Fatal(err)
				}
				b := cl.Bucket("b")
				for _, key := range someKeys {
					must(t)(b.Get(background, key))
				}
				prepare(c)
				time.Sleep(9900 * time.Millisecond)
				_ = cl.Close()
				_, err = b.Get(background, "some")
				wantError(t, err, client.KindClosed, client.AppliedNo)
				if s := cl.Stats(); s.Connections != 0 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestLimitOfNodes: the client connects to 256 nodes besides those that it was
// given; requests for the keys of one more are passed on.
func TestLimitOfNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 256
		c := newCluster(t, 0)
		m := wire.RingInfo{Epoch: 7, Partitioner: "md5", Partitions: 1024, Width: 1}
		for i := range most + 2 {
			n := &node{model: c.model, host: fmt.Sprintf("host-%d", i), id: kv.NodeID(i + 1)}
			c.nodes = append(c.nodes, n)
			m.Nodes = append(m.Nodes, wire.RingNode{ID: n.id, Up: true, Peer: n.host})
			c.serve(n, c.id)
		}
		for p := range m.Partitions {
			m.Owners = append(m.Owners, uint16(p%len(m.Nodes)))
		}
		c.setRing(m)
		cl, err := client.Dial(background, c.addrs()[:1], c.dialer())
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		for i := range 6000 { // 6 for each partition
			must(t)(cl.Bucket("b").Get(background, fmt.Sprint(i)))
		}
		time.Sleep(time.Second)
		if s := cl.Stats(); s.Connections != most+1 || s.Nodes != most+2 {
			t.Errorf("%+v", s)
		}
		before := c.passed()
		for i := range 6000 {
			must(t)(cl.Bucket("b").Get(background, fmt.Sprint(i)))
		}
		if got := c.passed() - before; got == 0 || got > 60 {
			t.Errorf("%d requests of 6,000 were passed on, one node of %d is not connected", got, most+2)
		}
	})
}
