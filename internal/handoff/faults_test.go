package handoff

import (
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/storage"
	"github.com/ringtaildb/ringtail/internal/storage/pebble"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// TestStandInCrashes: hints that were accepted durably outlive a power loss of
// the stand-in in the middle of a session, and those that were not delivered yet
// are, by the next process.
func TestStandInCrashes(t *testing.T) {
	open := func(fs vfs.FS) storage.Engine {
		c := pebble.Default()
		c.Dir, c.FS = "data", fs
		c.CacheBytes, c.MemTableBytes = 1<<20, 64<<10
		c.Ticks = make(chan time.Time)
		c.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
		e, err := pebble.Open(c)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	const hints = 200
	c := newCluster(t, 5, Default())
	standIn, owner := c.node(1), c.node(2)
	disk := vfs.NewCrashableMem()
	before := open(disk)
	standIn.engine = before
	standIn.start()
	c.goDown(2)
	all := standIn.fill(2, hints, "value")
	if err := standIn.engine.Sync(); err != nil {
		t.Fatal(err)
	}
	c.comeUp(2)
	c.pass(50 * time.Millisecond)
	for range 200 {
		c.deliver(0)
	}
	left := c.hints()
	if left == 0 || left == hints {
		t.Fatalf("%d of %d are left", left, hints)
	}
	standIn.engine = open(disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0, RNG: rand.New(rand.NewPCG(1, 1))}))
	standIn.start()
	if n := c.hints(); n < left || n > hints {
		t.Errorf("%d hints before the crash, %d after it", left, n)
	}
	c.settle(time.Minute)
	if n := owner.lacks(all); n != 0 {
		t.Errorf("the owner lacks %d", n)
	}
	c.rested()
	_, _ = before.Close(), standIn.engine.Close()
}

// TestOmissions: each rule, left out, loses what its test shows to be kept.
func TestOmissions(t *testing.T) {
	play := func(omit Omit, faults func(c *cluster, standIn, owner *node, k kv.Key) object.Object) (lost bool) {
		cfg := Default()
		cfg.Omit = omit
		c, standIn, owner, all := away(t, 1, cfg)
		c.comeUp(2)
		c.pass(50 * time.Millisecond)
		last := faults(c, standIn, owner, all[0].k)
		for range 1000 {
			c.pass(50 * time.Millisecond)
			c.run()
		}
		return !owner.has(all[0].k, all[0].o) || last.Bytes() != nil && !owner.has(all[0].k, last)
	}
	for name, f := range map[string]struct {
		omit   Omit
		faults func(c *cluster, standIn, owner *node, k kv.Key) object.Object
	}{
		"the message is lost": {OmitAck, func(c *cluster, _, _ *node, _ kv.Key) (none object.Object) {
			c.runTo("handoff")
			c.drop("handoff")
			return none
		}},
		"the hint changes under way": {OmitVersion, func(c *cluster, standIn, _ *node, k kv.Key) object.Object {
			c.runTo("ack")
			return standIn.hint(2, k, "later")
		}},
		"the owner loses its directory after the ack": {OmitBoot, func(c *cluster, _, owner *node, _ kv.Key) (none object.Object) {
			c.runTo("ack")
			c.deliver(0)
			owner.engine = newMemory(t)
			owner.start()
			return none
		}},
		"the owner loses its buffers": {OmitDurable, func(c *cluster, _, owner *node, _ kv.Key) (none object.Object) {
			owner.slow.slow = true
			c.run()
			owner.engine = newMemory(t)
			owner.start()
			return none
		}},
	} {
		if play(0, f.faults) {
			t.Errorf("%s: it is lost", name)
		}
		if !play(f.omit, f.faults) {
			t.Errorf("%s: nothing is lost though a rule is left out", name)
		}
	}
}

// TestRefusals: what is no hint is refused.
func TestRefusals(t *testing.T) {
	c := newCluster(t, 3, Default())
	k := c.keyOf(0, nil, nil)
	o := c.node(1).hint(2, k, "value")
	whole := (&wire.Handoff{Key: k, Object: o.Bytes()}).AppendTo(nil)
	for name, req := range map[string]struct {
		wire.Request
		want kv.Kind
	}{
		"another type":      {wire.Request{Type: wire.TypeExchange, Payload: whole}, kv.KindInvalid},
		"cut":               {wire.Request{Type: wire.TypeHandoff, Payload: whole[:len(whole)-1]}, kv.KindInvalid},
		"no key":            {wire.Request{Type: wire.TypeHandoff, Payload: []byte{0, 0}}, kv.KindInvalid},
		"a disk that fails": {wire.Request{Type: wire.TypeHandoff, Payload: whole}, kv.KindStorage},
	} {
		if name == "a disk that fails" {
			c.node(2).slow.fail = kv.Errorf(kv.KindStorage, "apply batch", "broken")
		}
		var got error
		done := completion(func(err error) { got = err })
		back := &responder{caller: c.node(1).process, callee: c.node(2).process, done: done}
		req.Reply = wire.Reply{To: back, Type: req.Type}
		c.node(2).sender.Handle(req.Request)
		c.run()
		if got == nil || kv.KindOf(got) != req.want {
			t.Errorf("%s: %v", name, got)
		}
		c.node(2).slow.fail = nil
	}
	c.rested()
}

