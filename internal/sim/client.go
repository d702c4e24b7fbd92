package sim

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// client makes one request after the other, at any node, and keeps what it is
// told.
type client struct {
	world *World
	name  string
	rng   *rand.Rand
	// op is the request under way, nil for none; count counts them.
	op    *Op
	count int
	// sessions are what the client got of each key, by the key's number, latest
	// last.
	sessions [][]session
	stopped  bool
}

// session is a context, and the writes that whoever has it has seen.
type session struct {
	context []byte
	seen    set
}

// remembered is how many contexts of a key a client keeps.
const remembered = 8

// warmUp is how long clients wait for the nodes to find each other.
const warmUp = time.Second

// grace is how long after its deadline a client waits for an answer.
const grace = 200 * time.Millisecond

func (c *client) start() {
	c.sessions = make([][]session, len(c.world.keys))
	c.world.after(warmUp, c.think)
}

// think pauses, then makes the next request.
func (c *client) think() {
	if c.stopped {
		return
	}
	c.world.cause = nil
	c.world.after(time.Duration(c.rng.ExpFloat64()*float64(c.world.Think)), func() {
		if !c.stopped && c.op == nil {
			c.next()
		}
	})
}

// next makes a request that the source draws.
func (c *client) next() {
	w := c.world
	m := w.machines[c.rng.IntN(len(w.machines))]
	kind := w.Mix.draw(c.rng)
	key := c.rng.IntN(len(w.keys))
	options := w.Options.draw(c.rng, w.Scenario)
	if m.node == nil || m.node.current == nil {
		c.think() // nobody listens there
		return
	}
	c.request(m.node, kind, key, options)
}

// request makes a request at n.
func (c *client) request(n *node, kind opKind, key int, options kv.Options) *Op {
	w := c.world
	c.count++
	op := &Op{
		client: c, number: c.count, key: w.keys[key], node: n, kind: kind, options: options,
		start: w.now, calm: w.calm(), settling: w.settling, crashes: w.crashes, changed: w.changed, hurt: w.hurt(),
	}
	if s := c.sessions[key]; len(s) > 0 {
		at := len(s) - 1
		if kind == opOld {
			at = c.rng.IntN(len(s))
		}
		if kind == opPut || kind == opOld || kind == opDelete {
			op.context, op.held = s[at].context, s[at].seen
		}
	}
	if kind != opGet {
		op.write = op.key.newWrite(op, kind == opDelete || kind == opWipeout, op.held)
		w.count.Puts++
	} else {
		w.count.Gets++
	}
	if op.write != nil {
		op.write.owe(options)
	}
	w.expectGone(op)
	op.key.ops = append(op.key.ops, op)
	if op.write != nil && !op.write.deleted {
		if op.write.ttl = w.Lives.draw(c.rng); op.write.ttl > 0 {
			w.count.Expiring++
		}
	}
	c.op = op
	w.cause = op
	w.note(noteBegun, uint64(kind), uint64(key))
	w.say(op.key, "%v", op)
	c.send(op)
	w.cause = nil
	return op
}

func (c *client) send(op *Op) {
	w, n := c.world, op.node
	t, payload := op.message()
	w.after(c.delay(), func() {
		n.do(func() {
			n.handle(wire.Request{Type: t, Payload: payload, Reply: wire.Reply{To: (*answers)(op), Type: t}}, op.options.Timeout)
			spoil(payload)
		})
	})
	w.after(op.options.Timeout+grace, func() { c.finish(op, nil, errNoAnswer) })
}

func (c *client) delay() time.Duration {
	return between(c.rng, 100*time.Microsecond, time.Millisecond)
}

var errNoAnswer = &kv.Error{Op: "request", Kind: kv.KindTimeout, Applied: kv.AppliedUnknown, Err: errors.New("no answer came")}

// answers takes a node's answer to an Op back to its client.
type answers Op

// Respond implements wire.Responder.
func (a *answers) Respond(_ uint64, _ wire.Type, f wire.Flags, m wire.Appender) {
	op := (*Op)(a)
	payload := encode(m)
	op.client.world.after(op.client.delay(), func() {
		if f&wire.FlagError != 0 {
			op.client.finish(op, nil, wire.ParseError(payload))
			return
		}
		op.client.finish(op, payload, nil)
	})
}

// lost ends the request under way if it was made at n, which is gone.
func (c *client) lost(n *node) {
	if op := c.op; op != nil && op.node == n {
		c.world.after(c.delay(), func() {
			c.finish(op, nil, &kv.Error{Op: "request", Kind: kv.KindUnavailable, Applied: kv.AppliedUnknown, Err: errReset})
		})
	}
}

// finish takes the outcome of op, if it is the first.
func (c *client) finish(op *Op, payload []byte, err error) {
	if op.done {
		return
	}
	w := c.world
	op.done, op.end, op.err = true, w.now, err
	c.op = nil
	if err == nil {
		c.read(op, payload)
	}
	w.note(noteEnded, uint64(op.number), uint64(kv.KindOf(err)))
	w.settle(op)
	w.say(op.key, "%v: %s", op, op.outcome())
	w.check(op)
	c.think()
}

// read takes an answer apart.
func (c *client) read(op *Op, payload []byte) {
	w := c.world
	a, err := wire.ParseAnswer(payload)
	if err == nil && len(a.Object) > 0 {
		op.object, err = object.Parse(a.Object)
	}
	if err != nil {
		w.violate("P8", op.key, "%v: the answer is malformed: %v", op, err)
		return
	}
	if op.siblings, err = op.key.siblings(op.object); err != nil {
		w.violate("P8", op.key, "%v: the answer shows %v", op, err)
		return
	}
	op.answer, op.seen = a.Context, op.key.seen(op.siblings)
	if op.write != nil && len(op.write.dots) == 0 && op.write.deleted {
		// There was nothing to delete; the context is that of the read.
		if ctx, err := w.sealer.Open(a.Context); err == nil {
			op.seen = op.key.covered(ctx.Clock)
		}
	} else if op.write != nil && len(op.answer) > 0 && len(op.siblings) == 0 {
		// A context without a body names the write alone.
		op.key.closure(&op.seen, op.write.id)
	}
	c.remember(op)
}

// remember keeps the context of an answer.
func (c *client) remember(op *Op) {
	if len(op.answer) == 0 {
		return
	}
	for i, k := range c.world.keys {
		if k == op.key {
			s := append(c.sessions[i], session{op.answer, op.seen})
			c.sessions[i] = s[max(0, len(s)-remembered):]
		}
	}
}
