package membership

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
)

var testParams = ring.Params{N: 3, R: 2, W: 2, Q: 16}

// testNode is a node in a bubble: a Service that runs on a fabric, with hooks
// that stand for the rest of the node.
type testNode struct {
	*Service
	t       *testing.T
	cfg     Config
	fs      *vfs.MemFS
	link    *link
	journal *journal
	cancel  context.CancelFunc
	// ended takes what Run returned.
	ended chan error

	// idle keeps the node's mover from doing anything.
	idle atomic.Bool
	// wake wakes the mover.
	wake chan struct{}
	// away are the nodes that this one does not reach, by their ids.
	away sync.Map
	// ahead is how far the node's clock is from everybody's.
	ahead atomic.Int64
}

// address of the node i, and of its ports.
func peerAddr(i int) string   { return fmt.Sprintf("10.0.0.%d:7401", i) }
func gossipAddr(i int) string { return fmt.Sprintf("10.0.0.%d:7402", i) }
func host(i int) []string     { return []string{fmt.Sprintf("10.0.0.%d", i)} }

// newNode returns the node i, named n<i>, with an empty disk; it is not open.
func newNode(t *testing.T, f *fabric, i int, change func(*Config)) *testNode {
	n := &testNode{t: t, fs: vfs.NewCrashableMem(), link: &link{f: f, addr: peerAddr(i)}, wake: make(chan struct{}, 1)}
	n.cfg = Default()
	n.cfg.Dir, n.cfg.Name = "/data", fmt.Sprintf("n%d", i)
	n.cfg.Addrs = Addresses{Peer: peerAddr(i), Gossip: gossipAddr(i)}
	if change != nil {
		change(&n.cfg)
	}
	return n
}

func creating(c *Config) { c.Create = &testParams }

func seededBy(seeds ...int) func(*Config) {
	return func(c *Config) {
		for _, i := range seeds {
			c.Seeds = append(c.Seeds, gossipAddr(i))
		}
	}
}

func (n *testNode) open() error {
	n.journal = &journal{}
	s, err := Open(n.cfg, Deps{
		FS: n.fs, Peers: n.link, Listen: n.link.f.listen, Log: slog.New(n.journal),
		Now: func() time.Time { return time.Now().Add(time.Duration(n.ahead.Load())) },
		Away: func(id kv.NodeID) time.Time {
			since, _ := n.away.Load(id)
			t, _ := since.(time.Time)
			return t
		},
		Hooks: Hooks{
			Moved: func() {
				select {
				case n.wake <- struct{}{}:
				default:
				}
			},
		},
	})
	if err != nil {
		return err
	}
	n.Service = s
	n.link.f.plug(n.link, s)
	return nil
}

// run opens the node and starts it.
func (n *testNode) run() {
	n.t.Helper()
	if err := n.open(); err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.ended = make(chan error, 1)
	go func() { n.ended <- n.Service.Run(ctx) }()
	go n.move(ctx, n.Service)
}

// move stands for what moves data: there is none, so that every step is done.
func (n *testNode) move(ctx context.Context, s *Service) {
	for {
		if c := s.Current(); c != nil && c.Progress != nil && !n.idle.Load() {
			if err := s.Mark(c.Progress, marksOf(c.Progress, s.ID())); err != nil {
				n.t.Error(err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
		}
	}
}

// marksOf returns all that a node has to say of a transition.
func marksOf(p *ring.Progress, id kv.NodeID) (out []ring.Mark) {
	for q := range p.From().Params().Q {
		for k, step := range p.Steps(kv.Partition(q)) {
			if place := step.Place(id); place >= 0 {
				out = append(out, ring.Mark{Step: p.Index(kv.Partition(q), k), Marks: ring.MarkDone(place) | ring.MarkStage2(place)})
			}
		}
	}
	return out
}

// stop ends the node and returns what Run returned.
func (n *testNode) stop() error {
	n.t.Helper()
	n.cancel()
	err := <-n.ended
	n.ended <- err
	n.link.f.unplug(n.link)
	if err := n.Service.Close(); err != nil {
		n.t.Error(err)
	}
	return err
}

// restart stops the node and starts it on what its disk would hold after a
// crash.
func (n *testNode) restart() {
	n.t.Helper()
	if err := n.stop(); err != nil {
		n.t.Errorf("%s: Run returned %v", n.cfg.Name, err)
	}
	n.fs = n.fs.CrashClone(vfs.CrashCloneCfg{})
	n.run()
}

// bubble runs a test in virtual time, and then lets memberlist's probes that
// are under way run out: it does not wait for them itself.
func bubble(t *testing.T, test func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		test(t)
		time.Sleep(time.Minute)
	})
}

// kill ends the node without a word to anybody.
func (n *testNode) kill() {
	n.t.Helper()
	alone := func(cut bool) {
		for i := 1; i <= 9; i++ {
			n.link.f.isolate(cut, []string{hostOf(n.link.addr)}, host(i))
		}
	}
	alone(true)
	if err := n.stop(); err != nil {
		n.t.Errorf("%s: Run returned %v", n.cfg.Name, err)
	}
	alone(false)
	n.fs = n.fs.CrashClone(vfs.CrashCloneCfg{})
}

// eventually waits, in the bubble's time, until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 600 {
		synctest.Wait()
		if ok() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("not within a minute: %s", what)
}

// agreed says whether all nodes have the same state, of so many members.
func agreed(members int, nodes ...*testNode) func() bool {
	return func() bool {
		for _, n := range nodes {
			if n.State().hashes != nodes[0].State().hashes || len(n.State().Members()) != members {
				return false
			}
		}
		return true
	}
}

// sees says whether every one of nodes takes every other for alive.
func sees(nodes ...*testNode) func() bool {
	return func() bool {
		for _, n := range nodes {
			up := 0
			for _, m := range n.Members() {
				if m.Up {
					up++
				}
			}
			if up != len(nodes) {
				return false
			}
		}
		return true
	}
}

// cluster runs n1, which creates a cluster, and n2 … n<count>, which join it.
func cluster(t *testing.T, f *fabric, count int) []*testNode {
	t.Helper()
	nodes := []*testNode{newNode(t, f, 1, creating)}
	for i := 2; i <= count; i++ {
		nodes = append(nodes, newNode(t, f, i, seededBy(1)))
	}
	for _, n := range nodes {
		n.run()
	}
	eventually(t, "the nodes agree", agreed(count, nodes...))
	eventually(t, "the nodes see each other", sees(nodes...))
	return nodes
}

// stopAll ends the nodes, which must not have failed.
func stopAll(t *testing.T, nodes ...*testNode) {
	t.Helper()
	for _, n := range nodes {
		if err := n.stop(); err != nil {
			t.Errorf("%s: Run returned %v", n.cfg.Name, err)
		}
	}
}

func statusOf(n *testNode, name string) Status {
	for _, m := range n.Members() {
		if m.Name == name {
			return m.Status
		}
	}
	return StatusNone
}
