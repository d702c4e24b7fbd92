package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/wire"
)

// mixed answers some requests while it handles them, and others in goroutines of
// their own, with up to most times their number, and calls answered, unless that is
// nil, after each.
type mixed struct {
	most     int
	answered func()
}

func (m *mixed) answer(i uint32) []byte {
	return bytes.Repeat(binary.BigEndian.AppendUint32(nil, i), 1+int(i*2654435761>>15)%m.most)
}

func (m *mixed) Handle(rq wire.Request) {
	i := binary.BigEndian.Uint32(rq.Payload)
	answer := func() {
		rq.Reply.Send(wire.Raw(m.answer(i)))
		if m.answered != nil {
			m.answered()
		}
	}
	if i%3 == 0 {
		go answer()
	} else {
		answer()
	}
}

// bare returns a connection to a server with handler h, over which nothing has passed
// but the handshake of a client.
func bare(t *testing.T, h wire.Handler) net.Conn {
	t.Helper()
	addr, _ := serve(t, NewServer(Default(), Hooks{Identity: identityOf(2)}, h, nil), TCP{}, "127.0.0.1:0")
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	if _, err := offer(t.Context(), nc, helloOf(0), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	return nc
}

// TestAnswersToASlowReader: a client asks far more than its socket holds before it
// reads any answer, and gets each of them, whole.
func TestAnswersToASlowReader(t *testing.T) {
	const requests = 600
	var all sync.WaitGroup
	all.Add(requests)
	h := &mixed{most: wire.MaxChunk / 2, answered: all.Done} // two chunks
	nc := bare(t, h)
	var b []byte
	for i := range uint32(requests) {
		var at int
		b, at = wire.BeginFrame(b)
		b = binary.BigEndian.AppendUint32(b, i)
		b = wire.EndFrame(b, at, wire.Header{Type: wire.TypePut, Deadline: 60_000, ID: uint64(i) + 1})
	}
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
	all.Wait()
	frames, parts := framesOf(nc), newAssembly(64<<20)
	answered := map[uint64]bool{}
	for len(answered) < requests {
		head, payload, err := frames.next()
		if err != nil {
			t.Fatalf("after %d answers: %v", len(answered), err)
		}
		payload, whole, err := parts.add(head, payload)
		if err != nil {
			t.Fatal(err)
		}
		if whole && (answered[head.ID] || !bytes.Equal(payload, h.answer(uint32(head.ID-1)))) {
			t.Fatalf("%d is answered twice, or with %d bytes", head.ID, len(payload))
		}
		answered[head.ID] = answered[head.ID] || whole
	}
}

// stuck answers gets, and nothing else before it is released.
type stuck struct{ release chan struct{} }

func (s stuck) Handle(rq wire.Request) {
	if rq.Type != wire.TypeGet {
		<-s.release
	}
	rq.Reply.Send(wire.Raw("x"))
}

// TestAnswersDoNotWaitForWrites: what was answered goes out, though a write that
// came behind it in the same packet waits for the disk.
func TestAnswersDoNotWaitForWrites(t *testing.T) {
	h := stuck{make(chan struct{})}
	nc := bare(t, h)
	var b []byte
	for i, typ := range []wire.Type{wire.TypeGet, wire.TypePut} {
		var at int
		b, at = wire.BeginFrame(b)
		b = wire.EndFrame(b, at, wire.Header{Type: typ, Deadline: 60_000, ID: uint64(i) + 1})
	}
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
	frames := framesOf(nc)
	for id := uint64(1); id <= 2; id++ {
		if head, _, err := frames.next(); err != nil || head.ID != id {
			t.Fatalf("answer to %d, error %v, want %d", head.ID, err, id)
		}
		if id == 1 {
			close(h.release)
		}
	}
}

// TestAnswersComeWithoutTheNextRequest: no answer waits for another request to
// come, whoever gives it, while the reader handles requests one by one or many.
func TestAnswersComeWithoutTheNextRequest(t *testing.T) {
	c := loopback(t, &mixed{most: 20}, 0)
	for _, callers := range []int{1, 2, 40} {
		t.Run(fmt.Sprint(callers), func(t *testing.T) {
			var all sync.WaitGroup
			for g := range callers {
				all.Go(func() {
					w := &waiter{woken: make(chan struct{}, 1)}
					for i := range 1000 {
						m := wire.Raw(binary.BigEndian.AppendUint32(nil, uint32(g*1000+i)))
						if err := w.call(c, m); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
		})
	}
}

// TestReady shows that a reader knows whether it would have to wait.
func TestReady(t *testing.T) {
	in, out := net.Pipe()
	defer in.Close()
	r := framesOf(in)
	var frame []byte
	frame, at := wire.BeginFrame(frame)
	frame = wire.EndFrame(append(frame, "payload"...), at, wire.Header{Type: wire.TypePing, ID: 1})
	two := append(bytes.Clone(frame), frame...)
	for cut := range len(frame) + 1 {
		go func() {
			_, _ = out.Write(two[:len(frame)+cut])
		}()
		if _, _, err := r.next(); err != nil {
			t.Fatal(err)
		}
		if got := r.ready(); got != (cut == len(frame)) {
			t.Errorf("%d of %d bytes of a frame: ready %v", cut, len(frame), got)
		}
		if cut < len(frame) {
			go func() { _, _ = out.Write(frame[cut:]) }()
		}
		if _, _, err := r.next(); err != nil {
			t.Fatal(err)
		}
	}
}
