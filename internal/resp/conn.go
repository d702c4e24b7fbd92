package resp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ringtaildb/ringtail/internal/metrics"
)

const (
	// idleBuffer is what a connection keeps to read into while it is idle, in
	// bytes; it reads into a larger one once that was filled.
	idleBuffer = 2 << 10
	readBuffer = 32 << 10
	// freeBuffer is the size up to which a buffer does not count against
	// Config.MaxHeld.
	freeBuffer = 64 << 10
)

// conn is a client's connection. What is not said to be guarded belongs to its
// goroutine.
type conn struct {
	s     *Server
	net   net.Conn
	id    int64
	began time.Time
	ctx   context.Context

	parser parser
	// in[from:to] is what was read and not served, small the buffer that an idle
	// connection keeps. Counted is what of in counts as held.
	in, small []byte
	from, to  int
	counted   int64
	args      [][]byte

	// out is what is to be sent; batch and window are of what is under way.
	out    []byte
	batch  *batch
	window int
	// group is the answer of a command with several parts that is being made.
	group group

	proto protocol
	// closing ends the connection once all is answered, gone tells that nobody
	// reads any more.
	closing, gone bool
	// quiet, and skip of this command and skipNext of the next, are what CLIENT
	// REPLY asked for.
	quiet, skip, skipNext bool
	// due is when the command that has begun to come must be whole.
	due time.Time
	// muted tells that what is being answered is not to be sent.
	muted bool
	// served counts commands of the batch.
	served uint64
	// deadline is when the socket's writes end, as last set.
	deadline time.Time

	mu struct {
		sync.Mutex
		name, lib, libVersion string
	}
	// last is the name of the last command, active when it came, for CLIENT LIST.
	last   atomic.Pointer[command]
	active atomic.Int64
}

// group is what the answers of the parts of one command come to.
type group struct {
	open bool
	// mark is where the answer begins in out, -1 once a part of it is sent.
	mark int
	sum  int64
	// err is the first error, of a write if wrote; applied tells that other keys
	// were written.
	err            error
	wrote, applied bool
	// failed tells that the command's answer is its error.
	failed bool
}

// outBuffers keeps what answers are gathered in. Idle connections have none.
var (
	outBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}
	inBuffers  = sync.Pool{New: func() any { b := make([]byte, readBuffer); return &b }}
)

// serve serves the connection until its client closes it, breaks the protocol or
// the server ends.
func (c *conn) serve(ctx context.Context) {
	c.ctx, c.window = ctx, maxWindow
	c.small = make([]byte, idleBuffer)
	c.in = c.small
	for !c.closing {
		if err := c.read(); err != nil {
			c.ends(err)
			break
		}
		c.batch = newBatch(c)
		out := outBuffers.Get().(*[]byte)
		c.out = (*out)[:0]
		c.commands()
		c.runBatch()
		err := c.flush()
		c.note()
		c.batch.release()
		if cap(c.out) <= 2*maxUnsent {
			*out = c.out
			outBuffers.Put(out)
		}
		c.batch, c.out = nil, nil
		if err != nil {
			break
		}
		c.closing = c.closing || c.s.ended.Load()
	}
	c.letGo()
	c.linger()
}

// note counts the commands that were served.
func (c *conn) note() {
	if c.served > 0 {
		c.s.commands.Add(c.served)
		c.served = 0
		c.active.Store(c.s.seconds())
	}
}

// read reads what has come, at least a byte.
func (c *conn) read() error {
	if c.from == c.to {
		c.from, c.to = 0, 0
		c.shrink()
	}
	if err := c.room(); err != nil {
		return err
	}
	// Between commands a client may be silent for as long as it likes.
	partial := c.to > c.from || c.parser.over
	if partial {
		if c.due.IsZero() {
			c.due = time.Now().Add(c.s.cfg.ReadTimeout)
		}
		_ = c.net.SetReadDeadline(c.due)
		if c.s.ended.Load() {
			return net.ErrClosed
		}
	}
	n, err := c.net.Read(c.in[c.to:])
	if c.to += n; n > 0 {
		err = nil
	}
	if partial {
		_ = c.net.SetReadDeadline(time.Time{})
		if c.s.ended.Load() {
			_ = c.net.SetReadDeadline(time.Now())
		}
	}
	return err
}

// room makes room to read into.
func (c *conn) room() error {
	if c.to < len(c.in) {
		return nil
	}
	if c.from > 0 && c.from >= len(c.in)/2 {
		c.to = copy(c.in, c.in[c.from:c.to])
		c.from = 0
		return nil
	}
	var next []byte
	if len(c.in) < readBuffer {
		next = *inBuffers.Get().(*[]byte)
	} else {
		size := min(4*len(c.in), MaxCommand+freeBuffer)
		if !c.s.hold(int64(size)) {
			return errHeld
		}
		next = make([]byte, size)
	}
	c.to = copy(next, c.in[c.from:c.to])
	c.from = 0
	c.give()
	c.in = next
	if len(next) > freeBuffer {
		c.counted = int64(len(next))
	}
	return nil
}

// shrink goes back to the small buffer.
func (c *conn) shrink() {
	if len(c.in) != len(c.small) {
		c.give()
		c.in = c.small
	}
}

