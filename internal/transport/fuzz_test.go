package transport

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// canned is a net.Conn that has one thing to say, in pieces, and takes
// everything.
type canned struct {
	net.Conn
	say  *bytes.Reader
	step int
}

func (c *canned) Read(p []byte) (int, error) {
	if len(p) > c.step {
		p = p[:c.step]
	}
	return c.say.Read(p)
}

func (c *canned) Write(p []byte) (int, error)      { return len(p), nil }
func (c *canned) Close() error                     { return nil }
func (c *canned) RemoteAddr() net.Addr             { return memoryAddr("x") }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// seal sets the checksums of the frames in b right, as far as their lengths
// make sense, so that fuzzing gets past them.
func seal(b []byte) []byte {
	b = append([]byte(nil), b...)
	for at := 0; len(b)-at >= wire.Overhead; {
		n, err := wire.FrameSize(b[at:])
		if err != nil || n > len(b)-at {
			break
		}
		h := wire.Header{Type: wire.Type(b[at+4]), Flags: wire.Flags(b[at+5])}
		sealed := frame(h, string(b[at+wire.HeaderSize:at+n-4]))
		copy(b[at:], sealed)
		at += n
	}
	return b
}

func seeds(f *testing.F) {
	chunk := string(make([]byte, wire.MaxChunk))
	request := frame(wire.Header{Type: wire.TypePut, ID: 1, Deadline: 1000}, "payload")
	large := append(frame(wire.Header{Type: wire.TypeGet, ID: 2, Deadline: 1, Flags: wire.FlagMore}, chunk),
		frame(wire.Header{Type: wire.TypeGet, ID: 2, Deadline: 1}, "rest")...)
	answer := frame(wire.Header{Type: wire.TypeGet, ID: 1 << 32, Flags: wire.FlagResponse}, "answer")
	interim := frame(wire.Header{Type: wire.TypeGet, ID: 1 << 32, Flags: wire.FlagResponse | wire.FlagInterim}, "answer")
	refusal := frame(wire.Header{Type: wire.TypeGet, ID: 1 << 32, Flags: wire.FlagResponse | wire.FlagError},
		string(wire.AppendError(nil, kv.Errorf(kv.KindTimeout, "op", "text"))))
	for _, b := range [][]byte{nil, request, large, answer, interim, refusal, append(interim, answer...), append(request, large...), {0x80, 0, 0, 0}} {
		f.Add(b, 1<<20, false)
		f.Add(b, 3, true)
	}
}

// Whatever a peer sends after the handshake, the accepting side's reader
// neither crashes nor hangs, holds no more than its bound, and hands on only
// whole requests that a client may send.
func FuzzRequests(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte, step int, sealed bool) {
		if sealed {
			b = seal(b)
		}
		h := handlerFunc(func(rq wire.Request) {
			if rq.From != 0 || rq.Type != wire.TypeGet && rq.Type != wire.TypePut && rq.Type != wire.TypeRing {
				t.Errorf("a client's request: %+v", rq)
			}
			echo(rq)
		})
		s := NewServer(Default(), Hooks{}, h, nil)
		nc := &canned{say: bytes.NewReader(b), step: max(step, 1)}
		c := newAccepted(s, nc, helloOf(0), wire.MaxVersion)
		_ = c.serve()
		c.parts.check(t)
		if c.parts.held > len(b) {
			t.Errorf("%d bytes held of %d", c.parts.held, len(b))
		}
	})
}

// The same for the dialling side: its one call ends once.
func FuzzResponses(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte, step int, sealed bool) {
		if sealed {
			b = seal(b)
		}
		far := &hold{canned: canned{say: bytes.NewReader(b), step: max(step, 1)}, begin: make(chan struct{})}
		c := newConn(Default(), far, wire.RoleNode, wire.HelloAck{Version: wire.MaxVersion}, meters{&counters{}, &outcomes{}, &latency{}})
		done := make(outcomesOf, len(b)/wire.Overhead+1)
		c.Call(within(wire.TypeGet, time.Minute), wire.Raw("x"), done, 0)
		close(far.begin)
		<-c.Done()
		_ = c.Close()
		close(done)
		ends := 0
		for o := range done {
			if !o.interim {
				ends++
			}
		}
		if ends != 1 {
			t.Errorf("the call ended %d times", ends)
		}
		c.parts.check(t)
	})
}

// hold is canned that says nothing before begin is closed.
type hold struct {
	canned
	begin chan struct{}
}

func (h *hold) Read(p []byte) (int, error) {
	<-h.begin
	return h.canned.Read(p)
}

// Arbitrary bytes instead of a handshake, at both sides.
func FuzzHandshake(f *testing.F) {
	_, self := identityOf(1)()
	f.Add(wire.AppendHello(nil, helloOf(1)))
	f.Add(wire.AppendHelloAck(nil, wire.HelloAck{Version: 1, Cluster: testCluster, Identity: self}))
	f.Add(wire.AppendHelloAck(nil, wire.HelloAck{Err: kv.Errorf(kv.KindRefused, "op", "text")}))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := NewServer(Default(), Hooks{Identity: identityOf(2)}, echo, nil)
		c, err := s.receive(&canned{say: bytes.NewReader(b), step: 7})
		if (c == nil) != (err != nil) {
			t.Errorf("receive gave %v, %v", c, err)
		}
		_, _ = exchange(&canned{say: bytes.NewReader(b), step: 7}, helloOf(1))
	})
}
