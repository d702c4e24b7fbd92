package transport

import (
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// mute is a peer that shakes hands and then reads only what the test reads.
func mute(t testing.TB, network Network, addr string, id kv.NodeID) <-chan net.Conn {
	t.Helper()
	l, err := network.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 100)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := readHello(nc); err != nil {
				continue
			}
			_, self := identityOf(id)()
			_, _ = nc.Write(wire.AppendHelloAck(nil, wire.HelloAck{Version: 1, Cluster: testCluster, Identity: self}))
			conns <- nc
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
		close(conns)
		for nc := range conns {
			_ = nc.Close()
		}
	})
	return conns
}

func framesOf(nc net.Conn) *frameReader {
	src := &source{nc: nc, stats: &counters{}}
	return newFrameReader(src, src, wire.MaxVersion)
}

func TestQueueLimit(t *testing.T) {
	q := newOutQueue(200<<10, kv.MaxMessage, &counters{})
	h := wire.Header{Type: wire.TypePut}
	first := make([]byte, wire.MaxChunk)
	put := func(n int) error { return q.send(h, wire.Raw(first[:n])) }
	for range 2 {
		if err := put(wire.MaxChunk); err != nil {
			t.Fatal(err)
		}
	}
	left := 200<<10 - 2*wire.MaxFrame
	for left > wire.MaxFrame {
		if err := put(wire.MaxChunk); err != nil {
			t.Fatal(err)
		}
		left -= wire.MaxFrame
	}
	wantError(t, "one byte past the limit", put(left-wire.Overhead+1), kv.KindOverloaded, kv.AppliedNo)
	if err := put(left - wire.Overhead); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	wantError(t, "a full queue", put(0), kv.KindOverloaded, kv.AppliedNo)
	if got := q.bytes(); got != 200<<10 {
		t.Errorf("the queue counts %d bytes, want %d", got, 200<<10)
	}
}

// Nothing in a queue that is idle, or holds a ping, keeps the largest message
// out, however small the limit.
func TestQueueTakesOneMessageOfAnySize(t *testing.T) {
	q := newOutQueue(wire.MaxFrame, kv.MaxMessage, &counters{})
	if err := q.send(wire.Header{Type: wire.TypePing}, wire.Raw(nil)); err != nil {
		t.Fatal(err)
	}
	if err := q.send(wire.Header{Type: wire.TypePut}, wire.Raw(make([]byte, kv.MaxMessage))); err != nil {
		t.Errorf("the largest message: %v", err)
	}
	wantError(t, "one more", q.send(wire.Header{Type: wire.TypePing}, wire.Raw(nil)), kv.KindOverloaded, kv.AppliedNo)
}

func TestFullQueueCompletesTheCallAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		conns := mute(t, m.Host("b"), "b:1", 2)
		cfg := Default()
		cfg.QueueBytes = 1 << 20
		c := dial(t, cfg, m.Host("a"), "b:1", 1)
		<-conns
		done := make(outcomesOf, 100)
		for range 60 { // 1.9 MiB: the link takes a quarter of one
			c.Call(within(wire.TypeReplicaPut, time.Second), wire.Raw(make([]byte, wire.MaxChunk)), done, 0)
		}
		if len(done) == 0 {
			t.Fatal("no call was refused")
		}
		for range len(done) {
			wantError(t, "a call past the limit", (<-done).err, kv.KindOverloaded, kv.AppliedNo)
		}
		if got := c.out.bytes(); got > cfg.QueueBytes {
			t.Errorf("%d bytes are queued, the limit is %d", got, cfg.QueueBytes)
		}
	})
}

// gate is a net.Conn whose writes wait for the test, and are kept.
type gate struct {
	net.Conn
	pass   chan struct{}
	writes chan []byte
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.pass
	g.writes <- append([]byte(nil), p...)
	return len(p), nil
}

func startGate(t *testing.T, q *outQueue) *gate {
	g := &gate{pass: make(chan struct{}), writes: make(chan []byte, 1000)}
	ended := make(chan error, 1)
	go func() { ended <- q.run(g) }()
	t.Cleanup(func() {
		q.close(kv.Errorf(kv.KindClosed, "test", "the end"))
		close(g.pass)
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return g
}

func TestWritesCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newOutQueue(1<<20, 1<<20, &counters{})
		g := startGate(t, q)
		send := func() {
			if err := q.send(wire.Header{Type: wire.TypePing}, wire.Raw(nil)); err != nil {
				t.Fatal(err)
			}
		}
		send()
		synctest.Wait() // the first write is under way
		for range 50 {
			send()
		}
		g.pass <- struct{}{}
		g.pass <- struct{}{}
		if n := len(<-g.writes); n != wire.Overhead {
			t.Errorf("the first write has %d bytes, want one frame of %d", n, wire.Overhead)
		}
		if n := len(<-g.writes); n != 50*wire.Overhead {
			t.Errorf("the second write has %d bytes, want 50 frames of %d", n, wire.Overhead)
		}
	})
}

func TestBuffersShrinkAfterABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newOutQueue(64<<20, 1<<20, &counters{})
		g := startGate(t, q)
		capacity := func() int {
			q.mu.Lock()
			defer q.mu.Unlock()
			return cap(q.mu.buf)
		}
		send := func(size int) {
			if err := q.send(wire.Header{Type: wire.TypePut}, wire.Raw(make([]byte, size))); err != nil {
				t.Fatal(err)
			}
		}
		write := func(frames, size int) (most int) {
			send(1)
			synctest.Wait() // the others gather behind this one
			for range frames {
				send(size)
			}
			for most = capacity(); q.bytes() > 0; synctest.Wait() {
				g.pass <- struct{}{}
				<-g.writes
			}
			return most
		}
		// Twice, because there are two buffers.
		if a, b := write(300, wire.MaxChunk), write(300, wire.MaxChunk); a < 300*wire.MaxChunk || b < 300*wire.MaxChunk {
			t.Fatalf("bursts were gathered in %d and %d bytes", a, b)
		}
		for range 4 {
			time.Sleep(keepTime + 1)
			write(1, 10)
		}
		for range 2 {
			if got := write(1, 10); got > keepBuffer {
				t.Errorf("a buffer of %d bytes long after the burst, want at most %d", got, keepBuffer)
			}
		}
	})
}

// A small message waits for at most one chunk of the large ones before it.
func TestSmallMessagesPassLargeOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		conns := mute(t, m.Host("b"), "b:1", 2)
		c := dial(t, Default(), m.Host("a"), "b:1", 1)
		far := framesOf(<-conns)
		done := make(outcomesOf, 10)
		for range 3 {
			c.Call(within(wire.TypeReplicaPut, time.Minute), wire.Raw(make([]byte, 4<<20)), done, 0)
		}
		synctest.Wait()
		before := streamBuffer/wire.MaxFrame + 2 // what the link, and the write that waits for it, hold
		c.Call(within(wire.TypeReplicaRead, time.Minute), wire.Raw("me first"), done, 0)
		for i := 0; ; i++ {
			h, _, err := far.next()
			if err != nil {
				t.Fatal(err)
			}
			if h.Type == wire.TypeReplicaRead {
				break
			}
			if i > before {
				t.Fatalf("%d chunks came first", i)
			}
		}
	})
}

func TestLargeMessagesTakeTurns(t *testing.T) {
	q := largeQueue{open: 5 * wire.MaxChunk}
	for i, chunks := range []int{3, 2, 1} {
		h := wire.Header{Type: wire.TypePut, ID: uint64(i + 1)}
		n := chunks * wire.MaxChunk
		q.push(newLarge(h, wire.Raw(make([]byte, n)), n))
	}
	var order strings.Builder
	for {
		c, ok := q.next()
		if !ok {
			break
		}
		order.WriteByte('0' + byte(c.header.ID))
		if c.header.Flags&wire.FlagMore == 0 {
			order.WriteByte('.')
		}
	}
	// The third has no room beside the others, which have five chunks.
	if got, want := order.String(), "1212.1.3."; got != want {
		t.Errorf("chunks went out as %s, want %s", got, want)
	}
	if q.opened != 0 {
		t.Errorf("%d bytes are open at the end", q.opened)
	}
}

// A response that does not fit ends the connection, so that its caller learns.
func TestResponsePastTheQueueLimitClosesTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		cfg := Default()
		cfg.QueueBytes = 1 << 20
		log := &lines{}
		h := handlerFunc(func(rq wire.Request) { rq.Reply.Send(wire.Raw(make([]byte, wire.MaxChunk))) })
		s := NewServer(cfg, Hooks{}, h, log.logger())
		addr, _ := serve(t, s, m.Host("b"), "b:1")
		nc, err := m.Host("a").Dial(context.Background(), addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		hello := helloOf(1)
		hello.Cluster = 0
		if _, err := offer(context.Background(), nc, hello, time.Second); err != nil {
			t.Fatal(err)
		}
		for i := range 60 {
			_, _ = nc.Write(frame(wire.Header{Type: wire.TypeGet, ID: uint64(i), Deadline: 1000}, ""))
		}
		synctest.Wait()
		if st := s.Stats(); st.Conns != 0 || st.Dropped != 1 {
			t.Errorf("after the flood: %+v", st)
		}
		if got := log.all(); len(got) != 1 || !strings.Contains(got[0], "does not read") {
			t.Errorf("log: %q", got)
		}
	})
}
