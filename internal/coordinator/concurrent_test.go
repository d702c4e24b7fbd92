package coordinator

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// scattered is an instant whose peers answer from goroutines of their own: what
// they were asked for, something else, or not at all.
type scattered struct {
	*instant
	newer []byte
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
