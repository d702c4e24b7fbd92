package sim

import (
	"bytes"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// minted notes that a write was applied at n, under the dot of s.
func (w *World) minted(n *node, k kv.Key, wr object.Write, s object.Sibling) {
	op := w.cause
	if !op.asks(k, wr) {
		// A coordinator that had waited goes on in its own time.
		if op = n.waiting(k, wr); op == nil {
			w.rewritten(n, k, wr, s)
			return
		}
	}
	x := op.write
	x.dots = append(x.dots, mint{Dot: s.Dot, seq: s.Seq, time: s.Time})
	x.born = w.now
	if x.deleted && len(op.context) == 0 {
		// It deletes what a quorum read has just shown its coordinator.
		x.after.addAll(op.key.covered(wr.Context.Clock))
	}
	w.note(noteMinted, uint64(n.index), s.Seq)
	w.say(op.key, "w%d is applied at %v, dot %v seq %d", x.id, n.machine, s.Dot, s.Seq)
}

// rewritten notes that a node wrote a value on its own account, which only a
// broken one does.
func (w *World) rewritten(n *node, k kv.Key, wr object.Write, s object.Sibling) {
	for _, key := range w.keys {
		if !bytes.Equal(key.Key, k) {
			continue
		}
		for _, x := range key.writes {
			if x.deleted == wr.Deleted && bytes.Equal(x.value, wr.Value) {
				x.dots = append(x.dots, mint{Dot: s.Dot, seq: s.Seq, time: s.Time})
				w.say(key, "w%d is written again by %v", x.id, n.machine)
				return
			}
		}
	}
	panic("sim: a put that no client asked for")
}

// waiting returns the request that n carries out with wr: of those that ask for
// it, the one that came when wr was begun, and was not carried out yet if there
// are several; or else the first that may still have to be carried out.
func (n *node) waiting(k kv.Key, wr object.Write) *Op {
	var then, later *Op
	for _, b := range n.begun {
		if !b.op.asks(k, wr) {
			continue
		}
		fresh := len(b.op.write.dots) == 0
		switch {
		case b.at == wr.Now && fresh:
			return b.op
		case b.at == wr.Now && then == nil:
			then = b.op
		case fresh && later == nil && b.op.write.fate != refused:
			later = b.op
		}
	}
	if then != nil {
		return then
	}
	return later
}

// passedOn returns the put that n passes on with a message.
func (n *node) passedOn(payload []byte) *Op {
	m, err := wire.ParsePut(payload)
	if err != nil {
		panic(err)
	}
	for _, b := range n.begun {
		if !b.op.done && b.op.is(m) {
			return b.op
		}
	}
	panic("sim: a put that no client asked for is passed on")
}

func (op *Op) isPassedOn(payload []byte) bool {
	m, err := wire.ParsePut(payload)
	return err == nil && op.write != nil && op.is(m)
}

// is tells whether m asks for what op does.
func (op *Op) is(m wire.Put) bool {
	x := op.write
	// What deletes without a context is passed on with that of what it saw.
	seen := x.deleted && len(op.context) == 0
	return bytes.Equal(op.key.Key, m.Key) && (seen || bytes.Equal(op.context, m.Context)) &&
		x.deleted == (m.Flags&wire.FlagDeleted != 0) && bytes.Equal(x.value, m.Value)
}

// asks tells whether a node that carries out wr does what op asks for.
func (op *Op) asks(k kv.Key, wr object.Write) bool {
	if op == nil || op.write == nil || !bytes.Equal(op.key.Key, k) || op.write.deleted != wr.Deleted || !bytes.Equal(op.write.value, wr.Value) {
		return false
	}
	// Deletes look alike but for what they know.
	ctx, err := op.client.world.sealer.Open(op.context)
	return err == nil && (len(op.context) == 0 || bytes.Equal(ctx.Clock, wr.Context.Clock))
}