// give gives back a buffer that is not the small one.
func (c *conn) give() {
	if len(c.in) == readBuffer {
		b := c.in
		inBuffers.Put(&b)
	}
	c.s.hold(-c.counted)
	c.counted = 0
}

// Bounds of linger.
const (
	lingerFor   = 500 * time.Millisecond
	lingerBytes = 4 << 20
)

// linger ends the connection so that the client reads the last answer before it
// learns of the end, though it may still be sending: closing at once would reset
// the connection, and the answer be lost.
func (c *conn) linger() {
	tcp, ok := c.net.(*net.TCPConn)
	if !ok || c.gone || c.s.ended.Load() || tcp.CloseWrite() != nil {
		return
	}
	_ = tcp.SetReadDeadline(time.Now().Add(lingerFor))
	_, _ = io.CopyN(io.Discard, tcp, lingerBytes)
}

func (c *conn) letGo() {
	c.give()
	c.in, c.small = nil, nil
}

// ends tells the client, where that makes sense, why its connection ends.
func (c *conn) ends(err error) {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), c.s.ended.Load():
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.out = appendError(nil, "ERR the rest of a command did not come in time")
		_ = c.flush()
	case errors.Is(err, errHeld):
		c.out = appendError(nil, errorText(errHeld, false))
		_ = c.flush()
	}
}

// commands serves the commands that have come.
func (c *conn) commands() {
	for !c.closing && c.from < c.to {
		b := c.in[c.from:c.to]
		n, st := c.parser.next(b)
		switch st {
		case more:
			c.from += n
			return
		case whole:
			c.args = c.args[:0]
			for _, w := range c.parser.words {
				c.args = append(c.args, b[w.at:w.at+w.size:w.at+w.size])
			}
			c.parser.reset()
			c.due = time.Time{}
			if len(c.args) > 0 {
				c.command()
			}
			c.from += n
			c.dropArgs()
		case excess:
			c.fail("ERR " + c.parser.text + " (kind: too large, applied: no)")
			c.parser.reset()
			c.due = time.Time{}
			c.from += n
		case broken:
			c.fail("ERR " + c.parser.text)
			c.closing = true
		}
	}
}

// dropArgs lets go of what a command with many words needed. The words of small
// ones are written over by the next.
func (c *conn) dropArgs() {
	const kept = 1024
	if cap(c.args) > kept {
		c.args, c.parser.words = nil, nil
	}
}

// add returns a new op for the command that is being served; if too many are
// under way, those are carried out first.
func (c *conn) add() *op {
	if len(c.batch.ops) >= c.window {
		c.runBatch()
	}
	o := c.batch.add()
	o.proto, o.mute = c.proto, c.quiet || c.skip
	return o
}

// reply returns a new op without a part at the store, whose answer is appended to
// its text.
func (c *conn) reply() *op {
	o := c.add()
	o.text = o.text[:0]
	o.answer = (*conn).answerText
	return o
}

func (c *conn) answerText(o, _ *op) { c.out = append(c.out, o.text...) }

// fail answers with an error.
func (c *conn) fail(text string) {
	o := c.reply()
	o.text = appendError(o.text, text)
}

// runBatch carries out what was added, and appends the answers to out.
func (c *conn) runBatch() {
	b := c.batch
	if len(b.ops) == 0 {
		return
	}
	b.run()
	var served uint64
	for i := range b.ops {
		o := &b.ops[i]
		if o.do != idle {
			served++
		}
		if i >= b.told {
			c.emit(o, b.outcome(i))
		}
	}
	if served > 0 {
		c.s.parts.Metrics.Requests[metrics.DoorRESP].Add(served)
	}
	c.adjust(b.answered.Load())
	b.clear()
}

// adjust fits the window to the size of what was answered, so that a client that
// asks for many large values has few of them at a time in memory.
func (c *conn) adjust(answered int64) {
	const most = 4 << 20
	if answered > most {
		c.window = max(2, int(int64(c.window)*most/answered))
	} else {
		c.window = min(maxWindow, 2*c.window)
	}
}

// emit appends an op's part of the answers.
func (c *conn) emit(o, outcome *op) {
	at := len(c.out)
	if o.lead {
		c.group = group{open: true, mark: at}
	}
	if c.group.open && c.group.failed && !o.last {
		return
	}
	c.muted = o.mute
	o.answer(c, o, outcome)
	if o.last {
		c.group = group{}
	}
	if o.mute {
		c.out = c.out[:at]
	}
	c.trim()
}

// trim sends what was gathered, if it is much.
func (c *conn) trim() {
	if len(c.out) >= maxUnsent && !c.muted {
		_ = c.flush()
	}
}

// flush sends what was gathered.
func (c *conn) flush() error {
	err := c.send(c.out)
	c.out = c.out[:0]
	if c.group.open {
		c.group.mark = -1
	}
	return err
}

// send writes b. A client that does not read what it has asked for holds up its
// own connection, and no other, for WriteTimeout.
func (c *conn) send(b []byte) error {
	if len(b) == 0 || c.gone {
		return nil
	}
	if now := time.Now(); c.deadline.Sub(now) < c.s.cfg.WriteTimeout/2 {
		c.deadline = now.Add(c.s.cfg.WriteTimeout)
		_ = c.net.SetWriteDeadline(c.deadline)
	}
	_, err := c.net.Write(b)
	if err != nil {
		c.closing, c.gone = true, true
		_ = c.net.Close()
	}
	return err
}
