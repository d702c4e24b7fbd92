package logstore

import (
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/storage/disk"
)

// merge is the merge that is under way. One is at a time, in steps, each of them
// a job; running says that there is one, and who has set it owns the rest.
type merge struct {
	running atomic.Bool
	now     *merging
}

// merging writes what is live of some segments to a new one, and removes them:
//
//   - copying: each record that the index refers to, and each deletion that may
//     still hide something, goes to the output and its hint;
//   - switching: the output is durable, and the index is made to refer to it;
//   - syncing: what superseded the rest is made durable, or else a crash would
//     bring back neither;
//   - removing: the inputs go.
//
// A crash leaves the inputs, or the inputs and the output, or the output; what
// is in both has the same numbers, so either will do.
type merging struct {
	phase  mergePhase
	inputs []*segment
	at     int         // the input that is read
	hint   *hintReader // of that input
	block  []byte      // what is left of its block
	end    int64       // of that input's records
	values walker      // reads its records
	walked bool        // the index has few keys beside that input, and was walked:
	live   []uint32    // the offsets that it refers to and that are still to come

	seq    uint64 // of the log when the merge began
	output *segment
	path   string // of the output, until it has its name
	file   vfs.File
	hints  *hintWriter
	buf    []byte // yet to be written
	size   int64  // of the output
	synced int64  // what of it was synced
}

type mergePhase byte

const (
	copying mergePhase = iota
	switching
	syncing
	removing
	merged
)

const (
	// mergeBytes is how much of its inputs a merge looks at in a step.
	mergeBytes = 1 << 20
	// mergeSync is after how many bytes of output it is synced: little by little,
	// so that no other fsync stands behind a large one.
	mergeSync = 8 << 20
	// walkShare is how many keys of the index are walked over in less time than one
	// of them is looked up.
	walkShare = 4
)

// mergeSoon begins a merge if there is something to merge, and none is under way.
func (e *Engine) mergeSoon() {
	if e.closing.Load() || e.health.Failed() || !e.merge.running.CompareAndSwap(false, true) {
		return
	}
	inputs := e.pick()
	if len(inputs) == 0 {
		e.merge.running.Store(false)
		return
	}
	e.log.mu.Lock()
	seq := e.log.mu.seq
	e.log.mu.Unlock()
	e.merge.now = &merging{inputs: inputs, seq: seq}
	e.cfg.Go(e.mergeStep)
}

// mergeStep carries out a step of the merge and has the next one started.
func (e *Engine) mergeStep() {
	if !e.jobs.Enter() {
		return // Close abandons the merge
	}
	defer e.jobs.Leave()
	m := e.merge.now
	n, err := m.step(e)
	switch {
	case e.health.Failed():
	case err != nil:
		e.mergeFailed(err)
	case m.phase == merged:
		e.counts.merges.Add(1)
		e.merge.now = nil
		e.merge.running.Store(false)
		e.mergeSoon()
	case m.phase == syncing:
		m.phase = removing
		e.mergeWhenDurable()
	default:
		if pause := e.mergePause(n); pause > 0 {
			e.cfg.After(pause, e.mergeStep)
		} else {
			e.cfg.Go(e.mergeStep)
		}
	}
}

// mergePause returns how long a merge rests after a step that looked at n bytes:
// as long as its owner has it, but the less the more garbage there is beyond what
// there may be.
func (e *Engine) mergePause(n int) time.Duration {
	urgency := e.mergeUrgency()
	if urgency >= 1 {
		return 0
	}
	pause := time.Duration(float64(n) / float64(e.cfg.MergeRate) * float64(time.Second))
	if e.cfg.Hooks.Pace == nil {
		return pause
	}
	longest := time.Duration(math.MaxInt64)
	if urgency > 0 {
		longest = time.Duration(min(float64(pause)/urgency, math.MaxInt64/2))
	}
	return min(e.cfg.Hooks.Pace(pause), longest)
}

// mergeWaiter goes on with the merge when the log is durable.
type mergeWaiter struct{ e *Engine }

// Durable implements storage.Waiter.
func (w mergeWaiter) Durable(err error) {
	if err == nil {
		w.e.cfg.Go(w.e.mergeStep)
	}
}

func (e *Engine) mergeWhenDurable() {
	e.log.mu.Lock()
	e.log.mu.waiters = append(e.log.mu.waiters, waiter{w: mergeWaiter{e}})
	job := e.wants(true)
	e.log.mu.Unlock()
	job.start(e)
}

