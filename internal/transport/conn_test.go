package transport

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

func TestCallAndAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		m.Delay("a", "b", 3*time.Millisecond, 0)
		m.Delay("b", "a", 4*time.Millisecond, 0)
		var got wire.Request
		h := handlerFunc(func(rq wire.Request) {
			got = rq
			rq.Reply.Interim(wire.Raw("half"))
			rq.Reply.Send(wire.Raw("whole of " + string(rq.Payload)))
		})
		s := NewServer(Default(), Hooks{Identity: identityOf(2), Level: func() kv.Level { return 9 }}, h, nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		c := dial(t, Default(), m.Host("a"), addr, 1)
		if c.Peer().Node != 2 || c.Peer().Cluster != testCluster {
			t.Errorf("the peer presents itself as %+v", c.Peer())
		}

		done, began := make(outcomesOf, 2), time.Now()
		c.Call(wire.Call{Type: wire.TypeReplicaPut, Deadline: began.Add(time.Second), Level: 8}, wire.Raw("it"), done, 5)
		if o := <-done; o != (outcome{tag: 5, payload: "half", level: 9, interim: true}) {
			t.Errorf("first response: %+v", o)
		}
		if o := <-done; o != (outcome{tag: 5, payload: "whole of it", level: 9}) {
			t.Errorf("second response: %+v", o)
		}
		if d := time.Since(began); d != 7*time.Millisecond {
			t.Errorf("round trip took %v, want 7ms", d)
		}
		if got.Type != wire.TypeReplicaPut || got.From != 1 || got.Level != 8 {
			t.Errorf("the handler got %+v", got)
		}
		if late := got.Deadline.Sub(began.Add(time.Second)); late < 0 || late > 4*time.Millisecond {
			t.Errorf("the handler's deadline is %v after the caller's", late)
		}
		if n := c.calls.pending(); n != 0 {
			t.Errorf("%d calls pending at the end", n)
		}
	})
}

func TestPeersErrorNamesThePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		h := handlerFunc(func(rq wire.Request) {
			rq.Reply.Fail(kv.Errorf(kv.KindDiskFull, "apply", "no room"))
		})
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, h, nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		o := ask(dial(t, Default(), m.Host("a"), addr, 1), wire.TypeReplicaPut, "", time.Second)
		wantError(t, "refused put", o.err, kv.KindDiskFull, kv.AppliedNo)
		if want := "apply at 0000000000000002: no room"; o.err.Error() != want {
			t.Errorf("error %q, want %q", o.err, want)
		}
	})
}

func TestMessagesOfEverySizeArriveWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, nil)
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		c := dial(t, Default(), m.Host("a"), addr, 1)
		sizes := []int{0, 1, 1024, wire.MaxChunk - 1, wire.MaxChunk, wire.MaxChunk + 1, 2 * wire.MaxChunk, 3*wire.MaxChunk + 5, 5 << 20}
		done := make(outcomesOf, len(sizes))
		payloads := make([][]byte, len(sizes))
		for i, n := range sizes {
			payloads[i] = bytes.Repeat([]byte{byte('a' + i)}, n)
			c.Call(within(wire.TypeReplicaPut, time.Minute), wire.Raw(payloads[i]), done, uint32(i))
		}
		for range sizes {
			o := <-done
			if o.err != nil || o.payload != string(payloads[o.tag]) {
				t.Errorf("message of %d bytes: %d came back, error %v", sizes[o.tag], len(o.payload), o.err)
			}
		}
		if c.parts.held != 0 || len(c.parts.open) != 0 {
			t.Errorf("the reader still holds %d bytes of %d messages", c.parts.held, len(c.parts.open))
		}
	})
}

func TestMessageSizeLimit(t *testing.T) {
	m := NewMemory(1)
	s := NewServer(Default(), Hooks{Identity: identityOf(2)}, handlerFunc(func(rq wire.Request) {
		rq.Reply.Send(wire.Raw(fmt.Sprint(len(rq.Payload))))
	}), nil)
	addr, _ := serve(t, s, m.Host("b"), "b:1")
	node := dial(t, Default(), m.Host("a"), addr, 1)
	big := string(make([]byte, kv.MaxMessage+1))
	if o := ask(node, wire.TypeReplicaPut, big[:kv.MaxMessage], time.Minute); o.err != nil || o.payload != fmt.Sprint(kv.MaxMessage) {
		t.Errorf("at the limit: %q, %v", o.payload, o.err)
	}
	wantError(t, "past the limit", ask(node, wire.TypeReplicaPut, big, time.Minute).err, kv.KindTooLarge, kv.AppliedNo)

	client, limit := dial(t, Default(), m.Host("a"), addr, 0), Default().ClientAssemblyBytes
	if o := ask(client, wire.TypePut, big[:limit], time.Minute); o.err != nil || o.payload != fmt.Sprint(limit) {
		t.Errorf("a client at its limit: %q, %v", o.payload, o.err)
	}
	wantError(t, "a client past its limit", ask(client, wire.TypePut, big[:limit+1], time.Minute).err, kv.KindTooLarge, kv.AppliedNo)
}

func TestResponsePastTheLimitBecomesAnError(t *testing.T) {
	m := NewMemory(1)
	s := NewServer(Default(), Hooks{Identity: identityOf(2)}, handlerFunc(func(rq wire.Request) {
		rq.Reply.Send(wire.Raw(make([]byte, kv.MaxMessage+1)))
	}), nil)
	addr, _ := serve(t, s, m.Host("b"), "b:1")
	o := ask(dial(t, Default(), m.Host("a"), addr, 1), wire.TypeReplicaRead, "", time.Minute)
	wantError(t, "the call", o.err, kv.KindTooLarge, kv.AppliedUnknown)
}
