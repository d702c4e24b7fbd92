package membership

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// fabric is a network in memory: gossip by address, and requests between
// Services as the transport would carry them. Hosts can be cut off from each
// other.
type fabric struct {
	mu     sync.Mutex
	gossip map[string]*fabricPort
	peers  map[string]*Service
	// cut holds both orders of each pair of hosts that do not reach each other.
	cut map[[2]string]bool
	// drop, if set, says of a request whether it gets lost.
	drop func(from, to string, c wire.Call, payload []byte) bool
	// met holds the handshakes that were accepted, by the Services' addresses.
	met map[[2]*Service]bool
}

// latency is how long a request, and its answer, takes.
const latency = time.Millisecond

var errCut = errors.New("no route")

func newFabric() *fabric {
	return &fabric{
		gossip: make(map[string]*fabricPort), peers: make(map[string]*Service),
		cut: make(map[[2]string]bool), met: make(map[[2]*Service]bool),
	}
}

// isolate cuts, or mends, all links between two sets of hosts.
func (f *fabric) isolate(cut bool, a, b []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range a {
		for _, y := range b {
			f.cut[[2]string{x, y}], f.cut[[2]string{y, x}] = cut, cut
		}
	}
}

func hostOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}

// fabricPort is one host's gossip port.
type fabricPort struct {
	f       *fabric
	addr    string
	packets chan *memberlist.Packet
	streams chan net.Conn
}

type fabricAddr string

func (fabricAddr) Network() string  { return "fabric" }
func (a fabricAddr) String() string { return string(a) }

// fabricConn gives a pipe the addresses of its ends.
type fabricConn struct {
	net.Conn
	remote fabricAddr
}

func (c fabricConn) RemoteAddr() net.Addr { return c.remote }

func (f *fabric) listen(ip string, port int) (memberlist.NodeAwareTransport, error) {
	p := &fabricPort{f: f, addr: net.JoinHostPort(ip, strconv.Itoa(port)), packets: make(chan *memberlist.Packet, 1024), streams: make(chan net.Conn, 64)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gossip[p.addr] != nil {
		return nil, errors.New("address in use")
	}
	f.gossip[p.addr] = p
	return p, nil
}

func (p *fabricPort) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	return net.ParseIP(ip), port, nil
}

func (p *fabricPort) reach(addr string) *fabricPort {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	if p.f.cut[[2]string{hostOf(p.addr), hostOf(addr)}] {
		return nil
	}
	return p.f.gossip[addr]
}

func (p *fabricPort) WriteTo(b []byte, addr string) (time.Time, error) {
	return p.WriteToAddress(b, memberlist.Address{Addr: addr})
}

func (p *fabricPort) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	now := time.Now()
	if to := p.reach(a.Addr); to != nil {
		select {
		case to.packets <- &memberlist.Packet{Buf: append([]byte(nil), b...), From: fabricAddr(p.addr), Timestamp: now}:
		default:
		}
	}
	return now, nil
}

func (p *fabricPort) PacketCh() <-chan *memberlist.Packet { return p.packets }
func (p *fabricPort) StreamCh() <-chan net.Conn           { return p.streams }

func (p *fabricPort) DialTimeout(addr string, d time.Duration) (net.Conn, error) {
	return p.DialAddressTimeout(memberlist.Address{Addr: addr}, d)
}

func (p *fabricPort) DialAddressTimeout(a memberlist.Address, _ time.Duration) (net.Conn, error) {
	to := p.reach(a.Addr)
	if to == nil {
		return nil, errCut
	}
	mine, theirs := net.Pipe()
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	if p.f.gossip[to.addr] != to {
		return nil, errors.New("connection refused") // it has ended meanwhile
	}
	select {
	case to.streams <- fabricConn{theirs, fabricAddr(p.addr)}:
		return fabricConn{mine, fabricAddr(a.Addr)}, nil
	default:
		return nil, errors.New("connection refused")
	}
}

func (p *fabricPort) Shutdown() error {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	delete(p.f.gossip, p.addr)
	for {
		select {
		case conn := <-p.streams:
			conn.Close()
		default:
			return nil
		}
	}
}

// link is one Service's Peers.
type link struct {
	f    *fabric
	addr string
	// self is set once the Service is open, and another after a restart.
	self atomic.Pointer[Service]
}

