package resp

import (
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/object"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// action is what an op does at the store.
type action uint8

const (
	// idle: nothing, its answer is known.
	idle action = iota
	// read: a get.
	read
	// write: a put that depends on nothing that was there.
	write
	// change: a get, and a put of what change makes of it.
	change
)

// op is one get or put that a command asks for, and its part of the answer. It
// is a Receiver.
type op struct {
	b   *batch
	do  action
	key kv.Key
	// update is what is written, options with what quorum.
	update  object.Update
	options kv.Options
	// make, of a change, returns what is to be written in the place of what was
	// found, and whether anything is.
	make func(*op) (object.Update, bool)
	// arg is make's.
	arg kv.Lifetime
	// shared tells that more ops may use the outcome: another read of the key, or
	// a write that is superseded at once. Leader is the op whose outcome it is.
	shared bool
	leader int16
	// round is when it starts: after the rounds before it have ended. A change
	// writes in the round after it.
	round int16
	// all keeps all siblings and their context, rather than the newest value.
	all bool

	// answer appends the op's part of the answer, when its outcome is known; of
	// an idle op, text is the answer.
	answer func(c *conn, o, outcome *op)
	text   []byte
	// lead is an op that begins the answer of a command with several parts, last
	// one that ends it.
	lead, last, mute bool
	proto            protocol

	// The outcome. Value and context are in buf; held is what of it counts
	// against Config.MaxHeld.
	err     error
	live    int
	wrote   bool
	expires kv.Expiry
	value   []byte
	context []byte
	found   object.Object
	buf     []byte
	held    int64
	// over is set when the outcome is there.
	over atomic.Bool
}

// start starts the op's part in a round.
func (o *op) start(round int16) {
	s := o.b.c.s.parts.Store
	switch {
	case o.do == read, o.do == change && o.round == round:
		s.Get(o.key, o.options, o)
	case o.do == write:
		s.Put(o.key, o.update, o.options, o)
	case o.do == change:
		o.second(s)
	}
}

// second is the put of a change, if there is anything to put.
func (o *op) second(s Store) {
	if o.err == nil {
		if u, ok := o.make(o); ok {
			o.wrote = true
			s.Put(o.key, u, o.options, o)
			return
		}
	}
	o.end()
}

// end tells that the outcome is there.
func (o *op) end() {
	b := o.b
	o.over.Store(true)
	b.ended()
}

// until is the last round in which the op has a part.
func (o *op) until() int16 {
	if o.do == change {
		return o.round + 1
	}
	return o.round
}

// Receive implements Receiver.
func (o *op) Receive(a wire.Answer, err error) {
	o.err = err
	if err == nil && !o.wrote && (o.do != write || o.all) {
		o.take(a)
	}
	if o.do == change && !o.wrote {
		o.b.ended()
		return
	}
	o.end()
}

// errHeld refuses what there is no room to hold.
var errHeld = kv.Errorf(kv.KindOverloaded, "answer", "too much is held for clients of this door, try again")

// take keeps what of an answer will be needed: its bytes are borrowed.
func (o *op) take(a wire.Answer) {
	b := o.b
	var obj object.Object
	if len(a.Object) > 0 {
		var err error
		if obj, err = object.Parse(a.Object); err != nil {
			o.err = err
			return
		}
	}
	size := len(a.Context)
	if o.all {
		size += len(a.Object)
	}
	newest := o.newest(obj)
	if o.live > 0 {
		size += len(newest.Value)
	}
	if size >= largeAnswer {
		if !b.c.s.hold(int64(size)) {
			o.err = errHeld
			return
		}
		o.held = int64(size)
	}
	b.answered.Add(int64(size))
	if size > cap(o.buf) {
		o.buf = make([]byte, 0, size)
	}
	o.buf = append(append(o.buf[:0], a.Context...), newest.Value...)
	o.context, o.value = o.buf[:len(a.Context):len(a.Context)], o.buf[len(a.Context):]
	o.expires = newest.Expires
	if o.all {
		o.found, o.err = object.Parse(append([]byte(nil), a.Object...))
		if len(a.Object) == 0 {
			o.found, o.err = object.Object{}, nil
		}
	}
}

// largeAnswer is the size from which an answer counts against Config.MaxHeld.
const largeAnswer = 16 << 10

// newest returns the live sibling of the latest write, and counts them. A bucket
// with merge lww has one at most.
func (o *op) newest(obj object.Object) (s object.Sibling) {
	o.live = 0
	for c := obj.Siblings(); c.Next(); {
		if c.Deleted {
			continue
		}
		if o.live++; o.live == 1 || c.Time > s.Time {
			s = c.Sibling
		}
	}
	return s
}

// free lets go of what the outcome held.
func (o *op) free() {
	if o.held > 0 {
		o.b.c.s.hold(-o.held)
	}
	buf, text := o.buf, o.text
	if cap(buf) > largeAnswer {
		buf = nil
	}
	if cap(text) > largeAnswer {
		text = nil
	}
	*o = op{b: o.b, buf: buf[:0], text: text[:0]}
}

// left returns what is left of the value's life, in milliseconds.
func (o *op) left() int64 { return max(0, int64(o.expires)-time.Now().UnixMilli()) }
