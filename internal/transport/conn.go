package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// Conn is the dialling side of a connection: it sends requests and completes
// them with the responses. Safe for concurrent use.
//
// Every call completes exactly once: with the answer, at its deadline, or at
// once when the connection is lost. A request carries the time that was left
// when it was queued, and when that was: without the latter, before version 3, the
// peer's deadline is later by what it then waited. The frames of a request over
// wire.MaxChunk carry both as they go out.
type Conn struct {
	cfg    Config
	nc     net.Conn
	peer   wire.HelloAck
	limit  int // bytes of one request
	began  time.Time
	out    *outQueue
	calls  *callTable
	src    *source
	frames *frameReader
	parts  *assembly

	meters meters
	lapsed *kv.Error // what a call ends with at its deadline

	// sampled is when a round trip was last timed, since began.
	sampled atomic.Int64
	// quiet is for how long nothing had come when tick looked last.
	quiet atomic.Int64

	// The state of tick, which one goroutine calls.
	silent    silence
	lastProbe time.Duration
	ended     []call

	failed atomic.Pointer[kv.Error]
	done   chan struct{}
	// ending is set, and bye closed, once the peer has said that it ends.
	ending  atomic.Bool
	bye     chan struct{}
	workers sync.WaitGroup
}

// Dial connects to addr, presents hello, and returns the connection; ctx bounds
// only that. A refusal is returned as the peer sent it. The caller closes the
// connection.
func Dial(ctx context.Context, cfg Config, network Network, addr string, hello wire.Hello) (*Conn, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	nc, ack, _, err := connect(ctx, cfg, network, addr, hello)
	if err == nil {
		err = checkAck(ack, hello.Cluster, 0)
	}
	if err != nil {
		if nc != nil {
			_ = nc.Close()
		}
		return nil, err
	}
	c := newConn(cfg, nc, hello.Role, ack, meters{&counters{}, &outcomes{}, &latency{}})
	c.workers.Go(c.watch)
	return c, nil
}

// connect dials and shakes hands within cfg.HandshakeTimeout, and tells how long
// the handshake's round trip took. With a nil error nc is the caller's to close,
// also when the answer is a refusal.
func connect(ctx context.Context, cfg Config, network Network, addr string, hello wire.Hello) (net.Conn, wire.HelloAck, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.HandshakeTimeout)
	defer cancel()
	nc, err := network.Dial(ctx, addr)
	if err != nil {
		return nil, wire.HelloAck{}, 0, kv.Wrap(kv.KindUnavailable, "dial", err)
	}
	began := time.Now()
	ack, err := offer(ctx, nc, hello, cfg.HandshakeTimeout)
	if err != nil {
		_ = nc.Close()
		return nil, wire.HelloAck{}, 0, kv.Wrap(kv.KindUnavailable, "shake hands with "+addr, err)
	}
	return nc, ack, time.Since(began), nil
}

// newConn starts a connection's reader and writer. Whoever calls it calls tick
// every cfg.Tick.
func newConn(cfg Config, nc net.Conn, role wire.Role, ack wire.HelloAck, m meters) *Conn {
	limit, open := kv.MaxMessage, cfg.AssemblyBytes
	if role == wire.RoleClient {
		limit, open = cfg.ClientAssemblyBytes, cfg.ClientAssemblyBytes
	}
	src := &source{nc: nc, stats: m.counters}
	c := &Conn{
		cfg: cfg, nc: nc, peer: ack, limit: limit, began: time.Now(),
		out:   newOutQueue(cfg.QueueBytes, open, m.counters),
		calls: newCallTable(cfg.MaxPending),
		src:   src, frames: newFrameReader(src, src, ack.Version),
		parts:  newAssembly(cfg.AssemblyBytes),
		meters: m,
		lapsed: &kv.Error{Op: "call", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown, Node: ack.Node,
			Err: errors.New("no answer before the deadline")},
		done: make(chan struct{}), bye: make(chan struct{}),
	}
	c.workers.Go(func() {
		if err := c.out.run(nc); err != nil {
			c.fail(kv.KindUnavailable, err)
		}
	})
	c.workers.Go(func() { c.fail(kv.KindUnavailable, c.read()) })
	return c
}

// Peer returns what the peer said of itself in the handshake.
func (c *Conn) Peer() wire.HelloAck { return c.peer }

