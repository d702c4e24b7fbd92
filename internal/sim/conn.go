package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// How soon a node notices what becomes of a peer, as transport does: see the
// fields of transport.Config of these names.
const (
	downAfter     = 750 * time.Millisecond
	probeInterval = 250 * time.Millisecond
	backoffMin    = 50 * time.Millisecond
	backoffMax    = 400 * time.Millisecond
)

// conn is one node's connection to a peer. It stands for transport's Conn and
// Pool: calls fail at once while the peer is down, and those that wait fail when
// it goes down.
type conn struct {
	from *node
	to   *machine
	id   kv.NodeID
	// peer is the process that the connection was made to, nil before the
	// first.
	peer *node
	up   bool
	// prospect is what a look at the network promises, and turn counts its
	// changes: a verdict that was due for an earlier turn is void.
	prospect prospect
	turn     int
	calls    []*call
}

type prospect uint8

const (
	_ prospect = iota
	// prospectUp: messages pass both ways to the process that is connected.
	prospectUp
	// prospectReset: the process has ended and says so.
	prospectReset
	// prospectSilent: nothing comes back.
	prospectSilent
	// prospectNew: another process runs in its place.
	prospectNew
)

// call is a request that waits for its answer.
type call struct {
	conn     *conn
	done     wire.Completion
	tag      uint32
	deadline time.Duration
	// at is the place in conn.calls, -1 once it has ended.
	at    int
	cause *Op
}

// review looks at all connections after something has changed.
func (w *World) review() {
	for _, m := range w.machines {
		if m.node == nil {
			continue
		}
		for _, c := range m.node.conns {
			c.review()
		}
	}
}

func (c *conn) review() {
	p := c.look()
	if p == c.prospect {
		return
	}
	c.prospect = p
	c.turn++
	n := c.from
	var in time.Duration
	switch p {
	case prospectUp:
		in = upTo(n.rng, probeInterval)
	case prospectNew:
		in = between(n.rng, backoffMin, backoffMax)
		if c.peer != nil && c.up {
			c.lose(errReset)
		}
	case prospectReset:
		in = n.world.Links.Delay + upTo(n.rng, n.world.Links.Jitter)
	default:
		in = between(n.rng, downAfter, downAfter+probeInterval)
	}
	turn := c.turn
	n.after(in, func() {
		if c.turn == turn {
			c.judge()
		}
	})
}

func (c *conn) look() prospect {
	w, there := c.from.world, c.to.node
	pass := w.open(c.from.machine, c.to) && w.open(c.to, c.from.machine)
	running := there != nil && there.id == c.id
	switch {
	case !pass || running && there.paused || c.from.paused:
		return prospectSilent
	case !running:
		return prospectReset
	case c.peer == there:
		return prospectUp
	}
	return prospectNew
}

// judge acts on the prospect.
func (c *conn) judge() {
	switch c.prospect {
	case prospectUp:
		c.rise()
	case prospectNew:
		c.peer, c.prospect = c.to.node, prospectUp
		c.from.world.callIn(c.from, c.to)
		c.rise()
	default:
		c.lose(errSilent)
	}
}

func (c *conn) rise() {
	if c.up {
		return
	}
	c.up = true
	n := c.from
	n.world.note(noteConn, uint64(n.index), uint64(c.to.index))
	n.world.say(nil, "%v sees %v up", n.machine, c.to)
	n.peerUp(c.id)
}

var (
	errReset  = errors.New("the connection was lost")
	errSilent = errors.New("nothing came")
	errAway   = errors.New("the peer is down")
)

// lose takes the peer for down, and ends the calls that wait.
func (c *conn) lose(why error) {
	if !c.up {
		return
	}
	c.up = false
	n := c.from
	n.world.note(noteConn, uint64(n.index), uint64(c.to.index)+100)
	n.world.say(nil, "%v sees %v down", n.machine, c.to)
	if n.world.LateAnswers {
		return // each call waits until its deadline
	}
	maybe := &kv.Error{Op: "call", Kind: kv.KindUnavailable, Applied: kv.AppliedUnknown, Node: c.id, Err: why}
	for len(c.calls) > 0 && !n.dead {
		c.calls[0].end(wire.Response{}, maybe)
	}
}

// expire ends the calls whose deadline has passed.
func (c *conn) expire() {
	for i := 0; i < len(c.calls); {
		k := c.calls[i]
		if k.deadline > c.from.world.now {
			i++
			continue
		}
		k.end(wire.Response{}, &kv.Error{Op: "call", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown, Node: c.id})
	}
}

