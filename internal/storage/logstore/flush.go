package logstore

import (
	"slices"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// hand is what the job that writes has taken. It belongs to who has set the
// log's state to jobRuns, and stays when the job has to wait for space.
type hand struct {
	segment *segment // that is written to
	chunks  []*chunk
	waiters []waiter
	dirty   bool // something was added since the last fsync
	told    []waiter
	buf     []byte // the copy of a chunk that is written
}

// start returns whether the caller is to have e.flushJob started. log.mu is
// held.
func (g *log) start() bool {
	if g.mu.state != jobNone {
		return false
	}
	g.mu.state = jobQueued
	return true
}

// flushJob writes what is pending, and syncs when somebody waits.
func (e *Engine) flushJob() {
	if !e.jobs.Enter() {
		return // Close does it
	}
	defer e.jobs.Leave()
	e.log.mu.Lock()
	runs := e.log.mu.state == jobQueued
	if runs {
		e.log.mu.state = jobRuns
	}
	e.log.mu.Unlock()
	if runs {
		e.flush()
	}
}

// flushLater is flushJob for what nobody waits for.
func (e *Engine) flushLater() {
	e.log.mu.Lock()
	e.log.mu.timed = false
	start := e.log.pending.Load() > 0 && e.log.start()
	e.log.mu.Unlock()
	if start {
		e.flushJob()
	}
}

// flush writes and syncs until nothing is left, or the disk is full. Who calls
// it has set the state to jobRuns.
func (e *Engine) flush() {
	for e.take() {
		if !e.write() {
			return
		}
		e.settle()
	}
}

// take moves all that is pending to e.hand, and returns false, with the state
// jobNone, when there is nothing.
func (e *Engine) take() bool {
	g, h := &e.log, &e.hand
	g.mu.Lock()
	defer g.mu.Unlock()
	g.chunks.RLock()
	h.chunks = append(h.chunks[:0], g.chunks.list...)
	g.chunks.RUnlock()
	if n := len(h.chunks); n > 0 {
		h.chunks[n-1].taken = true
	}
	h.waiters, g.mu.waiters = append(h.waiters, g.mu.waiters...), g.mu.waiters[:0]
	clear(g.mu.waiters[:cap(g.mu.waiters)])
	if len(h.waiters) > 0 {
		h.dirty = h.dirty || g.mu.dirty
		g.mu.dirty = false
	}
	if len(h.waiters) == 0 && (len(h.chunks) == 0 || e.health.Failed()) {
		g.mu.state = jobNone
		return false
	}
	return true
}

// write writes the chunks that were taken. It returns false, with the state
// jobBlocked, when the disk is full.
func (e *Engine) write() bool {
	for _, c := range e.hand.chunks {
		if e.health.Failed() {
			return true
		}
		if err := e.writeChunk(c); disk.IsFull(err) && !e.closing.Load() {
			e.block()
			return false
		} else if err != nil {
			e.fail("write segment", err)
		}
	}
	e.unblock()
	return true
}

func (e *Engine) writeChunk(c *chunk) error {
	s := c.segment
	if e.hand.segment != s {
		if err := e.begin(s); err != nil {
			return err
		}
	}
	for c.wrote < c.n {
		// A vfs.File may change what it is given, and readers look at the chunk.
		e.hand.buf = slices.Grow(e.hand.buf[:0], chunkBytes+pageBytes)
		e.hand.buf = append(e.hand.buf, c.buf[c.wrote:min(c.n, c.wrote+chunkBytes)]...)
		n, err := s.write(e.hand.buf)
		c.wrote += max(n, 0)
		s.written.Add(int64(max(n, 0)))
		e.log.pending.Add(-int64(max(n, 0)))
		if err != nil {
			return err
		}
	}
	if err := e.sketch(c); err != nil {
		return err
	}
	g := &e.log
	g.chunks.Lock()
	g.chunks.list = append(g.chunks.list[:0], g.chunks.list[1:]...)
	if len(c.buf) == chunkBytes && len(g.chunks.free) < maxFree {
		g.chunks.free = append(g.chunks.free, c)
	}
	g.chunks.Unlock()
	e.relieve()
	return nil
}

// begin makes the file of s. The one before is made durable first, so that only
// the last segment of a log can be torn.
func (e *Engine) begin(s *segment) error {
	if old := e.hand.segment; old != nil {
		if err := e.sync(old); err != nil {
			return err
		}
		e.hand.segment = nil
		e.finished(old)
	}
	var err error
	if s.file == nil {
		if s.file, err = e.makeFile(s); err != nil {
			return err
		}
	}
	if s.draft == nil {
		if err := e.draft(s); err != nil {
			return err
		}
	}
	if err := disk.SyncDir(e.cfg.FS, e.cfg.Dir); err != nil {
		return err
	}
	e.hand.segment, e.hand.dirty = s, true
	return nil
}

func (e *Engine) sync(s *segment) error {
	e.counts.syncs.Add(1)
	return s.file.SyncData()
}

// settle makes what was written durable, if somebody waits, and says so.
func (e *Engine) settle() {
	h := &e.hand
	if len(h.waiters) == 0 {
		return
	}
	if h.dirty && !e.health.Failed() {
		h.dirty = false
		if err := e.sync(h.segment); err != nil {
			e.fail("sync segment", err)
		} else {
			e.log.mu.Lock()
			if e.log.mu.segment == h.segment {
				e.log.mu.synced = h.segment.written.Load()
			}
			e.log.mu.Unlock()
		}
	}
	err := e.health.Outcome()
	h.told, h.waiters = h.waiters, h.told[:0]
	for i := range h.told {
		h.told[i].tell(err)
	}
	clear(h.told)
}

func (w *waiter) tell(err error) {
	if w.done != nil {
		w.done <- err
	} else {
		w.w.Durable(err)
	}
}

// fail makes the engine final.
func (e *Engine) fail(op string, err error) {
	k := kv.KindStorage
	if disk.IsFull(err) {
		k = kv.KindDiskFull
	}
	e.health.Fail(k, op, err)
	e.relieve()
}

// block has all changes refused until a write meets space again.
func (e *Engine) block() {
	e.log.mu.Lock()
	e.log.mu.state = jobBlocked
	closing := e.closing.Load()
	if !e.blocked {
		e.blocked = true
		e.space.Block()
	}
	e.log.mu.Unlock()
	e.relieve()
	if closing {
		e.unstick()
	}
}

func (e *Engine) unblock() {
	e.log.mu.Lock()
	defer e.log.mu.Unlock()
	if e.blocked {
		e.blocked = false
		e.space.Unblock()
	}
}

// unstick has the job that waits for space try again.
func (e *Engine) unstick() {
	e.log.mu.Lock()
	stuck := e.log.mu.state == jobBlocked
	if stuck {
		e.log.mu.state = jobQueued
	}
	e.log.mu.Unlock()
	if stuck {
		e.cfg.Go(e.flushJob)
	}
}

// flushNow waits until all that was added before is durable, and writes it
// itself unless somebody does so already.
func (e *Engine) flushNow() error {
	g := &e.log
	w := waiter{done: make(chan error, 1)}
	g.mu.Lock()
	g.mu.waiters = append(g.mu.waiters, w)
	mine := g.mu.state == jobNone || g.mu.state == jobQueued
	if mine {
		g.mu.state = jobRuns
	}
	g.mu.Unlock()
	if mine {
		e.flush()
	}
	return <-w.done
}

// relieve wakes who waits for pending bytes to be written.
func (e *Engine) relieve() {
	if e.stalled.n.Load() > 0 {
		e.stalled.Lock()
		e.stalled.cond.Broadcast()
		e.stalled.Unlock()
	}
}

// await waits while too much is pending.
func (e *Engine) await() {
	full := func() bool {
		return e.log.pending.Load() > e.cfg.PendingBytes && !e.health.Failed() && !e.space.Blocked()
	}
	if !full() {
		return
	}
	e.counts.stalls.Add(1)
	e.stalled.n.Add(1)
	e.stalled.Lock()
	for full() {
		e.stalled.cond.Wait()
	}
	e.stalled.Unlock()
	e.stalled.n.Add(-1)
}
