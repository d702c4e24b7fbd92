package coordinator

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// scattered is an instant whose peers answer from goroutines of their own: what
// they were asked for, something else, or not at all.
type scattered struct {
	*instant
	newer []byte
	// stale has one in eight refuse because the ring has changed.
	stale bool
	calls sync.WaitGroup
}

func (s *scattered) Call(to kv.NodeID, call wire.Call, m wire.Appender, done wire.Completion, tag uint32) {
	payload := m.AppendTo(nil)
	s.calls.Go(func() {
		n := rand.IntN(8)
		var answer []byte
		switch {
		case n == 0:
			done.Complete(tag, wire.Response{}, errDown(to))
			return
		case n == 7 && s.stale:
			done.Complete(tag, wire.Response{}, kv.Errorf(kv.KindStaleRing, "serve", "no"))
			return
		case call.Type == wire.TypeReplicaPut:
			if n == 1 {
				done.Complete(tag, wire.Response{Payload: []byte{byte(wire.AckApplied)}, Interim: true}, nil)
			}
			answer = []byte{byte(wire.AckDurable)}
		case n == 1:
			answer = (&wire.ReplicaCopy{Copy: wire.CopyAbsent}).AppendTo(nil)
		case n < 4:
			answer = (&wire.ReplicaCopy{Copy: wire.CopyObject, Object: s.newer}).AppendTo(nil)
		default:
			answer = (&wire.ReplicaCopy{Copy: wire.CopySame}).AppendTo(nil)
		}
		done.Complete(tag, wire.Response{Payload: answer}, nil)
		clear(answer)
		clear(payload)
	})
}

// once is a Receiver that reads what it is told.
type once struct {
	t    *testing.T
	told chan struct{}
}

func (o *once) Receive(a wire.Answer, err error) {
	if err == nil && len(a.Object) > 0 {
		if _, err := object.Parse(a.Object); err != nil {
			o.t.Error(err)
		}
	}
	o.told <- struct{}{}
}

// steps is a cluster that is on its way to another ring.
type steps struct {
	*scattered
	cur *ring.Current
	mu  sync.Mutex
	// left are the marks that are still to come for the partition p.
	p    kv.Partition
	left []func()
}

func (s *steps) Current() *ring.Current { return s.cur }

// moves makes the next mark.
func (s *steps) moves() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.left) > 0 {
		s.left[0]()
		s.left = s.left[1:]
	}
}

// newSteps returns the cluster of s on its way to a ring in which each owner of
// key but one is another.
func newSteps(t *testing.T, s *scattered, key kv.Key) *steps {
	from := s.cur.Ring
	p := from.PartitionOf(key)
	nodes := slices.Clone(from.Nodes())
	for i := range nodes {
		if slices.Contains(from.Owners(p)[1:], nodes[i].ID) {
			nodes[i].ID += 100
		}
	}
	slices.SortFunc(nodes, func(a, b ring.Node) int { return int(a.ID) - int(b.ID) })
	to, err := ring.Claim(from, from.Params(), 2, nodes)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := ring.NewTransition(from, to, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := &steps{scattered: s, cur: &ring.Current{Ring: from, Progress: ring.NewProgress(tr)}, p: p}
	for k, step := range tr.Steps(p) {
		for _, mark := range []func(int) ring.Marks{ring.MarkDone, ring.MarkStage2} {
			for place := range step.Union {
				all.left = append(all.left, func() { all.cur.Progress.Add(tr.Index(p, k), mark(place)) })
			}
		}
	}
	return all
}

// TestConcurrentAnswersInSteps is TestConcurrentAnswers while the ring changes.
func TestConcurrentAnswersInSteps(t *testing.T) {
	s := &scattered{stale: true}
	c, key := newInstant(t, 6, false)
	s.instant = c.Local.(*instant)
	s.newer = s.object
	c.Peers = s
	cluster := newSteps(t, s, key)
	c.Cluster = cluster
	if n := len(cluster.left); n < 12 {
		t.Fatalf("%d marks are to come, want those of several steps", n)
	}
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for i := range 300 {
				to := &once{t: t, told: make(chan struct{}, 2)}
				if i%2 == 0 {
					c.Get(Request{Key: key, Options: opts(int8(1+i%3), 1, 1)}, to)
				} else {
					c.Put(Request{Key: key, Options: opts(1, int8(1+i%3), int8(i%3))}, to)
				}
				if i%10 == 0 {
					cluster.moves()
					c.Moved()
				}
				c.Expire(time.Now().Add(rand.N(2 * kv.DefaultTimeout)))
				c.Expire(time.Now().Add(2 * kv.DefaultTimeout))
				<-to.told
			}
		})
	}
	callers.Wait()
	s.calls.Wait()
	c.Expire(time.Now().Add(2 * kv.DefaultTimeout))
	s.calls.Wait()
	if n := c.InFlight(); n != 0 || c.parked.Load() != 0 {
		t.Errorf("%d requests wait, %d of them for news", n, c.parked.Load())
	}
	for i := range c.flights {
		if c.flights[i].head != nil {
			t.Error("a request is still held")
		}
	}
}

// TestConcurrentAnswers has the answers of many requests come in at once, and
// time pass meanwhile; the race detector looks on.
func TestConcurrentAnswers(t *testing.T) {
	s := &scattered{}
	c, key := newInstant(t, 6, true)
	s.instant = c.Local.(*instant)
	o, _, _, err := object.Put(nil, object.Object{}, object.Write{
		Own: vclock.Own{Actor: vclock.Actor{Node: 2, Birth: 1}, Counter: 1}, Seq: 1, Now: 1, Value: make([]byte, 100),
	})
	if err != nil {
		t.Fatal(err)
	}
	s.newer = o.Bytes()
	c.Peers = s
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for i := range 300 {
				key := append(kv.Key(nil), key...)
				to := &once{t: t, told: make(chan struct{}, 2)}
				if i%2 == 0 {
					c.Get(Request{Key: key, Options: opts(int8(1+i%3), 1, 1)}, to)
				} else {
					c.Put(Request{Key: key, Options: opts(1, int8(1+i%3), int8(i%3))}, to)
				}
				clear(key)
				c.Expire(time.Now().Add(rand.N(kv.DefaultTimeout)))
				<-to.told
			}
		})
	}
	callers.Wait()
	s.calls.Wait()
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d requests wait", n)
	}
	for i := range c.flights {
		if c.flights[i].head != nil {
			t.Error("a request is still held")
		}
	}
}

// TestBusy: whoever sleeps while no request is in flight is woken by the first.
func TestBusy(t *testing.T) {
	c := newCluster(t, 3)
	coord := c.nodes[0].coord
	for range 2 {
		if len(coord.Busy()) != 0 {
			t.Fatal("busy with nothing to do")
		}
		first := c.put(0, "a", "one", nil, kv.Defaults())
		if coord.InFlight() != 1 || len(coord.Busy()) != 1 {
			t.Fatalf("%d in flight, %d tokens", coord.InFlight(), len(coord.Busy()))
		}
		<-coord.Busy()
		second := c.put(0, "b", "two", nil, kv.Defaults())
		if len(coord.Busy()) != 0 {
			t.Error("a second request woke somebody who is awake")
		}
		c.run()
		if !first.done || !second.done || coord.InFlight() != 0 {
			t.Errorf("%d are left in flight", coord.InFlight())
		}
	}
}