// Done is closed once the connection is lost or closed and its calls have
// completed.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection ended, nil while it stands.
func (c *Conn) Err() error {
	if err := c.failed.Load(); err != nil {
		return err
	}
	return nil
}

// Quiet returns for how long nothing had come when that was looked at last: at
// most Config.Tick ago while a call is under way, else Config.ProbeInterval. A
// peer that lives lets it grow little over Config.ProbeInterval.
func (c *Conn) Quiet() time.Duration { return time.Duration(c.quiet.Load()) }

// Latency returns the usual round trip of late, 0 while unknown: that of pings, and
// of a node's reads and writes of replicas.
func (c *Conn) Latency() time.Duration { return c.meters.Usual() }

// Close ends the connection, completes its calls with KindClosed, and waits for
// its goroutines. It must not be called from a Completion.
func (c *Conn) Close() error {
	c.fail(kv.KindClosed, errors.New("the connection was closed"))
	c.workers.Wait()
	<-c.done
	return nil
}

// Traffic returns what passed over the connection.
func (c *Conn) Traffic() Traffic { return c.meters.traffic() }

// Call sends a request; done learns its outcome under tag.
func (c *Conn) Call(rq wire.Call, m wire.Appender, done wire.Completion, tag uint32) {
	if err := c.send(rq, m, call{done: done, tag: tag}); err != nil {
		c.count(err)
		done.Complete(tag, wire.Response{}, err)
	}
}