// mergeFailed ends a merge that cannot go on. On a full disk, or when a read has
// failed, it begins again with a sample of the free space, at damage when what is
// damaged was dropped. A failed write is final.
func (e *Engine) mergeFailed(err error) {
	m := e.merge.now
	switch {
	case kv.KindOf(err) == kv.KindCorrupt || errors.Is(err, errHint):
		s := m.inputs[m.at]
		s.unwilling.Store(s.live.Load() + 1)
	case kv.KindOf(err) == kv.KindStorage:
		e.logger.Error("merge segments", "err", err)
	case !disk.IsFull(err):
		e.fail("merge segments", err)
	}
	e.merge.abandon(e)
	e.merge.running.Store(false)
}

// abandon removes what a merge has written so far, unless it has its name.
func (g *merge) abandon(e *Engine) {
	m := g.now
	g.now = nil
	if m == nil {
		return
	}
	m.closeHint()
	if m.phase != copying || m.output == nil || e.health.Failed() {
		return
	}
	_ = m.file.Close() // it is removed
	e.removeFile(m.path)
	if m.hints != nil {
		_ = m.hints.drop()
		e.removeFile(m.hints.path + tempSuffix)
	}
}

// step does a part of the work, and returns how many bytes it looked at.
func (m *merging) step(e *Engine) (n int, err error) {
	switch m.phase {
	case copying:
		return m.copy(e)
	case switching:
		return m.refer(e)
	case removing:
		return 0, m.remove(e)
	}
	return 0, nil
}

// copy copies what is to stay of the next records.
func (m *merging) copy(e *Engine) (n int, err error) {
	for n < mergeBytes {
		if len(m.block) == 0 {
			more, err := m.next(e)
			if err != nil {
				return n, err
			}
			if !more {
				return n, m.finish(e)
			}
		}
		ent, left, err := cutHint(m.block, m.end)
		if err != nil {
			return n, err
		}
		m.block = left
		stays, err := m.keep(e, &ent)
		if err != nil {
			return n, err
		}
		n += hintEntry + int(ent.keyLen)
		if stays {
			n += int(ent.valueLen)
		}
	}
	return n, m.write(false)
}

// next reads the next block of the present input's hint, or of the next one's,
// and returns false when there is none.
func (m *merging) next(e *Engine) (bool, error) {
	for m.at < len(m.inputs) {
		s := m.inputs[m.at]
		if m.hint == nil {
			if err := m.openHint(e, s); err != nil {
				return false, err
			}
			if m.walked = e.index.keys.Load() <= walkShare*s.sets.Load(); m.walked {
				m.live = e.index.live(s.number)
			}
		}
		block, err := m.hint.block()
		if err != nil {
			return false, err
		}
		if len(block) > 0 {
			m.block = block
			return true, nil
		}
		m.closeHint()
		m.at++
	}
	return false, nil
}

func (m *merging) openHint(e *Engine, s *segment) error {
	path := segmentPath(e.cfg.FS, e.cfg.Dir, s.number, hintSuffix)
	file, err := e.cfg.FS.Open(path)
	if err != nil {
		return errHint
	}
	m.hint = &hintReader{file: file}
	m.values = walker{file: s.file, size: s.size.Load(), buf: m.values.buf[:0]}
	m.end, err = m.hint.head(path, s, true)
	return err
}

func (m *merging) closeHint() {
	if m.hint != nil {
		_ = m.hint.file.Close() // it is only read
		m.hint = nil
	}
}

// keep copies a record if it is to stay, and says whether it was.
func (m *merging) keep(e *Engine, ent *entry) (bool, error) {
	s := m.inputs[m.at]
	if ent.kind == kindDrop {
		if !e.hides(ent.seq, s) {
			return false, nil
		}
		return true, m.add(e, &ent.header, ent.key, ent.value)
	}
	if ent.kind == kindDelete {
		if place, found := e.index.get(ent.key); found && place.seq() > ent.seq || !e.hides(ent.seq, s) {
			return false, nil
		}
		return true, m.add(e, &ent.header, ent.key, nil)
	}
	if !m.isLive(e, s, ent) {
		return false, nil
	}
	place := newLoc(ent.seq, s.number, ent.offset, ent.size())
	b, err := m.record(s, ent)
	if err == nil {
		_, err = check(b, &place, ent.key, s.salt())
	} else if !isDamage(err) {
		return false, kv.Wrap(kv.KindStorage, "read record", err)
	}
	if err != nil {
		return false, e.met(s, ent.key, err)
	}
	h, _ := getHeader(b)
	return true, m.add(e, &h, ent.key, b[headerLen+int(h.keyLen):])
}