// Call implements Peers.
func (l *link) Call(to kv.NodeID, c wire.Call, m wire.Appender, done wire.Completion, tag uint32) {
	addr, self := "", l.self.Load()
	if member, ok := self.State().Member(to); ok {
		addr = member.Addrs.Peer
	}
	payload := m.AppendTo(make([]byte, 0, m.Size()))
	if len(payload) != m.Size() {
		panic("Size does not tell the size")
	}
	go l.deliver(self, to, addr, c, payload, func(b []byte, err error) {
		done.Complete(tag, wire.Response{Payload: b}, err)
	})
}

// CallAddr implements Peers.
func (l *link) CallAddr(ctx context.Context, addr string, c wire.Call, m wire.Appender) ([]byte, error) {
	type result struct {
		b   []byte
		err error
	}
	got := make(chan result, 1)
	go l.deliver(l.self.Load(), 0, addr, c, m.AppendTo(nil), func(b []byte, err error) { got <- result{b, err} })
	select {
	case r := <-got:
		return r.b, r.err
	case <-ctx.Done():
		return nil, kv.Wrap(kv.KindTimeout, "call", ctx.Err())
	}
}

// deliver carries one request of self, after a handshake if these two have not met.
func (l *link) deliver(self *Service, to kv.NodeID, addr string, c wire.Call, payload []byte, done func([]byte, error)) {
	time.Sleep(latency)
	l.f.mu.Lock()
	peer, cut, drop := l.f.peers[addr], l.f.cut[[2]string{hostOf(l.addr), hostOf(addr)}], l.f.drop
	l.f.mu.Unlock()
	if drop != nil && drop(l.addr, addr, c, payload) {
		time.Sleep(time.Until(c.Deadline))
		done(nil, kv.Errorf(kv.KindTimeout, "call", "no answer from %s", addr))
		return
	}
	if peer == nil || cut {
		done(nil, kv.Errorf(kv.KindUnavailable, "call", "no connection to %s", addr))
		return
	}
	if to != 0 && peer.ID() != to {
		done(nil, kv.Errorf(kv.KindUnavailable, "call", "another node answers at %s", addr))
		return
	}
	if err := l.f.handshake(self, peer); err != nil {
		done(nil, err)
		return
	}
	answer := &oneAnswer{done: done}
	peer.Handle(wire.Request{Type: c.Type, From: self.ID(), Deadline: c.Deadline, Level: c.Level, Payload: payload, Reply: wire.Reply{To: answer, Type: c.Type}})
	clear(payload)
}

func (f *fabric) handshake(self, peer *Service) error {
	key := [2]*Service{self, peer}
	f.mu.Lock()
	met := f.met[key]
	f.mu.Unlock()
	if met {
		return nil
	}
	cluster, who := self.Identity()
	version, err := peer.cfg.Versions.Choose(self.Versions())
	if err == nil {
		err = peer.Admit(wire.Hello{Versions: self.Versions(), Role: wire.RoleNode, Cluster: cluster, Identity: who})
	}
	if err != nil {
		self.Refused(peer.ID(), err)
		return err
	}
	f.mu.Lock()
	f.met[key] = true
	f.mu.Unlock()
	cluster, other := peer.Identity()
	self.Accepted(peer.ID(), wire.HelloAck{Version: version, Cluster: cluster, Identity: other})
	return nil
}

// plug makes a Service reachable, unplug takes it off.
func (f *fabric) plug(l *link, s *Service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l.self.Store(s)
	f.peers[l.addr] = s
}

func (f *fabric) unplug(l *link) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.peers[l.addr] == l.self.Load() {
		delete(f.peers, l.addr)
	}
}

// oneAnswer hands a response back, a latency later, as the wire would.
type oneAnswer struct {
	once sync.Once
	done func([]byte, error)
}

// Respond implements wire.Responder.
func (a *oneAnswer) Respond(_ uint64, _ wire.Type, flags wire.Flags, m wire.Appender) {
	payload := m.AppendTo(nil)
	answered := true
	a.once.Do(func() {
		answered = false
		go func() {
			time.Sleep(latency)
			if flags&wire.FlagError != 0 {
				a.done(nil, wire.ParseError(payload))
				return
			}
			a.done(payload, nil)
		}()
	})
	if answered {
		panic("a request was answered twice")
	}
}

// journal is a slog.Handler that keeps the texts of the lines from Info up.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler           { return j }
func (j *journal) WithGroup(string) slog.Handler                { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
	return nil
}

// matching returns the lines that contain text.
func (j *journal) matching(text string) (out []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, l := range j.lines {
		if strings.Contains(l, text) {
			out = append(out, l)
		}
	}
	return out
}