type completion func(err error)

func (f completion) Complete(_ uint32, _ wire.Response, err error) { f(err) }

// TestAnyOrder plays random hints, changes, losses and restarts, and then lets
// things heal: every hint that was accepted is at an owner.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := Default()
		cfg.Window, cfg.Rate, cfg.Timeout = 3, 20_000, time.Second
		c := newCluster(t, 4, cfg)
		var all []written
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			id := kv.NodeID(rapid.IntRange(2, 4).Draw(rt, "node"))
			n := c.node(id)
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0, 1:
				from := c.node(kv.NodeID(rapid.IntRange(1, 4).Draw(rt, "stand-in")))
				k := c.keyOf(rapid.IntRange(0, 3).Draw(rt, "key"), []kv.NodeID{id}, nil)
				all = append(all, written{k, from.hint(id, k, "value")})
			case 2:
				if n.down {
					c.comeUp(id)
				} else {
					c.goDown(id)
				}
			case 3:
				n.start()
			case 4:
				n.full = !n.full
			case 5:
				c.drop(rapid.SampledFrom([]string{"handoff", "ack", "refusal"}).Draw(rt, "lost"))
			case 6:
				c.pass(rapid.SampledFrom([]time.Duration{10 * time.Millisecond, 100 * time.Millisecond, 2 * time.Second}).Draw(rt, "pass"))
			case 7, 8:
				for range rapid.IntRange(1, 9).Draw(rt, "deliveries") {
					if len(c.pending) > 0 {
						c.deliver(rapid.IntRange(0, len(c.pending)-1).Draw(rt, "which"))
					}
				}
			case 9:
				n.slow.slow = !n.slow.slow
				n.slow.sync()
			}
		}
		for _, n := range c.nodes {
			n.full, n.slow.slow = false, false
			n.slow.sync()
			c.comeUp(n.id)
		}
		c.settle(2 * time.Minute)
		c.pass(2 * cfg.Timeout) // for answers that were lost
		c.run()
		for _, w := range all {
			held := false
			for _, id := range c.ring.Owners(c.ring.PartitionOf(w.k)) {
				held = held || c.node(id).has(w.k, w.o)
			}
			if !held {
				rt.Errorf("what was written of %v is at no owner", w.k)
			}
		}
		c.rested()
	})
}

// threads is a Background and a network of goroutines.
type threads struct {
	*process
	wg      *sync.WaitGroup
	senders map[kv.NodeID]*Sender
}

func (p threads) Go(task func()) bool {
	p.wg.Go(task)
	return true
}

func (p threads) Call(to kv.NodeID, call wire.Call, m wire.Appender, done wire.Completion, tag uint32) {
	payload := m.AppendTo(nil)
	p.wg.Go(func() {
		p.senders[to].Handle(wire.Request{
			Type: call.Type, From: p.id, Level: call.Level, Payload: payload, Reply: wire.Reply{To: direct{done, tag}, Type: call.Type},
		})
	})
}

type direct struct {
	done wire.Completion
	tag  uint32
}

func (d direct) Respond(_ uint64, _ wire.Type, f wire.Flags, m wire.Appender) {
	if f&wire.FlagError != 0 {
		d.done.Complete(d.tag, wire.Response{}, wire.ParseError(m.AppendTo(nil)))
		return
	}
	d.done.Complete(d.tag, wire.Response{Payload: m.AppendTo(nil)}, nil)
}

// TestManyGoroutines drives a Sender from all sides at once, for the race
// detector.
func TestManyGoroutines(t *testing.T) {
	c := newCluster(t, 3, Default())
	var wg sync.WaitGroup
	senders := map[kv.NodeID]*Sender{}
	for _, n := range c.nodes {
		deps := n.sender.Deps
		side := threads{n.process, &wg, senders}
		deps.Peers, deps.Background, deps.Now = side, side, time.Now
		senders[n.id] = New(n.cfg, deps)
	}
	const hints = 500
	var all []written
	for i := range hints {
		k := kv.AppendKey(nil, "b", fmt.Appendf(nil, "key%05d", i))
		all = append(all, written{k, c.node(1).hint(kv.NodeID(2+i%2), k, "value")})
	}
	for c.hints() > 0 {
		for _, s := range senders {
			wg.Go(func() { s.Tick(time.Now()); s.PeerUp(2); s.Status(); s.Totals() })
		}
		runtime.Gosched()
	}
	wg.Wait()
	for i, w := range all {
		if !c.node(kv.NodeID(2+i%2)).has(w.k, w.o) {
			t.Errorf("%v is lost", w.k)
		}
	}
	if got := senders[1].Totals(); got.Delivered != hints {
		t.Errorf("counted %+v", got)
	}
}

// BenchmarkDelivery hands 1000 hints of 1 KiB over, both sides in one goroutine
// and in memory, without a limit of the rate.
func BenchmarkDelivery(b *testing.B) {
	const hints = 1000
	cfg := Default()
	cfg.Rate = 1 << 40
	for b.Loop() {
		b.StopTimer()
		c := newCluster(b, 5, cfg)
		c.node(1).fill(2, hints, strings.Repeat("v", 1024))
		b.StartTimer()
		c.settle(time.Minute)
	}
	b.ReportMetric(hints*float64(b.N)/b.Elapsed().Seconds(), "hints/s")
}
