package transport

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// held is a handler that answers once it is let go.
type held struct {
	asked chan wire.Request
}

func (h held) Handle(rq wire.Request) { h.asked <- rq }

// A node that ends is down at once for its peers, answers what it was asked
// before, and is left by them then: nothing ends with an unknown outcome.
func TestEndingNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := held{make(chan wire.Request, 10)}
		w := newWorld(t, h)
		w.happened()
		done := make(outcomesOf, 2)
		for tag := range uint32(2) {
			w.pool.Call(2, within(wire.TypeReplicaPut, time.Minute), wire.Raw("x"), done, tag)
		}
		client := dial(t, Default(), w.net.Host("c"), "b:1", 0)
		old := helloOf(0)
		old.Versions.Max = wire.VersionEpochs
		former, err := Dial(context.Background(), Default(), w.net.Host("d"), "b:1", old)
		if err != nil {
			t.Fatal(err)
		}
		defer former.Close()
		synctest.Wait()

		w.server.End()
		began := time.Now()
		if d := w.waitFor(t, false); d > 10*time.Millisecond {
			t.Errorf("a node that ends is down after %v", d)
		}
		o := w.ask(time.Second)
		wantError(t, "a later call", o.err, kv.KindUnavailable, kv.AppliedNo)
		if !strings.Contains(o.err.Error(), "the node ends") {
			t.Errorf("the error does not say why: %v", o.err)
		}
		if _, err := Dial(context.Background(), Default(), w.net.Host("a"), "b:1", helloOf(3)); kv.KindOf(err) != kv.KindRefused {
			t.Errorf("a new connection: %v", err)
		}
		<-client.Done()
		if d := time.Since(began); d > 10*time.Millisecond {
			t.Errorf("an idle client leaves after %v", d)
		}
		if former.Err() != nil || former.Ending() {
			t.Errorf("a client of version 1 was told: %v", former.Err())
		}

		time.Sleep(3 * time.Second) // many ticks and pings later
		if n := w.server.Owes(); n != 1 || w.pool.Up(2) {
			t.Errorf("with calls under way %d are connected, want 1; up: %v", n, w.pool.Up(2))
		}
		for range 2 {
			(<-h.asked).Reply.Send(wire.Raw("y"))
		}
		for range 2 {
			if o := <-done; o.err != nil || o.payload != "y" {
				t.Errorf("a call of before: %+v", o)
			}
		}
		time.Sleep(2 * Default().Tick)
		if n := w.server.Owes(); n != 0 {
			t.Errorf("%d are connected in the end", n)
		}
		if got := w.happened(); got != "2 false" {
			t.Errorf("what happened: %s", got)
		}
		w.stop()
		serve(t, NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, nil), w.net.Host("b"), "b:1")
		w.waitFor(t, true)
		if o := w.ask(time.Second); o.err != nil {
			t.Errorf("a call to the node that is back: %v", o.err)
		}
	})
}

// Silence and its end do not make a node take calls that has said that it ends.
func TestEndingNodeIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := held{make(chan wire.Request, 10)}
		w := newWorld(t, h)
		done := make(outcomesOf, 1)
		w.pool.Call(2, within(wire.TypeReplicaPut, time.Minute), wire.Raw("x"), done, 0)
		synctest.Wait()
		w.server.End()
		w.waitFor(t, false)
		w.net.Cut("b", "a")
		wantError(t, "the call", (<-done).err, kv.KindUnavailable, kv.AppliedUnknown)
		w.net.Heal("b", "a")
		time.Sleep(time.Minute)
		if w.pool.Up(2) {
			t.Error("the node is up again")
		}
		wantError(t, "a later call", w.ask(time.Second).err, kv.KindUnavailable, kv.AppliedNo)
	})
}

// A peer that was heard of is tried at once, however long the pause would be.
func TestHurriedPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, echo)
		w.stop()
		w.net.Kill("b")
		w.waitFor(t, false)
		for range 20 {
			time.Sleep(time.Hour)
			_, stop := serve(t, NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, nil), w.net.Host("b"), "b:1")
			w.pool.Hurry(2)
			if d := w.waitFor(t, true); d > time.Millisecond {
				t.Errorf("up %v after it was heard of", d)
			}
			w.pool.Hurry(2) // it is up: nothing
			stop()
			w.net.Kill("b")
			w.waitFor(t, false)
		}
		w.pool.Hurry(9) // a stranger
	})
}

// An announcement from the side that dialled is a breach.
func TestClientsDoNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		nc := shakeHands(t, m.Host("a"), addr, 1)
		if _, err := nc.Write(frame(wire.Header{Type: wire.TypeEnd, ID: 1, Deadline: 1000}, "")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if st := s.Stats(); st.Malformed != 1 || st.Conns != 0 {
			t.Errorf("%+v", st)
		}
	})
}
