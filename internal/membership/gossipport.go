package membership

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// Limits of the gossip port.
const (
	// maxStreams bounds the streams that are open at once; past it a stream is
	// closed as soon as it is accepted.
	maxStreams = 128
	// firstBytesWait is how long a stream may take to say what it is.
	firstBytesWait = 5 * time.Second
	// labelByte is what memberlist puts before a label.
	labelByte = 244
)

// gossipPort stands between the network and memberlist. It answers who asks for
// the cluster's id, passes on what carries the cluster's label, and closes the
// rest with one log line. It works before memberlist exists, when the label is
// not known yet, and after it is gone.
type gossipPort struct {
	memberlist.NodeAwareTransport
	answer  func() seedAnswer
	strange sparse

	// attached is memberlist's label and end, nil while there is none.
	attached atomic.Pointer[attachment]
	packets  chan *memberlist.Packet
	streams  chan net.Conn

	// stop ends the pumps, which workers counts.
	stop    chan struct{}
	workers sync.WaitGroup
	mu      struct {
		sync.Mutex
		open map[*portStream]struct{}
	}
}

type attachment struct {
	label string
	// gone is closed when memberlist has ended.
	gone chan struct{}
}

// openGossipPort takes inner over and starts to serve; close ends it.
func openGossipPort(inner memberlist.NodeAwareTransport, answer func() seedAnswer, log *slog.Logger) *gossipPort {
	p := &gossipPort{
		NodeAwareTransport: inner,
		answer:             answer,
		strange:            sparse{log: log},
		packets:            make(chan *memberlist.Packet),
		streams:            make(chan net.Conn),
		stop:               make(chan struct{}),
	}
	p.mu.open = make(map[*portStream]struct{})
	p.workers.Go(p.pumpPackets)
	p.workers.Go(p.pumpStreams)
	return p
}

// attach lets memberlist have what carries label, until it calls Shutdown.
func (p *gossipPort) attach(label string) {
	p.attached.Store(&attachment{label: label, gone: make(chan struct{})})
}

// PacketCh implements memberlist.Transport.
func (p *gossipPort) PacketCh() <-chan *memberlist.Packet { return p.packets }

// StreamCh implements memberlist.Transport.
func (p *gossipPort) StreamCh() <-chan net.Conn { return p.streams }

// Shutdown implements memberlist.Transport: it detaches memberlist and closes
// the streams that it serves. The port itself stays open.
func (p *gossipPort) Shutdown() error {
	if a := p.attached.Swap(nil); a != nil {
		close(a.gone)
	}
	p.closeStreams()
	return nil
}

// close ends the port and waits for its goroutines.
func (p *gossipPort) close() error {
	err := errors.Join(p.Shutdown(), p.NodeAwareTransport.Shutdown())
	close(p.stop)
	p.closeStreams()
	p.workers.Wait()
	return err
}

func (p *gossipPort) closeStreams() {
	p.mu.Lock()
	open := make([]*portStream, 0, len(p.mu.open))
	for s := range p.mu.open {
		open = append(open, s)
	}
	p.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
}

func (p *gossipPort) pumpPackets() {
	for {
		select {
		case <-p.stop:
			return
		case packet := <-p.NodeAwareTransport.PacketCh():
			p.pass(packet)
		}
	}
}

// pass gives memberlist a packet of its cluster. A packet that comes while this
// node belongs to no cluster is nobody's fault.
func (p *gossipPort) pass(packet *memberlist.Packet) {
	a := p.attached.Load()
	if a == nil {
		return
	}
	if _, label, err := memberlist.RemoveLabelHeaderFromPacket(packet.Buf); err != nil || label != a.label {
		p.strange.warn("dropped a packet that is not this cluster's gossip", "from", packet.From)
		return
	}
	select {
	case p.packets <- packet:
	case <-a.gone:
	case <-p.stop:
	}
}

func (p *gossipPort) pumpStreams() {
	for {
		select {
		case <-p.stop:
			return
		case conn := <-p.NodeAwareTransport.StreamCh():
			if s, ok := p.admit(conn); ok {
				p.workers.Go(func() { p.sort(s) })
			} else {
				conn.Close()
				p.strange.warn("closed a gossip stream: too many are open", "from", conn.RemoteAddr(), "limit", maxStreams)
			}
		}
	}
}

// admit counts a stream, or refuses it.
func (p *gossipPort) admit(conn net.Conn) (*portStream, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.mu.open) >= maxStreams {
		return nil, false
	}
	s := &portStream{Conn: conn, port: p}
	p.mu.open[s] = struct{}{}
	return s, true
}

// sort finds out what a stream is, and serves it or passes it on.
func (p *gossipPort) sort(s *portStream) {
	passed, err := p.serve(s)
	if passed {
		return
	}
	s.Close()
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		p.strange.warn("closed a stream on the gossip port", "from", s.RemoteAddr(), "error", err)
	}
}

// errStrange says that a stream is neither gossip of this cluster nor a
// question.
var errStrange = errors.New("neither this cluster's gossip nor a request for its id")

// serve reads a stream's first bytes. It returns true when the stream is
// memberlist's now.
func (p *gossipPort) serve(s *portStream) (bool, error) {
	if err := s.SetDeadline(time.Now().Add(firstBytesWait)); err != nil {
		return false, err
	}
	var first [1]byte
	if _, err := io.ReadFull(s.Conn, first[:]); err != nil {
		return false, err
	}
	switch first[0] {
	case discoveryMagic[0]:
		return false, p.reply(s, first[:])
	case labelByte:
		return p.hand(s, first[:])
	}
	return false, errStrange
}

// reply answers a request whose first bytes were read.
func (p *gossipPort) reply(s *portStream, first []byte) error {
	b := make([]byte, requestSize)
	if _, err := io.ReadFull(s.Conn, b[copy(b, first):]); err != nil {
		return errStrange
	}
	if err := checkRequest(b); err != nil {
		return err
	}
	_, err := s.Write(p.answer().append(nil))
	return err
}

// hand passes a stream on to memberlist if its label is the cluster's.
func (p *gossipPort) hand(s *portStream, first []byte) (bool, error) {
	a := p.attached.Load()
	if a == nil {
		return false, nil
	}
	want := append([]byte{labelByte, byte(len(a.label))}, a.label...)
	b := make([]byte, len(want))
	if _, err := io.ReadFull(s.Conn, b[copy(b, first):]); err != nil || string(b) != string(want) {
		return false, errStrange
	}
	s.peeked = b
	select {
	case p.streams <- s:
		return true, nil
	case <-a.gone:
	case <-p.stop:
	}
	return false, nil
}

// portStream is a stream whose peeked bytes are put back, and which the port
// counts until it is closed.
type portStream struct {
	net.Conn
	port   *gossipPort
	peeked []byte
}

// Read implements net.Conn. Only one goroutine reads a stream.
func (s *portStream) Read(b []byte) (int, error) {
	if len(s.peeked) > 0 {
		n := copy(b, s.peeked)
		s.peeked = s.peeked[n:]
		return n, nil
	}
	return s.Conn.Read(b)
}

// Close implements net.Conn; it may be called more than once.
func (s *portStream) Close() error {
	s.port.mu.Lock()
	delete(s.port.mu.open, s)
	s.port.mu.Unlock()
	return s.Conn.Close()
}
