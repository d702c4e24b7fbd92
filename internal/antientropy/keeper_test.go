package antientropy

import (
	"sync"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// worker is a Background with a goroutine.
type worker chan func()

// Go implements Background.
func (w worker) Go(task func()) bool {
	select {
	case w <- task:
		return true
	default:
		return false
	}
}

// failing are Peers of which each call ends in another goroutine.
type failing chan wire.Completion

// Up implements Peers.
func (failing) Up(kv.NodeID) bool { return true }

// Call implements Peers.
func (f failing) Call(_ kv.NodeID, _ wire.Call, _ wire.Appender, done wire.Completion, _ uint32) {
	f <- done
}

// silent is a Responder that nobody listens to.
type silent struct{}

// Respond implements wire.Responder.
func (silent) Respond(uint64, wire.Type, wire.Flags, wire.Appender) {}

// TestConcurrentUse is for the race detector: everything at once. It ends when
// exchanges were tried.
func TestConcurrentUse(t *testing.T) {
	c := newCluster(t, 3, testRing(t, 1, 4, 1, 2, 3), testConfig())
	k := c.nodes[0].keeper
	var users, done sync.WaitGroup
	tasks, calls := make(worker, 2), make(failing, 100)
	k.Background, k.Peers = tasks, calls
	stop := make(chan struct{})
	done.Go(func() {
		for {
			select {
			case call := <-calls:
				call.Complete(0, wire.Response{}, kv.Errorf(kv.KindTimeout, "call", "no answer"))
			case <-stop:
				return
			}
		}
	})
	done.Go(func() {
		for {
			select {
			case task := <-tasks:
				task()
			case <-stop:
				return
			}
		}
	})
	for range 4 {
		users.Go(func() {
			for range 100 {
				k.Tick(c.now)
				k.PeerUp(2)
				k.Repair()
				k.Handle(wire.Request{
					Type: wire.TypeExchange, From: 2, Payload: (&rootsAsk{head: head{forCycle, kv.LevelOf(1)}}).encode(),
					Reply: wire.Reply{To: silent{}, Type: wire.TypeExchange},
				})
				_ = k.Status()
			}
		})
	}
	users.Wait()
	for k.Status().Total.Bytes == 0 {
		k.Tick(c.now)
		idle := make(chan struct{})
		k.post(func() { close(idle) })
		<-idle
	}
	close(stop)
	done.Wait()
}