// end completes the call, unless it has ended already.
func (k *call) end(resp wire.Response, err error) {
	if k.at < 0 {
		return
	}
	calls := k.conn.calls
	last := calls[len(calls)-1]
	calls[k.at], last.at = last, k.at
	calls[len(calls)-1] = nil
	k.conn.calls = calls[:len(calls)-1]
	k.at = -1
	w := k.conn.from.world
	was := w.cause
	w.cause = k.cause
	k.done.Complete(k.tag, resp, err)
	w.cause = was
}

// peers are the other nodes, to a part of a node that lives by a clock.
type peers struct {
	*node
	now func() time.Time
}

// Call implements the Peers of coordinator, handoff and antientropy.
func (p peers) Call(to kv.NodeID, rq wire.Call, m wire.Appender, done wire.Completion, tag uint32) {
	p.call(to, rq, rq.Deadline.Sub(p.now()), m, done, tag)
}

// call makes a call that waits for left at the longest.
func (n *node) call(to kv.NodeID, rq wire.Call, left time.Duration, m wire.Appender, done wire.Completion, tag uint32) {
	if rq.Type == wire.TypeSweep {
		n.leads = false // what was asked for is under way
	}
	c := n.connTo(to)
	if c == nil || !c.up {
		done.Complete(tag, wire.Response{}, &kv.Error{Op: "call", Kind: kv.KindUnavailable, Node: to, Err: errAway})
		return
	}
	w := n.world
	payload := encode(m)
	if was := w.cause; rq.Type == wire.TypePut && (was == nil || !was.isPassedOn(payload)) {
		// A coordinator that had waited passes the request on in its own time.
		w.cause = n.passedOn(payload)
		defer func() { w.cause = was }()
	}
	k := &call{conn: c, done: done, tag: tag, deadline: w.now + left, at: len(c.calls), cause: w.cause}
	c.calls = append(c.calls, k)
	peer := c.peer
	req := wire.Request{Type: rq.Type, From: n.id, Level: rq.Level, Reply: wire.Reply{To: &responder{peer, k}, Type: rq.Type}}
	// A request that would be carried out twice is never doubled.
	twice := rq.Type != wire.TypePut
	w.send(n.machine, c.to, message{rq.Type, false, payload}, twice, func() {
		peer.do(func() {
			w.note(noteDelivered, uint64(rq.Type)<<8|uint64(peer.index), xxhash.Sum64(payload))
			w.arrived(n, peer, rq.Type.String())
			req.Payload = append([]byte(nil), payload...)
			peer.handle(req, left)
			spoil(req.Payload)
		})
	})
}

// responder carries a peer's answers back.
type responder struct {
	peer *node
	call *call
}

// Respond implements wire.Responder.
func (r *responder) Respond(_ uint64, t wire.Type, f wire.Flags, m wire.Appender) {
	payload := encode(m)
	n := r.call.conn.from
	w := n.world
	epoch := r.peer.epoch()
	w.send(r.peer.machine, n.machine, message{t, true, payload}, true, func() {
		n.do(func() {
			w.note(noteDelivered, uint64(t)<<8|uint64(n.index)|1<<16, xxhash.Sum64(payload))
			if f&wire.FlagError != 0 {
				w.arrived(r.peer, n, fmt.Sprintf("error (%v) to %v", wire.ParseError(payload), t))
			} else {
				w.arrived(r.peer, n, "answer to "+t.String())
			}
			r.deliver(f, epoch, payload)
		})
	})
}

func (r *responder) deliver(f wire.Flags, epoch uint64, payload []byte) {
	k := r.call
	switch {
	case k.at < 0:
		// Too late: transport drops it.
	case f&wire.FlagError != 0:
		k.end(wire.Response{}, wire.ParseError(payload))
	case f&wire.FlagInterim != 0:
		k.done.Complete(k.tag, wire.Response{Level: kv.LevelOf(epoch), Interim: true, Payload: payload}, nil)
	default:
		k.end(wire.Response{Level: kv.LevelOf(epoch), Payload: payload}, nil)
		spoil(payload)
	}
}

// encode checks that a message has the size that it says.
func encode(m wire.Appender) []byte {
	b := m.AppendTo(make([]byte, 0, m.Size()))
	if len(b) != m.Size() {
		panic("sim: a message's Size is wrong")
	}
	return b
}

// spoil overwrites what was borrowed, so that whoever kept it is found out.
func spoil(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}