// send registers and appends a request. With an error the peer will certainly
// not see it, and the call is not registered.
func (c *Conn) send(rq wire.Call, m wire.Appender, entry call) error {
	entry.sent = c.now()
	entry.deadline = rq.Deadline.Sub(c.began)
	size := m.Size()
	entry.timed = size <= wire.MaxChunk && !rq.Hedge && showsDistance(rq.Type)
	switch {
	case entry.deadline <= entry.sent:
		return &kv.Error{Op: "call", Kind: kv.KindTimeout, Node: c.peer.Node, Err: errors.New("the deadline had passed before")}
	case !c.peer.Version.Has(rq.Type):
		return &kv.Error{Op: "call", Kind: kv.KindWrongVersion, Node: c.peer.Node,
			Err: fmt.Errorf("it speaks protocol version %d, which has no request of type %v", c.peer.Version, rq.Type)}
	case size > c.limit:
		return kv.Errorf(kv.KindTooLarge, "call", "the request has %d bytes, the limit is %d", size, c.limit)
	}
	version := c.peer.Version
	h := wire.Header{Type: rq.Type, Stamp: version.Stamped(entry.sent), Deadline: millisLeft(entry.deadline - entry.sent), Level: version.Sent(rq.Level)}
	if size > wire.MaxChunk {
		entry.large = newLarge(h, m, size)
		entry.large.version, entry.large.began, entry.large.deadline = version, c.began, rq.Deadline
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if err := c.out.admit(size); err != nil {
		return err
	}
	entry.batch = c.out.mu.taken
	id, err := c.calls.add(entry)
	if err != nil {
		return err
	}
	if entry.large != nil {
		entry.large.header.ID = id
		c.out.putLarge(entry.large)
	} else {
		h.ID = id
		c.out.putSmall(h, m, size)
	}
	return nil
}

// read completes calls until the connection ends, and returns why.
func (c *Conn) read() error {
	for {
		h, payload, err := c.frames.next()
		if err != nil {
			return err
		}
		if h.Flags&wire.FlagResponse == 0 {
			return kv.Errorf(kv.KindInvalid, "read response", "the peer sent a request, type %v", h.Type)
		}
		if h.Type == wire.TypeEnd {
			c.retire()
			continue
		}
		if (h.Flags&wire.FlagMore != 0 || c.parts.has(h.ID)) && !c.calls.has(h.ID) {
			c.parts.forget(h.ID) // nobody waits for the rest
			continue
		}
		payload, whole, err := c.parts.add(h, payload)
		if err != nil {
			return err
		}
		if whole {
			c.settle(h, payload)
		}
	}
}

// settle hands a response to its call.
func (c *Conn) settle(h wire.Header, payload []byte) {
	resp := wire.Response{Level: h.Level, Payload: payload}
	if h.Flags&(wire.FlagInterim|wire.FlagError) == wire.FlagInterim {
		c.settleInterim(h.ID, resp)
		return
	}
	entry, ok := c.calls.take(h.ID)
	if !ok {
		c.meters.late.Add(1)
		return
	}
	if entry.timed && (entry.probe || uint32(h.ID>>32)%sampleEvery == 0) {
		c.time(&entry, h.Type)
	}
	if h.Flags&wire.FlagError == 0 {
		entry.done.Complete(entry.tag, resp, nil)
		return
	}
	entry.done.Complete(entry.tag, wire.Response{Level: h.Level}, c.answer(payload))
}

// time adds a call's round trip to what is known of the peer. One that took
// DownAfter tells that the peer did not run, not how far it is.
func (c *Conn) time(entry *call, t wire.Type) {
	now := c.now()
	if took := now - entry.sent; took < c.cfg.DownAfter {
		c.sampled.Store(int64(now))
		c.meters.add(t, took)
	}
}

func (c *Conn) settleInterim(id uint64, resp wire.Response) {
	entry, ok := c.calls.lend(id)
	if !ok {
		c.meters.late.Add(1)
		return
	}
	resp.Interim = true
	entry.done.Complete(entry.tag, resp, nil)
	if err := c.calls.giveBack(id); err != nil {
		entry.done.Complete(entry.tag, wire.Response{}, err)
	}
}

// answer reads a peer's error; what it calls the local node is the peer.
func (c *Conn) answer(payload []byte) error {
	err := wire.ParseError(payload)
	var e *kv.Error
	if errors.As(err, &e) && e.Node == 0 {
		e.Node = c.peer.Node
	}
	return err
}

// now returns the time since the connection's start.
func (c *Conn) now() time.Duration { return time.Since(c.began) }

// fail ends the connection: later calls fail, and those that wait complete. The
// first cause counts.
func (c *Conn) fail(kind kv.Kind, cause error) {
	if errors.Is(cause, io.EOF) {
		cause = errors.New("the peer closed the connection")
	}
	never := &kv.Error{Op: "call", Kind: kind, Applied: kv.AppliedNo, Node: c.peer.Node, Err: cause}
	if !c.out.close(never) {
		return
	}
	c.failed.Store(never)
	_ = c.nc.Close()
	maybe := *never
	maybe.Applied = kv.AppliedUnknown
	for _, entry := range c.calls.refuse(never, true, &maybe) {
		c.meters.lost.Add(1)
		if c.out.untouched(&entry) {
			entry.done.Complete(entry.tag, wire.Response{}, never)
		} else {
			entry.done.Complete(entry.tag, wire.Response{}, &maybe)
		}
	}
	close(c.done)
}

// suspend completes all calls, because the peer seems to be down though the
// connection stands, and refuses new ones until resume. What is queued may
// still reach the peer.
func (c *Conn) suspend(cause error) {
	never := &kv.Error{Op: "call", Kind: kv.KindUnavailable, Applied: kv.AppliedNo, Node: c.peer.Node, Err: cause}
	maybe := *never
	maybe.Applied = kv.AppliedUnknown
	for _, entry := range c.calls.refuse(never, false, &maybe) {
		c.meters.lost.Add(1)
		entry.done.Complete(entry.tag, wire.Response{}, &maybe)
	}
}

// errEnding is why a peer that has said so takes no calls.
var errEnding = errors.New("the node ends")

// retire refuses new calls, because the peer ends; those under way are answered,
// and then tick closes the connection.
func (c *Conn) retire() {
	if c.ending.CompareAndSwap(false, true) {
		c.calls.close(&kv.Error{Op: "call", Kind: kv.KindUnavailable, Applied: kv.AppliedNo, Node: c.peer.Node, Err: errEnding})
		close(c.bye)
	}
}

// Ending tells whether the peer has said that it ends: it takes no calls any
// more, and the connection ends once those under way are answered.
func (c *Conn) Ending() bool { return c.ending.Load() }

// count notes a call that ended before it was sent.
func (c *Conn) count(err error) {
	switch kv.KindOf(err) {
	case kv.KindOverloaded:
		c.meters.overloaded.Add(1)
	case kv.KindTimeout:
		c.meters.timeouts.Add(1)
	default:
		c.meters.lost.Add(1)
	}
}

// millisLeft is a deadline as it travels: rounded up, so that it is never 0.
func millisLeft(d time.Duration) uint32 {
	ms := (max(d, 1) + time.Millisecond - 1) / time.Millisecond
	return uint32(min(ms, math.MaxUint32))
}