// isLive tells whether the index refers to a record of the present input.
func (m *merging) isLive(e *Engine, s *segment, ent *entry) bool {
	if !m.walked {
		place, found := e.index.get(ent.key)
		return found && place.segment == s.number && int64(place.offset) == ent.offset
	}
	for len(m.live) > 0 && int64(m.live[0]) < ent.offset {
		m.live = m.live[1:]
	}
	return len(m.live) > 0 && int64(m.live[0]) == ent.offset
}

// record returns the bytes of a record.
func (m *merging) record(s *segment, ent *entry) ([]byte, error) {
	if s.file == nil {
		return nil, errMissing
	}
	b, err := m.values.window(ent.offset, int(ent.size()))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) < ent.size() {
		return nil, errShort
	}
	return b, nil
}

// add adds a record to the output, which is begun if need be.
func (m *merging) add(e *Engine, h *header, key, value []byte) error {
	if m.output == nil {
		if err := m.begin(e); err != nil {
			return err
		}
	}
	h.flags &^= flagMore
	if err := m.hints.add(h, m.size, key, value); err != nil {
		return err
	}
	at := len(m.buf)
	m.buf = appendRecord(m.buf, *h, key, value, m.output.salt())
	m.size += int64(len(m.buf) - at)
	m.output.note(h)
	if len(m.buf) < chunkBytes {
		return nil
	}
	return m.write(false)
}

// begin begins the output.
func (m *merging) begin(e *Engine) error {
	e.log.mu.Lock()
	e.log.mu.number++
	number := e.log.mu.number
	e.log.mu.Unlock()
	s := &segment{number: number, format: version, path: segmentPath(e.cfg.FS, e.cfg.Dir, number, mergedSuffix), clean: m.seq, merge: true}
	m.path = s.path + tempSuffix
	file, err := e.cfg.FS.Create(m.path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	m.output, m.file = s, file
	m.buf, m.size = append(m.buf[:0], s.preamble()...), preamble
	m.hints, err = newHintWriter(e.cfg.FS, segmentPath(e.cfg.FS, e.cfg.Dir, number, hintSuffix))
	return err
}

// write writes what has gathered of the output, and syncs it now and then, or
// with last at once.
func (m *merging) write(last bool) error {
	if m.output == nil {
		return nil
	}
	if len(m.buf) > 0 {
		if _, err := m.file.Write(m.buf); err != nil {
			return err
		}
		m.buf = m.buf[:0]
	}
	if m.size-m.synced < mergeSync && !last {
		return nil
	}
	m.synced = m.size
	return m.file.SyncData()
}

// finish ends the copying: it makes the output durable, and has readers know it.
// The hint gets its name last: one without a segment is to mean damage.
func (m *merging) finish(e *Engine) error {
	if m.output == nil {
		m.phase = syncing
		return nil
	}
	s := m.output
	m.buf = appendRecord(m.buf, header{kind: kindFooter, seq: uint64(m.size)}, nil, nil, s.salt())
	m.size += footerLen
	if err := m.write(true); err != nil {
		return err
	}
	if err := m.hints.close(s, m.size); err != nil {
		return err
	}
	// From here on nothing is undone: an error is final, or a crash.
	m.phase = switching
	fs := e.cfg.FS
	err := m.file.Close()
	if err == nil {
		err = fs.Rename(m.path, s.path)
	}
	if err == nil {
		err = disk.SyncDir(fs, e.cfg.Dir)
	}
	if err == nil {
		err = fs.Rename(m.hints.path+tempSuffix, m.hints.path)
	}
	if err == nil {
		err = disk.SyncDir(fs, e.cfg.Dir)
	}
	if err == nil {
		s.file, err = fs.Open(s.path)
	}
	if err != nil {
		e.fail("finish merge", err)
		return nil
	}
	s.size.Store(m.size)
	s.written.Store(m.size)
	s.hintBytes.Store(m.hints.size)
	s.sealed.Store(true)
	e.tables.change(func(segments map[uint32]*segment) { segments[s.number] = s })
	return nil
}
