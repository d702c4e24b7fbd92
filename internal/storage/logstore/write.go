package logstore

import (
	"bytes"
	"sync"

	"github.com/ringtaildb/ringtail/internal/storage"
)

// plan is what Apply works out before it takes a lock.
type plan struct {
	sums []uint32 // of the values
	size int      // of all records
}

var plans = sync.Pool{New: func() any { return new(plan) }}

func (p *plan) make(ops []storage.Op) {
	p.sums, p.size = p.sums[:0], 0
	for i := range ops {
		p.sums = append(p.sums, sum(ops[i].Value))
		p.size += headerLen + len(ops[i].Key) + len(ops[i].Value)
	}
}

// Apply implements storage.Engine. It copies b once, into memory that a job
// writes, and takes no system call. It waits when more than Config.PendingBytes
// are not yet written.
func (e *Engine) Apply(b *storage.Batch, w storage.Waiter) error {
	if err := e.enter("apply batch"); err != nil {
		return err
	}
	defer e.users.Leave()
	if err := b.Check(); err != nil {
		return err
	}
	e.await()
	if err := e.health.Err(); err != nil {
		return err
	}
	if err := e.space.Admit(b); err != nil {
		return err
	}
	ops := b.Ops()
	p := plans.Get().(*plan)
	p.make(ops)
	set := stripesOf(ops)
	e.index.lock(&set)
	s, seq, offset, starter := e.append(ops, p, w)
	e.refer(ops, s, seq, offset)
	e.index.unlock(&set)
	plans.Put(p)
	starter.start(e)
	return nil
}

// starter is the job that a change asks for.
type starter byte

const (
	startNothing starter = iota
	startNow
	startLater
)

func (s starter) start(e *Engine) {
	switch s {
	case startNow:
		e.cfg.Go(e.flushJob)
	case startLater:
		e.cfg.After(e.cfg.FlushEvery, e.flushLater)
	}
}

// append puts the records of ops into the log, and returns where: the segment,
// the number of the first, and its offset.
func (e *Engine) append(ops []storage.Op, p *plan, w storage.Waiter) (s *segment, seq uint64, offset int64, job starter) {
	g := &e.log
	g.mu.Lock()
	defer g.mu.Unlock()
	seq = g.mu.seq + 1
	if len(ops) > 0 {
		var buf []byte
		buf, s, offset = g.room(p.size)
		for i := range ops {
			op := &ops[i]
			h := header{valueSum: p.sums[i], seq: seq + uint64(i), kind: kindSet}
			h.keyLen, h.valueLen = uint16(len(op.Key)), uint32(len(op.Value))
			if op.Delete {
				h.kind = kindDelete
			}
			if i < len(ops)-1 {
				h.flags = flagMore
			}
			h.put(buf, op.Key, s.salt())
			copy(buf[headerLen:], op.Key)
			copy(buf[headerLen+len(op.Key):], op.Value)
			buf = buf[h.size():]
			s.note(&h)
		}
		g.mu.seq += uint64(len(ops))
	}
	if w != nil {
		g.mu.waiters = append(g.mu.waiters, waiter{w: w})
	}
	return s, seq, offset, e.wants(w != nil)
}

// wants returns the job that is to be started after something was added. log.mu
// is held.
func (e *Engine) wants(now bool) starter {
	g := &e.log
	switch {
	case now || g.pending.Load() >= e.cfg.FlushBytes:
		if g.start() {
			return startNow
		}
	case !g.mu.timed && g.pending.Load() > 0:
		g.mu.timed = true
		return startLater
	}
	return startNothing
}

// refer has the index refer to the records of ops, which begin at offset of s.
// Their stripes are locked.
func (e *Engine) refer(ops []storage.Op, s *segment, seq uint64, offset int64) {
	segments := e.tables.now.Load().segments
	for i := range ops {
		op := &ops[i]
		length := int64(headerLen + len(op.Key) + len(op.Value))
		var old loc
		var was bool
		if op.Delete {
			old, was = e.index.remove(op.Key)
		} else {
			place := newLoc(seq+uint64(i), s.number, offset, length)
			old, was = e.index.set(op.Key, place, false)
			s.refer(&place)
			if was {
				e.cache.renew(op.Key, old.seq(), old.valueLen(op.Key), place.seq(), op.Value)
			}
		}
		if was {
			segments[old.segment].forget(&old)
		}
		offset += length
	}
}

// Sync implements storage.Engine. It costs an idle disk nothing.
func (e *Engine) Sync() error {
	if err := e.enter("sync"); err != nil {
		return err
	}
	defer e.users.Leave()
	e.log.mu.Lock()
	clean := !e.log.mu.dirty && (e.log.mu.state == jobNone || e.log.mu.state == jobQueued)
	e.log.mu.Unlock()
	if clean {
		return nil
	}
	return e.flushNow()
}

// Drop implements storage.Engine. Of a prefix that it drops in part it touches
// the keys; a whole one it lets go of at once, and counts afterwards.
func (e *Engine) Drop(from, to []byte) error {
	if err := e.enter("drop"); err != nil {
		return err
	}
	defer e.users.Leave()
	if err := e.space.AdmitDrop(); err != nil {
		return err
	}
	if to != nil && bytes.Compare(from, to) >= 0 {
		return nil
	}
	from, to = from[:min(len(from), maxBound)], to[:min(len(to), maxBound)]
	e.dropping.Add(1)
	set := stripesBetween(from, to)
	e.index.lock(&set)
	e.appendDrop(from, to)
	segments := e.tables.now.Load().segments
	gone := func(l *loc) { segments[l.segment].forget(l) }
	whole := e.index.drop(set, from, to, nil, gone)
	e.index.unlock(&set)
	for i := range whole {
		whole[i].walk(nil, func(_ []byte, l *loc) bool {
			gone(l)
			return true
		})
	}
	e.dropping.Add(-1)
	err := e.flushNow()
	e.mergeSoon()
	return err
}

// appendDrop puts the drop of a range into the log.
func (e *Engine) appendDrop(from, to []byte) {
	g := &e.log
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.seq++
	h := header{valueSum: sum(to), seq: g.mu.seq, kind: kindDrop}
	if to == nil {
		h.flags = flagOpen
	}
	buf, s, _ := g.room(headerLen + len(from) + len(to))
	appendRecord(buf[:0], h, from, to, s.salt())
	h.keyLen, h.valueLen = uint16(len(from)), uint32(len(to))
	s.note(&h)
}
