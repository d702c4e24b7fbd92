package transport

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// accepted is the accepting side of a connection: it hands requests to the
// handler and is the wire.Responder of their answers.
type accepted struct {
	server *Server
	nc     net.Conn
	from   kv.NodeID // 0 for a client
	// version is the one that both sides speak.
	version wire.Version
	// told tells that the peer knows that this node ends; Server.mu guards it.
	told  bool
	began time.Time
	// offset is began, since the server was made.
	offset time.Duration
	out    *outQueue
	src    *source
	since  *arrival
	stamps quickest
	frames *frameReader
	parts  *assembly
	// cause is why this side closed the connection, if it did.
	cause atomic.Pointer[kv.Error]

	// The state of look, which one goroutine calls.
	silent, stuck silence
}

func newAccepted(s *Server, nc net.Conn, hello wire.Hello, version wire.Version) *accepted {
	open := s.cfg.AssemblyBytes
	if hello.Role == wire.RoleClient {
		open = s.cfg.ClientAssemblyBytes
	}
	c := &accepted{
		server: s, nc: nc, from: hello.Node, version: version, began: time.Now(),
		out:   newOutQueue(s.cfg.QueueBytes, s.cfg.AssemblyBytes, &s.stats),
		src:   &source{nc: nc, stats: &s.stats},
		parts: newAssembly(open),
	}
	if c.from == 0 {
		// Of a node's requests so many come at a time that more are answered with
		// one write by who has been woken for it.
		c.out.socket = directOf(nc)
	}
	c.offset = c.began.Sub(s.made)
	c.since = &arrival{src: c.src, now: c.now, backlog: backlogOf(nc)}
	c.frames = newFrameReader(c.src, c.since, version)
	return c
}

func (c *accepted) now() time.Duration { return time.Since(c.began) }

// serve reads requests until the connection ends, and returns why, nil when the
// peer or the network ended it.
func (c *accepted) serve() error {
	var writer sync.WaitGroup
	writer.Go(func() {
		if err := c.out.run(c.nc); err != nil {
			_ = c.nc.Close()
		}
	})
	err := c.read()
	c.out.flush()
	var breach *kv.Error // what the socket says is none, and ends a connection every day
	if errors.As(err, &breach) {
		c.server.malformed.Add(1)
	} else {
		breach = c.cause.Load()
	}
	c.out.close(kv.Errorf(kv.KindClosed, "respond", "the connection is closed"))
	_ = c.nc.Close()
	writer.Wait()
	if breach == nil {
		return nil
	}
	return breach
}

// flushEach is after how many requests that were at hand their answers are written,
// if more are.
const flushEach = 16

func (c *accepted) read() error {
	for n := 1; ; n++ {
		if n%flushEach == 0 || !c.frames.ready() {
			c.out.flush()
		}
		h, payload, err := c.frames.next()
		if err != nil {
			return err
		}
		if err := c.check(h); err != nil {
			return err
		}
		payload, whole, err := c.parts.add(h, payload)
		if err != nil {
			return err
		}
		if whole {
			if h.Type != wire.TypeGet {
				c.out.flush() // a write may wait for the disk, and those answers need not
			}
			c.out.handles(h.ID)
			c.handle(h, payload)
			c.out.handled()
		}
	}
}

// check refuses what the peer has no business sending.
func (c *accepted) check(h wire.Header) error {
	if h.Flags&^wire.FlagMore != 0 {
		return kv.Errorf(kv.KindInvalid, "read request", "flags %#x", h.Flags)
	}
	if !c.version.Has(h.Type) || h.Type == wire.TypeEnd {
		return kv.Errorf(kv.KindInvalid, "read request", "protocol version %d has no request of type %v", c.version, h.Type)
	}
	if c.from != 0 {
		return nil
	}
	switch h.Type {
	case wire.TypeGet, wire.TypePut, wire.TypeRing, wire.TypePing:
		return nil
	}
	return kv.Errorf(kv.KindInvalid, "read request", "a client sent a request of type %v", h.Type)
}

// announce tells the peer that this node ends, if it knows what that means.
func (c *accepted) announce() {
	bye := wire.Header{Type: wire.TypeEnd, Flags: wire.FlagResponse}
	c.told = c.version.Has(bye.Type) && c.out.send(bye, wire.Raw(nil)) == nil
}

func (c *accepted) handle(h wire.Header, payload []byte) {
	reply := wire.Reply{To: c, ID: h.ID, Type: h.Type}
	now := c.now()
	waited := c.waited(h, now)
	deadline := now - waited + time.Duration(h.Deadline)*time.Millisecond
	switch {
	case h.Type == wire.TypePing:
		reply.Send(wire.Raw(nil))
	case now >= deadline:
		c.server.tardy.Add(1)
		reply.Fail(kv.Errorf(kv.KindTimeout, "serve", "the deadline passed before the request was read"))
	default:
		c.server.handler.Handle(wire.Request{
			Type: h.Type, From: c.from, Deadline: c.began.Add(deadline), Level: h.Level,
			Payload: payload, Reply: reply,
			Waited: waited, Late: c.refuses(h.Type, now, waited),
		})
	}
}

// Respond implements wire.Responder. A response that is too large becomes an
// error; one that the queue has no room for ends the connection, since its
// caller would wait in vain.
func (c *accepted) Respond(id uint64, t wire.Type, f wire.Flags, m wire.Appender) {
	h := wire.Header{Type: t, Flags: f | wire.FlagResponse, ID: id, Level: c.version.Sent(c.server.hooks.level())}
	if n := m.Size(); n > kv.MaxMessage {
		err := kv.Errorf(kv.KindTooLarge, "respond", "the response has %d bytes, the limit is %d", n, kv.MaxMessage)
		err.Applied = kv.AppliedUnknown
		h.Flags = wire.FlagResponse | wire.FlagError
		m = wire.Raw(wire.AppendError(nil, err))
	}
	if err := c.out.send(h, m); err != nil && kv.KindOf(err) == kv.KindOverloaded {
		c.drop(kv.Errorf(kv.KindOverloaded, "respond", "the peer does not read: %w", err))
	}
}

// drop ends the connection for a cause of our own.
func (c *accepted) drop(cause *kv.Error) {
	if c.cause.CompareAndSwap(nil, cause) {
		c.server.dropped.Add(1)
		c.out.close(cause)
		_ = c.nc.Close()
	}
}

// look ends the connection if it seems half-open, or a node's version is too low
// by now. No step of it counts for more than longest.
func (c *accepted) look(longest time.Duration) {
	if least := c.server.hooks.versions().Min; c.from != 0 && c.version < least {
		c.drop(outgrown(c.version, least))
	}
	now, dead := c.now(), c.server.cfg.DeadAfter
	if quiet := c.silent.step(now, c.src.reads.Load(), longest); quiet >= dead {
		c.drop(kv.Errorf(kv.KindUnavailable, "serve", "nothing came for %v", quiet))
	}
	if !c.out.writing.Load() {
		c.stuck = newSilence(now, c.out.written.Load())
	}
	if quiet := c.stuck.step(now, c.out.written.Load(), longest); quiet >= dead {
		c.drop(kv.Errorf(kv.KindUnavailable, "serve", "the peer took nothing for %v", quiet))
	}
}
